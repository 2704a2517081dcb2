# Brings one unit to what it should have loaded, waits for its proof, and only then records what it has loaded.
ask() { systemctl show --no-pager -p ActiveState,InvocationID,MainPID -- @{name} > "$RUN/unit"; }
is_active() {
  while IFS='=' read -r key value; do
    case $key in
      ActiveState) state=$value ;;
      InvocationID) id=$value ;;
      MainPID) main=$value ;;
    esac
  done < "$RUN/unit"
  [ "$state" = active ]
}
active() { ask && is_active; }
# Reloads by SIGHUP to the main process. The proof is asked for at once, and finds the children that it had before.
hup() {
  wait "$asking" && is_active || return
  [ "${main:-0}" -gt 0 ] || return # 0 would be every process of this run
  proven=by-itself # what answers is running, and it is the same invocation
  before=; { read -r before < "/proc/$main/task/$main/children"; } 2>/dev/null
  kill -s HUP "$main"
}
# What only this host compares, a secret or what merely lies there: by a key that never leaves it. Before the service
# reads them: what changes in between is then seen as not loaded.
set -- @{kept}
if [ $# -gt 0 ] && [ ! -s @{key} ]; then
  (umask 077; head -c 32 /dev/urandom | sha256sum > @{key}.new) && sync -- @{key}.new && mv -f -- @{key}.new @{key} || exit
fi
kept=$(for path; do
  sum=absent
  if [ -f "$path" ]; then sum=$(cat -- @{key} "$path" | sha256sum) || exit; fi
  printf 'host:%s path:%s\n' "${sum%% *}" "$path"
done) || exit
@{meanwhile}
rm -f -- @{record} && sync -f @{records} || exit
proven=
now() { read -r now rest < /proc/uptime; now=${now%.*}; } # no process, and no clock that is set meanwhile
now; began=$now
size=$(stat -c %s -- @{log} 2>/dev/null) || size=0
complain() {
  now; journalctl -q --no-pager -o cat --since "-$((now - began + 1))s" -u @{name} | tail -n 20
  tail -c +"$((size + 1))" -- @{log} 2>/dev/null | tail -n 10 | uniq
  echo "$1"
  exit 1
}
@{bring} || complain @{refused}
now; deadline=$((now + @{seconds}))
until { @{proof}
} && { [ -n "$proven" ] || active; }; do
  now; [ "$now" -lt "$deadline" ] || complain @{failed}
  sleep 0.02
done
# What a scope that has failed did not bring was read as it lies on the disk.
lost() { [ -s "$RUN/lost-ids" ] && grep -qxF -e "$1" "$RUN/lost-ids"; } # id
lies() { # path: its digest, as a look takes it
  if [ -L "$1" ]; then readlink -n -- "$1" | sha256sum
  elif [ -f "$1" ]; then sha256sum < "$1"
  else echo absent
  fi
}
loaded() {
  printf '%s\n' "$id"
  for line; do
    input=${line#* }
    if lost "$input"; then sum=$(lies "${input#path:}") && line="${sum%% *} $input" || return; fi
    printf '%s\n' "$line"
  done
}
{ loaded @{lines} && { [ -z "$kept" ] || printf '%s\n' "$kept"; }; } > @{record}.new && mv -f -- @{record}.new @{record}
