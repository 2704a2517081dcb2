# The old instance gets no new requests: let it finish those it has, then stop it, then count, also what was cut off.
# Its other processes are asked to end and finish what they have begun, however long: nobody waits for them.
# Nginx is told to write out the log lines it holds back (USR1).
read -r old < "$RUN/$app.old"
cut=0 patience=@{drain}
if [ -n "$old" ] && [ "$old" != "$n" ]; then
  processes_of "$old" | xargs -r systemctl stop --no-block --
  stopped "$old" "$patience"
fi
more=
if [ "$cut" -gt 0 ]; then more=", cut off after $patience s (graceful_timeout): $cut"; fi
{ read -r nginx < /run/nginx.pid; } 2>/dev/null && read -r program < "/proc/$nginx/comm" && [ "$program" = nginx ] &&
  kill -s USR1 "$nginx" && sleep 0.05
if [ -s "$RUN/$app.access-log" ]; then
  logged access | grep -v '"agent":"barehost-health"' > "$RUN/$app.window" # but our own
  served=$(grep -c '"status":' "$RUN/$app.window"); failed=$(grep -c '"status":5' "$RUN/$app.window")
  note "$app @{release} serves, proven through Nginx; requests during the switch: $served, failed: $failed$more"
else
  note "$app @{release} serves, proven through Nginx$more"
fi
