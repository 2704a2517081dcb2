# What is going on at the host: an apply, a longer run, a files transaction that a killed run left open.
# Output: a line for each that there is: running FOLDER, holder WHO, busy WHO SINCE, unfinished WHEN (UTC).
taken() { [ -e "$1" ] && ! (flock -n 9) 9< "$1"; }
if taken /run/barehost/lock; then
  read -r run < /run/barehost/holder && printf 'running %s\n' "$run"
  printf 'holder %s\n' "$(cat "$run/about" 2>/dev/null)"
else
  if [ ! -e "$SCRATCH/lock" ] && taken /run/barehost/run; then
    printf 'busy %s\n' "$(cat /run/barehost/run.by)"
  fi
  [ ! -e /var/lib/barehost/guard/held ] || echo 'armed yes'
  for left in /var/lib/barehost/guard/armed /var/lib/barehost/undo /var/lib/barehost/sweep; do
    [ -e "$left" ] && printf 'unfinished %s\n' "$(date -u -r "$left" '+%Y-%m-%d %H:%M:%S')" && break
  done
fi
:
