# The new activation must answer through Nginx while the old still runs; else the link goes back.
seconds=@{timeout}; [ "$seconds" -le 15 ] || seconds=15
end=$(($(date +%s) + seconds))
while :; do
  answer=$("$here/venv/bin/python" -I - @{port} @{scheme} @{name} @{path} @{status} @{release} "$n" 2>&1 <<'ASK'
@{ask}
ASK
  ) && { record healthy; printf 'proven %s\n' "$(now)" >> "$here/record"; exit; }
  [ "$(date +%s)" -lt "$end" ] || break
  sleep 0.05
done
tail -n 5 "/var/log/nginx/$app.error.log" 2>/dev/null
echo "through Nginx: $answer"
record failed
[ -e "$RUN/$app.old" ] || exit 1 # this run did not switch: what serves stays
old=$(cat "$RUN/$app.old")
if [ -n "$old" ]; then
  enabled "$app@$old.service" && sync -f "$wants" && current "$old" && sync -f "$root" || exit
else
  rm -f "$root/current"
fi
disabled "$unit"
drained "$socket" 5; systemctl stop "$unit"; rm -rf "$here"
exit 1
