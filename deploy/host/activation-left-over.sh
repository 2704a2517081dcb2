# What an interrupted switch left: every instance that is not current finishes its requests and goes. One that was
# enabled at the boot is known to systemd as wanted, until it reads again what is.
patience=@{drain}
for unit in @{left}; do
  one=${unit##*@}; one=${one%.*}
  [ "$(readlink "$root/current")" != "activations/$one" ] || continue
  rm -f "$wants/$unit"
  if [ "$unit" = "$app@$one.service" ]; then
    stopped "$one" "$patience"
    [ "$cut" -eq 0 ] || note "requests of $unit that were cut off after $patience s (graceful_timeout): $cut"
  fi
  systemctl stop "$unit"; systemctl reset-failed "$unit" 2>/dev/null
done
systemctl daemon-reload
