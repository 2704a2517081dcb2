# What the host has left. Output: memory BYTES (what new processes may use), disk BYTES (free below /srv).
while read -r key value unit; do
  [ "$key" = MemAvailable: ] && printf 'memory %s\n' "$((value * 1024))" && break
done < /proc/meminfo
printf 'disk %s\n' $(($(stat -f -c '%a * %S' /srv)))
