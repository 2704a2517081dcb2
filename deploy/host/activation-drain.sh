# The old instance gets no new requests: let it finish those it has, then stop it, then count.
# Nginx is told to write out the log lines it holds back (USR1).
read -r old < "$RUN/$app.old"
if [ -n "$old" ] && [ "$old" != "$n" ]; then
  drained "/run/$app/$old/app.sock" @{drain}
  systemctl stop --no-block "$app@$old.service" # its requests are done; its workers take a second to go
fi
{ read -r nginx < /run/nginx.pid; } 2>/dev/null && read -r program < "/proc/$nginx/comm" && [ "$program" = nginx ] &&
  kill -s USR1 "$nginx" && sleep 0.05
if [ -s "$RUN/$app.access-log" ]; then
  logged access | grep -v '"agent":"barehost-health"' > "$RUN/$app.window" # but our own
  served=$(grep -c '"status":' "$RUN/$app.window"); failed=$(grep -c '"status":5' "$RUN/$app.window")
  note "$app @{release} serves, proven through Nginx; requests during the switch: $served, failed: $failed"
else
  note "$app @{release} serves, proven through Nginx"
fi
