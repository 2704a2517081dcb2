# The fixed part of every apply: runs as root in a transient unit of its own, so that nothing but the host
# itself can stop it half way. The plan's own part follows below it and calls these functions.
#
#   RUN    this run's folder: steps/N, blobs/, upload/; for each scope S that has one: failed.S (what to do when it
#          fails); a folder for each files transaction, services/ and files/: undo, sweep, and for each scope that has
#          files in it keep.S, rename.S, candidate.S, ids.S
#   NONCE  marks the lines of the log that are events, not output
#
# A scope is a part of the host that fails by itself, by its number. Its steps end with the first that fails, and its
# files go back; the others go on. Scope 0 is the host: what fails there ends the run.
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
  flock -w 0.5 9 || { # a look holds it for a moment, to see whether anybody does
    read -r other < /run/barehost/holder; about='another run'; read -r about < "$other/about"
    event locked "$about holds the host since $(date -u -r "$other/pid" '+%Y-%m-%d %H:%M:%S UTC')"
    exit 75
  }
  printf '%s\n' "$RUN" >/run/barehost/holder
}

lost() { case "$ended" in *" $1 "*) true ;; *) false ;; esac } # scope: whether it has failed
ended=' ' proofs=' '

# A site's command ends with the apply that started it, but may take its time to die: before root touches what it
# could write to, it is gone.
settle() {
  for left in /run/systemd/transient/barehost-step-*.service; do
    [ ! -e "$left" ] || systemctl stop "${left##*/}" || fail 0
  done
}

# One step in a process of its own; the lock is not handed on, so that a daemon it starts cannot keep it.
step() { # number seconds scope label
  lost "$3" && return
  event begin "$1" "$4"
  timeout -k 10 "$2" sh "$RUN/steps/$1" 9>&-
  code=$?
  event end "$1" "$code"
  [ "$code" -eq 0 ] || fail "$3"
}

# What a run that was killed left behind: files that were never proven go back, staged ones go away.
# The old files stay until every one of them is back; where one cannot go back, a later run tries again.
recover() {
  if [ -e "$STATE/guard/armed" ]; then # nobody has confirmed it
    sh "$STATE/guard/revert" 9>&- || return
    event restored
  fi
  [ -e "$STATE/undo" ] || [ -e "$STATE/sweep" ] || return 0
  if [ -e "$STATE/undo" ]; then
    sh "$STATE/undo" 9>&- || { echo "some files could not be put back yet; the next run tries again"; return 1; }
    rm -f "$STATE/undo" && sync -f "$STATE" || return
    event restored
  fi
  swept
}

swept() {
  if [ -e "$STATE/sweep" ]; then sh "$STATE/sweep" && rm -rf "$STATE/kept" && rm -f "$STATE/sweep"; fi
  sync -f "$STATE"
}

# From here on files belong to this transaction. What one before it brought is committed; where some of that could not
# go back, no other may begin.
transaction() { # name scopes
  [ -z "${stuck-}" ] || fail 0
  T=$RUN/$1; shift; parts=$*
}
T=$RUN/none

# Before anything is staged, the host knows what to sweep away should the run end here.
announce() {
  mv -f "$T/sweep" "$STATE/sweep" && sync -f "$STATE" || fail 0
}

folder() { [ -d "$1" ] || mkdir -p -- "$1"; }

stage_file() { # scope blob owner group mode target
  lost "$1" && return
  folder "${6%/*}" && install -T -o "$3" -g "$4" -m "$5" -- "$RUN/blobs/$2" "${6%/*}/.barehost-new.${6##*/}" || fail "$1"
}

stage_link() { # scope target-of-the-link path
  lost "$1" && return
  folder "${3%/*}" && ln -sfT -- "$2" "${3%/*}/.barehost-new.${3##*/}" || fail "$1"
}

# A check sees the whole candidate /etc: what is staged laid over it, what goes away hidden. Where it refuses that, it
# is asked about the host's own files, and about each scope's beside those that passed: whose are refused has failed.
candidate() { # number seconds scope label
  [ -e "$CANDIDATE" ] || lay $parts || fail 0
  event begin "$1" "$4"
  accepts "$1" "$2" && { cat "$RUN/check"; event end "$1" 0; return; }
  passed=
  for part in 0 $parts; do
    [ "$part" != 0 ] || [ -z "$passed" ] || continue
    lost "$part" && continue
    lay $passed "$part" || fail 0
    if accepts "$1" "$2"; then passed="$passed $part"; continue; fi
    [ -z "${refused-}" ] || event begin "$1" "$4"
    refused=$part
    cat "$RUN/check"
    event end "$1" "$code"
    fail "$part"
  done
  [ -n "${refused-}" ] || event end "$1" 0
  refused=
  lay $passed || fail 0
}

