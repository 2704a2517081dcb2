# The new activation must answer through Nginx while the old still runs; else the link goes back.
[ -e "$RUN/$app.error-log" ] || marked error
most=@{timeout}; [ "$most" -le 15 ] || most=15
clock; end=$((seconds + most))
while :; do
  left=$((end - seconds)); [ "$left" -ge 1 ] || left=1
  answer=$(timeout "$left" /usr/bin/python3 -I -S - @{port} @{scheme} @{name} @{path} @{status} @{release} "$n" @{doors} 2>&1 <<'ASK'
@{ask}
ASK
  ) && break
  clock
  if [ "$seconds" -ge "$end" ]; then
    logged error | tail -n 5
    echo "through Nginx: $answer"
    record failed
    go_back
  fi
  sleep 0.05
done
