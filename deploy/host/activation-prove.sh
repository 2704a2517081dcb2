# The new activation must answer through Nginx while the old still runs; else the link goes back.
[ -e "$RUN/$app.error-log" ] || marked error
left_behind() { # a release that was gone back from is marked until it is healthy again: nobody goes back to it unasked
  before=
  while read -r key value; do [ "$key" != before ] || before=$value; done < "$here/record"
  [ -e @{records}/"$app/$before" ] && [ -n "$before" ] && expr "x$before" \> "x@{release}" >/dev/null || return 0
  printf 'left %s\n' "$(now)" >> @{records}/"$app/$before"
}
most=@{timeout}; [ "$most" -le 15 ] || most=15
clock; end=$((seconds + most))
while :; do
  left=$((end - seconds)); [ "$left" -ge 1 ] || left=1
  answer=$(timeout "$left" /usr/bin/python3 -I -S - @{port} @{scheme} @{name} @{path} @{status} @{release} "$n" @{doors} 2>&1 <<'ASK'
@{ask}
ASK
  ) && { record healthy; left_behind; printf 'proven %s\n' "$(now)" >> "$here/record"; exit; }
  clock; [ "$seconds" -lt "$end" ] || break
  sleep 0.05
done
logged error | tail -n 5
echo "through Nginx: $answer"
record failed
[ -e "$RUN/$app.old" ] || exit 1 # this run did not switch: what serves stays
read -r old < "$RUN/$app.old"
if [ -n "$old" ]; then
  enabled "$old" && sync -f "$wants" && current "$old" && sync -f "$root" || exit
else
  rm -f "$root/current"
fi
disabled "$n"
stopped "$n" 5; systemctl stop "$unit"; forgotten "$n"
exit 1
