# By now Nginx no longer knows the site: its configuration went in the files phase of the same apply. Its instances stop
# as their units say, so these go after them.
app=@{app}; root=/srv/$app; etc=/etc/systemd/system
set -- "$app@*.service"
for file in "$root"/activations/*/units/* "$root"/activations/*/jobs/* "$root"/activations/*/timers/*; do
  file=${file##*/} # and whatever else its activations brought
  case $file in '*') ;; *@*) set -- "$@" "${file%@*}@*.${file##*.}" ;; *) set -- "$file" "$@" ;; esac # timers first
done
files=$(for pattern; do
  for unit in $(units "$pattern") "$etc/multi-user.target.wants"/$pattern "$etc/timers.target.wants"/$pattern "$etc"/$pattern; do
    case ${unit##*/} in *'*'*) ;; *) echo "${unit##*/}" ;; esac
  done
done | awk '!seen[$0]++')
for unit in $files; do
  rm -f "$etc/multi-user.target.wants/$unit" "$etc/timers.target.wants/$unit"
  systemctl stop --no-block -- "$unit" 2>/dev/null # all of them at once
done
read -r began rest < /proc/uptime; began=${began%.*}
while :; do
  left=
  for unit in $files; do
    case $(systemctl show --value -p ActiveState -- "$unit") in inactive | failed | '') ;; *) left="$left $unit" ;; esac
  done
  [ -n "$left" ] || break
  read -r now rest < /proc/uptime
  if [ "$((${now%.*} - began))" -ge @{patience} ]; then
    echo "still ending, after @{patience} s:$left; each gets the time that its stop: timeout gives a job." \
      "Run the same command again to wait on, or end it: systemctl kill -s KILL$left"
    exit 1
  fi
  sleep 0.1
done
for unit in $files; do
  systemctl reset-failed -- "$unit" 2>/dev/null
  rm -f "$etc/$unit"
done
systemctl daemon-reload
for release in "$root"/releases/*; do
  record=$(printf %s "$release" | sha256sum)
  rm -rf "/var/lib/barehost/trees/${record%% *}"
done
rm -rf "$root/current" "$root/activations" "$root/releases" "$root/venvs" "$root/images" "$root/assets" @{records}/"$app" @{proven}/"$app" "/run/$app" \
  @{cache} "/var/cache/barehost/home/$app"
