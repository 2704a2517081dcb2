# Enable the new, rename, disable the old: after each of these three a reboot comes up with a served site.
old=$(readlink "$root/current") || old=
old=${old##*/}
echo "$old" > "$RUN/$app.old" || exit
stat -c '%i %s' "/var/log/nginx/$app.access.log" > "$RUN/$app.log" 2>/dev/null
systemctl enable -q "$unit" || exit
ln -sfT "activations/$n" "$root/.current.new" && sync -f "$root" && mv -fT "$root/.current.new" "$root/current" || exit
sync -f "$root"
[ -z "$old" ] || [ "$old" = "$n" ] || systemctl disable -q "$app@$old.service"
