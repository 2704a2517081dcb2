# Ask on the instance's own socket until it answers as expected, it dies, or its time is over.
# Asked as Nginx's user, so that a socket it cannot open fails here and not after the switch.
restarts=
clock; end=$((seconds + @{timeout}))
while :; do
  left=$((end - seconds)); [ "$left" -ge 1 ] || left=1
  answer=$(timeout "$left" setpriv --reuid www-data --regid www-data --init-groups /usr/bin/python3 -I -S - \
    "$socket" @{scheme} @{name} @{path} @{status} @{release} "$n" 2>&1 <<'ASK'
@{ask}
ASK
  )
  code=$?
  if [ "$code" = 0 ]; then
    printf 'healthy %s\n' "$(now)" >> "$here/record" && exit 0
    exit 1
  fi
  [ "$code" != 3 ] || { reason="it answers, and not as asked for"; break; }
  shown=$(systemctl show -p ActiveState,NRestarts "$unit")
  state=${shown#*ActiveState=}; state=${state%%
*}
  count=${shown#*NRestarts=}; count=${count%%
*}
  case $state in active | activating) ;; *) reason="the instance is $state"; break ;; esac
  if [ "$count" != "${restarts:=$count}" ]; then reason="the instance crashed at start"; break; fi
  clock; if [ "$seconds" -ge "$end" ]; then reason="not healthy within @{timeout} s"; break; fi
  sleep 0.05
done
journal
echo "$unit: $reason (${answer:-no answer})"
if [ "$(readlink "$root/current")" != "activations/$n" ]; then
  record failed
  refused
fi
exit 1
