#!/bin/sh
# One folder to /srv/assets: rsync by size and time, or (TAR=1) a plain tar through ssh, which knows only the first push.
#   sync.sh SSH_CONFIG FOLDER HOST
set -eu
if [ -n "${TAR-}" ]; then
    tar -C "$2" -cf - . | ssh -F "$1" "$3" 'mkdir -p /srv/assets && tar -C /srv/assets -xf -'
else
    rsync -ai --delete -e "ssh -F $1" "$2/" "$3:/srv/assets/"
fi
