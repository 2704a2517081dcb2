# What an interrupted switch left: every instance that is not current finishes its requests and goes. One that was
# enabled at the boot is known to systemd as wanted, until it reads again what is.
for unit in @{left}; do
  one=${unit##*@}; one=${one%.*}
  [ "$(readlink "$root/current")" != "activations/$one" ] || continue
  rm -f "$wants/$unit"
  [ "$unit" != "$app@$one.service" ] || drained "/run/$app/$one/app.sock" @{drain}
  systemctl stop "$unit"; systemctl reset-failed "$unit" 2>/dev/null
done
systemctl daemon-reload
