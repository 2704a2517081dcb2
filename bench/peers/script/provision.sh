#!/bin/sh
# The job by hand: ssh over one ControlMaster a host, and rsync. Three sessions a host, hosts side by side.
# rsync compares times to the nanosecond (-@-1): two renderings of one length within a second are two files.
#   provision.sh SSH_CONFIG SITE HOST...      MAX_BODY: Nginx's client_max_body_size
#   UV: a uv binary to build the venv with instead of pip       RELEASE=1: ship the code and restart, no more
set -eu
config=$1 site=$2; shift 2
here=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d /tmp/peer.XXXXXX)
trap 'rm -rf "$work"' EXIT
trap 'exit 143' HUP INT TERM
remote="ssh -F $config -o ControlMaster=auto -o ControlPersist=60 -o ControlPath=$work/%C"

mkdir "$work/files"
sed "s/{{ max_body }}/${MAX_BODY:-10m}/" "$here/files/shop.conf" > "$work/files/shop.conf"
cp "$here/files/shop.service" "$work/files/"

provision() {
    [ -n "${RELEASE-}" ] || $remote "$1" sh -s < "$here/script/packages.sh"
    sent=$(rsync -ai -@-1 --delete --exclude=__pycache__ -e "$remote" "$site" "$work/files" ${UV:+"$UV"} "$1:/srv/shop/")
    case $sent in *".py"*) code=changed ;; *) code= ;; esac
    $remote "$1" sh -s -- "${code:-same}" "${UV:+uv}" < "$here/script/services.sh"
    $remote -O exit "$1" 2>/dev/null
}

running=
for host; do
    (provision "$host") > "$work/$host.log" 2>&1 & running="$running $!"
done
failed=0
for process in $running; do wait "$process" || failed=1; done
cat "$work"/*.log
exit "$failed"
