# What an interrupted switch left: every instance that is not current finishes its requests and goes. One that was
# enabled at the boot is known to systemd as wanted, until it reads again what is.
for unit in $(units "$app" --all) "$wants/$app"@*.service; do
  unit=${unit##*/}; n=${unit#"$app"@}; n=${n%.service}
  [ "$n" = '*' ] || [ "$(readlink "$root/current")" = "activations/$n" ] && continue
  rm -f "$wants/$unit"
  drained "/run/$app/$n/gunicorn.sock" @{drain}
  systemctl stop "$unit"; systemctl reset-failed "$unit" 2>/dev/null
done
systemctl daemon-reload
