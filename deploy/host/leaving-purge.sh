# Shared data and account as well.
rm -rf "$root"
! getent passwd "$app" >/dev/null || userdel "$app"
! getent group "$app" >/dev/null || groupdel "$app"
