# Shared data, the count of activations, the account and Nginx's logs as well.
rm -rf "$root" @{numbers}/"$app"
! getent passwd "$app" >/dev/null || userdel "$app"
! getent group "$app" >/dev/null || groupdel "$app"
rm -f /var/log/nginx/"$app".access.log* /var/log/nginx/"$app".error.log*
