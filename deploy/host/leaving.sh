# By now Nginx no longer knows the site: its configuration went in the files phase of the same apply, and so did
# the unit's file, without which systemctl neither disables an instance nor knows one that has stopped.
app=@{app}; root=/srv/$app
for unit in $(units "$app" --all) /etc/systemd/system/multi-user.target.wants/"$app"@*.service; do
  unit=${unit##*/}
  [ "$unit" = "$app@*.service" ] && continue
  rm -f "/etc/systemd/system/multi-user.target.wants/$unit"
  systemctl stop "$unit" 2>/dev/null || ! systemctl is-active -q "$unit" || exit
  systemctl reset-failed "$unit" 2>/dev/null
done
systemctl daemon-reload
for release in "$root"/releases/*; do
  record=$(printf %s "$release" | sha256sum)
  rm -rf "/var/lib/barehost/trees/${record%% *}"
done
rm -rf "$root/current" "$root/activations" "$root/releases" "$root/venvs" "$root/assets" @{records}/"$app" "/run/$app"
