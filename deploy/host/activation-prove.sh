# The new activation must answer through Nginx while the old still runs; else the link goes back.
end=$(($(date +%s) + 15))
while :; do
  answer=$("$here/venv/bin/python" -I - @{port} @{scheme} @{name} @{path} @{status} @{release} "$n" 2>&1 <<'ASK'
@{ask}
ASK
  ) && { record healthy; exit 0; }
  [ "$(date +%s)" -lt "$end" ] || break
  sleep 0.05
done
tail -n 5 "/var/log/nginx/$app.error.log" 2>/dev/null
echo "through Nginx: $answer"
record failed
old=$(cat "$RUN/$app.old")
if [ -n "$old" ]; then
  systemctl enable -q "$app@$old.service"
  ln -sfT "activations/$old" "$root/.current.new" && mv -fT "$root/.current.new" "$root/current" && sync -f "$root"
else
  rm -f "$root/current"
fi
systemctl disable -q "$unit"
drained "$socket" 5; systemctl stop "$unit"; rm -rf "$here"
exit 1
