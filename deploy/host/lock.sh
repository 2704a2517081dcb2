# Holds the host for this session: by a process that lives as long as the session's, however that ends.
# In: about (who holds it). Prints who holds the host, and exits 75, where somebody else does.
mkdir -p -m 700 /run/barehost && exec 8>>/run/barehost/run || exit
silent() { # nothing came from the holder for a minute (and the longest look), and no apply of it runs
  read -r loop scratch session < /run/barehost/run.of && flock -n /run/barehost/lock true || return
  seconds=60 busy=$(cat "/proc/$loop/task/$loop/children" 2>/dev/null)
  [ -z "$busy" ] || seconds=180
  [ -z "$(find "$scratch" "$session" -newermt "$seconds seconds ago" -print -quit 2>/dev/null)" ]
}
if ! flock -w 0.5 8; then  # a look holds it for a moment, to see whether anybody does
  silent || { cat /run/barehost/run.by; exit 75; }
  kill -KILL "$loop" $busy; flock -w 10 8 || { cat /run/barehost/run.by; exit 75; }
  rm -rf "$scratch" "$session"
  printf '%s taken over %s: %s, and was silent\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" @{about} \
    "$(cat /run/barehost/run.by)" >> /var/log/barehost.log
fi
echo "$LOOP $SCRATCH $SESSION" > /run/barehost/run.of
printf '%s holds the host since %s' @{about} "$(date -u '+%Y-%m-%d %H:%M:%S UTC')" > /run/barehost/run.by
tail -s 0.2 -f --pid="$LOOP" /dev/null </dev/null >/dev/null 2>&1 &
echo "$!" > "$SCRATCH/lock"
