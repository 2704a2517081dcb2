# Waits until no other program holds a lock of apt or dpkg. Needs fail().
holder() {  # who holds the lock on file $1, as a sentence's middle; fails when nobody does
  inode=$(stat -c %i -- "$1" 2>/dev/null) || return 1
  pid=
  while read -r _ kind _ _ owner place _; do
    case "$kind $place" in "POSIX "*":$inode") pid=$owner ;; esac
  done < /proc/locks
  [ -n "$pid" ] || return 1
  started=$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | cut -d' ' -f20) || started=
  command=$(tr '\0' ' ' < "/proc/$pid/cmdline" 2>/dev/null) || command=
  uptime=$(cut -d. -f1 /proc/uptime)
  printf '%.60s (process %s%s)' "${command:-another program}" "$pid" \
    "${started:+, for $((uptime - started / $(getconf CLK_TCK 2>/dev/null || echo 100))) s}"
}
free() {  # waits until nobody holds a lock of apt or dpkg, 120 s at most
  left=120
  for lock in /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock \
    /var/cache/apt/archives/lock
  do
    printed=
    while who=$(holder "$lock"); do
      if [ "$left" -le 0 ]; then
        fail "$lock is still held by $who after 120 s: let it end, or end it, and run again"
      fi
      if [ -z "$printed" ]; then printed=1; printf 'waiting for %s, which holds %s\n' "$who" "$lock"; fi
      sleep 1; left=$((left - 1))
    done
  done
}
free
