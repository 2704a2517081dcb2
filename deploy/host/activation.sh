# What every step of an activation begins with. N, its number, is given by the host.
set -u
app=@{app}; root=/srv/$app
now() { date -u +%Y-%m-%dT%H:%M:%SZ; }
record() { printf '%s %s\n' "$1" "$(now)" >> @{records}/"$app"/@{release}; }
note() { printf '\n\036%s note %s\n' "$NONCE" "$*"; }
of() { unit=$app@$1.service; here=$root/activations/$1; socket=/run/$app/$1/gunicorn.sock; }
clock() { read -r seconds rest < /proc/uptime && seconds=${seconds%.*}; } # whatever happens to the time of day
busy() { [ "$(grep -c " $1\$" /proc/net/unix)" -gt 1 ]; } # the listener of a socket, and a request at least
drained() { # the socket of an instance that gets no new requests: wait until only its listener is left
  clock; end=$((seconds + $2))
  while busy "$1"; do
    clock; [ "$seconds" -lt "$end" ] || { echo "requests were still running after $2 s; they are ended now"; return; }
    sleep 0.05
  done
}
wants=/etc/systemd/system/multi-user.target.wants
# For the next boot: the links that systemctl would make, which first reads every unit; after the prune systemd does.
enabled() { [ -d "$wants" ] || mkdir "$wants" && ln -sfT "/etc/systemd/system/$app@.service" "$wants/$1"; }
disabled() { rm -f "$wants/$1"; }
current() { ln -sfT "activations/$1" "$root/.current.new" && mv -fT "$root/.current.new" "$root/current"; }
refused() { # an instance that never had a request of a visitor: nothing to wait for
  systemctl stop --no-block "$unit"; systemctl kill -s KILL "$unit" 2>/dev/null; systemctl stop "$unit"
  systemctl reset-failed "$unit" 2>/dev/null
  rm -rf "$here"
}
journal() { # what the instance itself said last, without what every traceback at import or every halt of Gunicorn has
  journalctl "_SYSTEMD_UNIT=$unit" -n 120 --no-pager -o cat | grep -v '^  File "<frozen importlib\|\] \[INFO\] ' | awk '
    /^Traceback \(most recent call last\):/ { held = $0; next }
    held == "" { print; next }
    { held = held "\n" $0 }
    /^[^ \t]/ { if ($0 !~ /HaltServer/) print held; held = "" }
    END { if (held != "") print held }'
}
