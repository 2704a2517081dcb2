# The new activation must answer through Nginx while the old still runs; else the link goes back.
[ -e "$RUN/$app.error-log" ] || marked error
most=@{timeout}; [ "$most" -le 15 ] || most=15
clock; end=$((seconds + most))
while :; do
  left=$((end - seconds)); [ "$left" -ge 1 ] || left=1
  answer=$(timeout "$left" /usr/bin/python3 -I -S - @{port} @{scheme} @{name} @{path} @{status} @{release} "$n" 2>&1 <<'ASK'
@{ask}
ASK
  ) && { record healthy; printf 'proven %s\n' "$(now)" >> "$here/record"; exit; }
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