lay() { # scopes: what they staged makes the candidate
  rm -rf "$CANDIDATE" && mkdir "$CANDIDATE" || return
  for one; do
    lost "$one" || [ ! -e "$T/candidate.$one" ] || (. "$T/candidate.$one") || return
  done
}

accepts() { # step seconds: what the check prints lies in $RUN/check, its exit code in $code
  unshare -m --propagation private sh -c '
    mount -t overlay -o lowerdir="$CANDIDATE":/etc overlay /etc || {
      echo "this kernel or container cannot lay an overlay over /etc, so nothing can be checked before it serves"
      exit 90; }
    exec timeout -k 10 "$2" sh "$RUN/steps/$1"' sh "$1" "$2" 9>&- > "$RUN/check" 2>&1
  code=$?
  [ "$code" -eq 0 ]
}

# From here to commit() the undo on the disk takes everything back that is not kept, also after a power cut.
switch() {
  for part in $parts; do
    lost "$part" || (. "$T/keep.$part") || fail "$part"
  done
  rm -rf "$STATE/kept" && mkdir "$STATE/kept" || fail 0
  for part in $parts; do
    lost "$part" && { : > "$STATE/kept/$part" || fail 0; } # nothing of it is in place
  done
  sync -f "$STATE" && mv -f "$T/undo" "$STATE/undo" && sync -f "$STATE" || fail 0
  for part in $parts; do
    lost "$part" || (. "$T/rename.$part") || fail "$part"
  done
  event switched
}

# What these scopes brought is proven: nothing takes their files back any more.
kept() { # scopes
  for one; do
    lost "$one" || : > "$STATE/kept/$one" || fail 0
  done
  sync -f "$STATE"
}

proved() { # scope: what it brought works, its files as well; what fails in it now takes nothing back
  lost "$1" && return
  proofs="$proofs$1 "
  [ ! -e "$STATE/undo" ] || kept "$1"
}

commit() {
  [ -z "${stuck-}" ] || return 0 # some files could not go back: a later run tries again
  rm -f "$STATE/undo" && sync -f "$STATE" && (. "$STATE/sweep") && rm -rf "$STATE/kept" && rm -f "$STATE/sweep"
  rm -rf "$CANDIDATE" "$T"/ids.*
  event committed
}

fail() { # scope
  if [ "$1" != 0 ]; then lose "$1"; return; fi
  for one in 0 $scopes; do lost "$one" || abandon "$one"; done
  recover
  finish failed
  exit 1
}

# The scope has failed: it has no further steps, and its files go back where they were not proven.
lose() { # scope
  ended="$ended$1 "
  event lost "$1"
  settle
  abandon "$1"
  case "$proofs" in *" $1 "*) return ;; esac
  for ids in "$RUN"/*/"ids.$1"; do [ ! -e "$ids" ] || cat "$ids" >> "$RUN/lost-ids"; done
  if [ -e "$STATE/undo" ] && [ -e "$T/rename.$1" ] && [ ! -e "$STATE/kept/$1" ]; then
    if sh "$STATE/undo" "$1" 9>&-; then event restored "$1"
    else echo "some files could not be put back yet; the next run tries again"; stuck=1; fi
  fi
}

abandon() { # scope: what is to be done where it did not come about
  case "$proofs" in *" $1 "*) ;; *) [ ! -e "$RUN/failed.$1" ] || sh "$RUN/failed.$1" 9>&- ;; esac
}

finish() { # outcome
  [ "$1" != done ] || [ "$ended" = ' ' ] || set -- partly
  read -r about < "$RUN/about"
  printf '%s %s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$1" "$about" >>/var/log/barehost.log
  rm -rf "$RUN/blobs" "$RUN/upload" "$RUN/steps" "$RUN/services" "$RUN/files" "$CANDIDATE"
  echo "$1" > "$RUN/outcome"
  event finished "$1"
}

lock
[ ! -e "$CANDIDATE" ] || rm -rf "$CANDIDATE"
settle
recover || { finish failed; exit 1; }
