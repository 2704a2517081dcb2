# Enable the new, rename, disable the old: after each of these three a reboot comes up with a served site, so
# each is on the disk before the next.
old=$(readlink "$root/current") || old=
old=${old##*/}
echo "$old" > "$RUN/$app.old" || exit
stat -c '%i %s' "/var/log/nginx/$app.access.log" > "$RUN/$app.log" 2>/dev/null
enabled "$unit" && sync -f "$wants" && current "$n" && sync -f "$root" || exit
[ -z "$old" ] || [ "$old" = "$n" ] || disabled "$app@$old.service"
