# By now Nginx no longer knows the site: its configuration went in the files phase of the same apply. Its instances stop
# as their units say, so these go after them.
app=@{app}; root=/srv/$app; etc=/etc/systemd/system
set -- "$app@*.service"
for file in "$root"/activations/*/units/*; do # and whatever else its activations brought
  file=${file##*/}
  [ "$file" = '*' ] || set -- "$@" "${file%@*}@*.${file##*.}"
done
for pattern; do
  for unit in $(units "$pattern") "$etc/multi-user.target.wants"/$pattern "$etc"/$pattern; do
    unit=${unit##*/}
    [ "$unit" != "$pattern" ] || continue
    rm -f "$etc/multi-user.target.wants/$unit"
    systemctl stop "$unit" 2>/dev/null || ! systemctl is-active -q "$unit" || exit
    systemctl reset-failed "$unit" 2>/dev/null
    rm -f "$etc/$unit"
  done
done
systemctl daemon-reload
for release in "$root"/releases/*; do
  record=$(printf %s "$release" | sha256sum)
  rm -rf "/var/lib/barehost/trees/${record%% *}"
done
rm -rf "$root/current" "$root/activations" "$root/releases" "$root/venvs" "$root/assets" @{records}/"$app" @{proven}/"$app" "/run/$app" \
  @{cache} "/var/cache/barehost/home/$app"
