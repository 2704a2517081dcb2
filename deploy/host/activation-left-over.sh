# What an interrupted switch left: every instance that is not current finishes its requests and goes. One that was
# enabled at the boot is known to systemd as wanted, until it reads again what is.
patience=@{drain}
for unit in @{left}; do
  case $unit in # a timer that what serves has not
    *@*) ;;
    *) n=$(readlink "$root/current") && place_timers "${n##*/}" || exit; continue ;;
  esac
  one=${unit##*@}; one=${one%.*}
  [ "$(readlink "$root/current")" != "activations/$one" ] || continue
  rm -f "$wants/$unit"
  if [ "$unit" = "$app@$one.service" ]; then
    stopped "$one" "$patience"
    [ "$cut" -eq 0 ] || note "requests of $unit that were cut off after $patience s (graceful_timeout): $cut"
    systemctl stop "$unit"
  else # it finishes what it has begun, and nobody waits for it
    systemctl stop --no-block "$unit"
  fi
  systemctl reset-failed "$unit" 2>/dev/null
done
systemctl daemon-reload
