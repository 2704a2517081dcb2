# Shared data, the count of activations and the account as well.
rm -rf "$root" @{numbers}/"$app"
! getent passwd "$app" >/dev/null || userdel "$app"
! getent group "$app" >/dev/null || groupdel "$app"
