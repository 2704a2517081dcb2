# What ran for the site beside it stops: its caches, and the timers of its backups. Its data and its backups stay.
# In: app, etc (the folder of units), both set by leaving.sh before it.
for kind in redis valkey; do
  for purpose in cache queue; do
    unit=$kind-server@$app-$purpose.service
    [ -e "$etc/$unit.d/barehost.conf" ] || continue
    systemctl disable --now -q "$unit" || exit
    rm -rf "$etc/$unit.d" "/etc/barehost/$kind-$app-$purpose.conf" "/var/lib/barehost/loaded/$unit"
  done
done
for what in backup drill; do
  unit=barehost-$what-$app
  [ -e "$etc/$unit.service" ] || continue
  systemctl disable --now -q "$unit.timer" 2>/dev/null
  rm -f "$etc/$unit.service" "$etc/$unit.timer" "/var/lib/barehost/loaded/$unit.timer"
done
rm -f "/etc/barehost/backup-$app".*
systemctl daemon-reload
