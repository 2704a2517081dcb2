# The fixed part of every apply: runs as root in a transient unit of its own, so that nothing but the host
# itself can stop it half way. The plan's own part follows below it and calls these functions.
#
#   RUN    this run's folder: steps/N, blobs/, upload/, undo, sweep, candidate
#   NONCE  marks the lines of the log that are events, not output
STATE=/var/lib/barehost
CANDIDATE=/run/barehost/candidate # in memory: what hides a file is a device, which not every disk can hold
export RUN NONCE CANDIDATE UPLOAD="$RUN/upload" LC_ALL=C HOME=/root DEBIAN_FRONTEND=noninteractive
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
umask 022
cd /
exec </dev/null >>"$RUN/log" 2>&1
echo $$ > "$RUN/pid"

event() { printf '\n\036%s %s\n' "$NONCE" "$*"; }

lock() {
  [ -d /run/barehost ] || mkdir -p -m 700 /run/barehost
  exec 9>>/run/barehost/lock
  flock -w 0.5 9 || { event locked; exit 75; } # a look holds it for a moment, to see whether anybody does
  printf '%s\n' "$RUN" >/run/barehost/holder
}

# A site's command ends with the apply that started it, but may take its time to die: before root touches what it
# could write to, it is gone.
settle() {
  for left in /run/systemd/transient/barehost-step-*.service; do
    [ ! -e "$left" ] || systemctl stop "${left##*/}" || fail
  done
}

# One step in a process of its own; the lock is not handed on, so that a daemon it starts cannot keep it.
step() {
  event begin "$1"
  timeout -k 10 "$2" sh "$RUN/steps/$1" 9>&-
  code=$?
  event end "$1" "$code"
  [ "$code" -eq 0 ] || fail
}

# What a run that was killed left behind: files that were never proven go back, staged ones go away.
# The old files stay until every one of them is back; where one cannot go back, a later run tries again.
recover() {
  [ -e "$STATE/undo" ] || [ -e "$STATE/sweep" ] || return 0
  if [ -e "$STATE/undo" ]; then
    sh "$STATE/undo" 9>&- || { echo "some files could not be put back yet; the next run tries again"; return 1; }
    rm -f "$STATE/undo" && sync -f "$STATE" || return
    event restored
  fi
  if [ -e "$STATE/sweep" ]; then sh "$STATE/sweep" && rm -f "$STATE/sweep"; fi
  sync -f "$STATE"
}

# Before anything is staged, the host knows what to sweep away should the run end here.
announce() {
  mv -f "$RUN/sweep" "$STATE/sweep" && sync -f "$STATE" || fail
}

folder() { [ -d "$1" ] || mkdir -p -- "$1"; }

stage_file() { # blob owner group mode target
  folder "${5%/*}" && install -T -o "$2" -g "$3" -m "$4" -- "$RUN/blobs/$1" "${5%/*}/.barehost-new.${5##*/}" || fail
}

stage_link() { # target-of-the-link path
  folder "${2%/*}" && ln -sfT -- "$1" "${2%/*}/.barehost-new.${2##*/}" || fail
}

# A check sees the whole candidate /etc: what is staged laid over it, what goes away hidden.
candidate() { # step seconds
  [ -e "$CANDIDATE" ] || { mkdir "$CANDIDATE" && (. "$RUN/candidate") || fail; }
  event begin "$1"
  unshare -m --propagation private sh -c '
    mount -t overlay -o lowerdir="$CANDIDATE":/etc overlay /etc || {
      echo "this kernel or container cannot lay an overlay over /etc, so nothing can be checked before it serves"
      exit 90; }
    exec timeout -k 10 "$2" sh "$RUN/steps/$1"' sh "$1" "$2" 9>&-
  code=$?
  event end "$1" "$code"
  [ "$code" -eq 0 ] || fail
}

# From here to commit() the undo on the disk takes everything back, also after a power cut.
switch() {
  (. "$RUN/keep") && sync -f "$STATE" && mv -f "$RUN/undo" "$STATE/undo" && sync -f "$STATE" || fail
  (. "$RUN/rename") || fail
  event switched
}

commit() {
  rm -f "$STATE/undo" && sync -f "$STATE" && (. "$STATE/sweep") && rm -f "$STATE/sweep"
  event committed
}

fail() {
  sh "$RUN/failed" 9>&-
  recover
  finish failed
  exit 1
}

finish() { # outcome
  read -r about < "$RUN/about"
  printf '%s %s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$1" "$about" >>/var/log/barehost.log
  rm -rf "$RUN/blobs" "$RUN/upload" "$RUN/steps" "$RUN/candidate" "$CANDIDATE"
  echo "$1" > "$RUN/outcome"
  event finished "$1"
}

lock
[ ! -e "$CANDIDATE" ] || rm -rf "$CANDIDATE"
settle
recover || { finish failed; exit 1; }
