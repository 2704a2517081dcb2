# What sites and Nginx logged, in the order of time, each line with the site in front.
# in:  since (a time as journalctl takes it), most (lines of each log), follow (yes: go on until cut off), apps (sites),
#      process (of this process or timer alone; empty: of all, and Nginx's errors)
# out: lines; exit code 64 where systemd knows no such time
set -- @{apps}
normal=$(systemd-analyze timestamp @{since} 2>/dev/null) && at=${normal##*UNIX seconds: @} && at=${at%%[!0-9]*} &&
  from=$(date -d "@$at" +%Y-%m-%dT%H:%M:%S) || exit 64
zone=$(date +%z) now=$(date +%s)

# What Nginx writes (2026/11/23 09:23:02 [error] …) with the time as the journal has it.
as_journal() { sed -u "s|^\([0-9]*\)/\([0-9]*\)/\([0-9]*\) \([0-9:]*\) |\1-\2-\3T\4$zone nginx: |"; }
# Lines of site $1 behind the time that each belongs to: a message of several lines stays together.
timed() {
  awk -v from="$from" -v app="$1" '
    /^[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T/ { at = substr($0, 1, 19) }
    at >= from { print at "\t" app " | " $0 }'
}
units() { # SITE: journalctl's options for what it runs; its processes by the files in its activations
  if [ -n @{process} ]; then
    printf '%s\n' -u "$1-"@{process}"@*" -u "$1-"@{process}".*@*" -u "$1-"@{process}.service
    return
  fi
  printf '%s\n' -u "$1@*"
  for file in "/srv/$1"/activations/*/units/* "/srv/$1"/activations/*/jobs/* "/srv/$1"/activations/*/timers/*.service; do
    file=${file##*/}
    case $file in '*' | '*.service' | "$1@.service") ;; *@*) printf '%s\n' "-u" "${file%@*}@*" ;; *) printf '%s\n' -u "$file" ;; esac
  done | awk '$0 == "-u" { next } !seen[$0]++ { print "-u"; print }'
}
error_log() { if [ -n @{process} ]; then echo /dev/null; else printf '/var/log/nginx/%s.error.log' "$1"; fi; }

for app; do
  size=$(stat -c %s -- "$(error_log "$app")" 2>/dev/null) || size=0
  echo "$size" > "$SCRATCH/$app.size"
  # journalctl's own -n counts from the oldest where there is a -S, on systemd 252 and before
  { journalctl --no-pager -q -o short-iso -S "@$at" --show-cursor $(units "$app") || echo "$?" > "$SCRATCH/failed"; } |
    tail -n "$(( @{most} + 1))" > "$SCRATCH/journal"
  [ ! -e "$SCRATCH/failed" ] || exit 1
  sed -n 's/^-- cursor: //p' "$SCRATCH/journal" > "$SCRATCH/$app.cursor"
  grep -v '^-- cursor: ' "$SCRATCH/journal" | tail -n @{most} | timed "$app"
  head -c "$size" -- "$(error_log "$app")" 2>/dev/null | tail -n @{most} | as_journal | timed "$app"
done > "$SCRATCH/lines" || exit
sort -s -t "$(printf '\t')" -k 1,1 "$SCRATCH/lines" | cut -f 2-
[ @{follow} = yes ] || exit 0

for app; do
  read -r size < "$SCRATCH/$app.size"
  read -r cursor < "$SCRATCH/$app.cursor" && from=--after-cursor=$cursor || from=--since=@$now
  { journalctl -f --no-tail --no-pager -q -o short-iso "$from" $(units "$app") &
    tail -q -c "+$((size + 1))" -F "$(error_log "$app")" 2>/dev/null | as_journal; wait
  } | sed -u "s/^/$app | /" &
done
# Whoever follows is gone when the sshd of this session is: what has nothing to write would not notice.
sshd=$LOOP
while read -r name < "/proc/$sshd/comm"; do
  case $name in sshd*) break ;; esac
  sshd=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$sshd/status")
done 2>/dev/null
{ tail -f --pid="$sshd" /dev/null; kill 0; } &
wait
