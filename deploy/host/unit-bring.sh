# Brings one unit to what it should have loaded, waits for its proof, and only then records what it has loaded.
ask() { systemctl show --no-pager -p ActiveState,InvocationID,MainPID -- @{name} > "$RUN/unit"; }
told() {
  while IFS='=' read -r key value; do
    case $key in
      ActiveState) state=$value ;;
      InvocationID) id=$value ;;
      MainPID) main=$value ;;
    esac
  done < "$RUN/unit"
  [ "$state" = active ]
}
active() { ask && told; }
# Reloads by SIGHUP to the main process, and waits until it has other children: those that it had would answer for what
# was. That proves nothing, and where a kernel does not list children the proof is only asked for too early.
hup() {
  wait "$asking" && told || return
  proven=by-itself # what answers is running, and it is the same invocation
  children() { { read -r workers < "/proc/$main/task/$main/children"; } 2>/dev/null; [ "$workers" != "$before" ]; }
  workers= before=; children; before=$workers left=50
  kill -s HUP "$main" || return
  until children || [ "$((left -= 1))" -lt 0 ]; do sleep 0.004; done
}
@{meanwhile}
rm -f -- @{record} && sync -f @{records} || exit
proven=
began=$(date +%s); size=$(stat -c %s -- @{log} 2>/dev/null) || size=0
complain() {
  journalctl -q --no-pager -o cat -n 20 --since "@$began" -u @{name}
  tail -c +"$((size + 1))" -- @{log} 2>/dev/null | tail -n 10 | uniq
  echo "$1"
  exit 1
}
@{bring} || complain @{refused}
deadline=$(($(date +%s) + @{seconds}))
until { @{proof}
} && { [ -n "$proven" ] || active; }; do
  [ "$(date +%s)" -lt "$deadline" ] || complain @{failed}
  sleep 0.02
done
printf '%s\n' "$id" @{lines} > @{record}.new && mv -f -- @{record}.new @{record}
