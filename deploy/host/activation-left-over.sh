# What an interrupted switch left: every instance that is not current finishes its requests and goes.
for unit in $(units "$app" --all) \
  /etc/systemd/system/multi-user.target.wants/"$app"@*.service; do
  unit=${unit##*/}; n=${unit#"$app"@}; n=${n%.service}
  [ "$n" = '*' ] || [ "$(readlink "$root/current")" = "activations/$n" ] && continue
  systemctl disable -q "$unit" 2>/dev/null
  drained "/run/$app/$n/gunicorn.sock" @{drain}
  systemctl stop "$unit"; systemctl reset-failed "$unit" 2>/dev/null
done
:
