# What every step of an activation begins with. N, its number, is given by the host.
set -u
app=@{app}; root=/srv/$app
now() { date -u +%Y-%m-%dT%H:%M:%SZ; }
record() { printf '%s %s\n' "$1" "$(now)" >> @{records}/"$app"/@{release}; }
note() { printf '\n\036%s note %s\n' "$NONCE" "$*"; }
# socket is what Nginx opens, in a folder of root's: the instance listens in one that it may write to itself.
of() {
  unit=$app@$1.service; here=$root/activations/$1; socket=/run/$app/$1.sock
}
clock() { read -r seconds rest < /proc/uptime && seconds=${seconds%.*}; } # whatever happens to the time of day
# N SECONDS: ends an instance that gets no new requests when it has answered those it has: when only the listener of its
# socket is left. What still runs after that time is cut off, in $cut the number of it: it is told to end, and killed
# where it does not within two seconds, so that nothing is cut off behind the end of the run. Its workers take a second to
# go, for which nobody waits.
stopped() {
  cut=0
  requests() { running=$(($(grep -c " /run/$app/$1/app.sock\$" /proc/net/unix) - 1)); [ "$running" -gt 0 ]; }
  clock; end=$((seconds + $2))
  while requests "$1"; do
    clock; [ "$seconds" -lt "$end" ] || { cut=$running; break; }
    sleep 0.05
  done
  systemctl stop --no-block "$app@$1.service"
  [ "$cut" -gt 0 ] || return 0
  end=$((seconds + 2))
  while requests "$1" && clock && [ "$seconds" -lt "$end" ]; do sleep 0.05; done
  systemctl kill -s KILL "$app@$1.service" 2>/dev/null
}
etc=/etc/systemd/system
wants=$etc/multi-user.target.wants
units_of() { # N: the units of an activation, by the files in its folder: hello@.service is hello@N.service
  for file in "$root/activations/$1/units"/*; do
    file=${file##*/}
    [ "$file" != '*' ] && echo "${file%@*}@$1.${file##*.}" || echo "$app@$1.service"
  done
}
processes_of() { units_of "$1" | grep -v "^$app@"; } # N: those of them beside the web process
jobs_of() { # N: what timers start of it
  for file in "$root/activations/$1/jobs"/*; do
    file=${file##*/}; [ "$file" = '*' ] || echo "${file%@*}@$1.${file##*.}"
  done
}
runs() { # N: whether anything of that activation does, were it on its way out; a command that somebody runs in it, too
  { units_of "$1"; jobs_of "$1"; echo "barehost-run-$app@$1-*.service"; } | xargs systemctl show --value -p ActiveState -- |
    grep -qv '^inactive$\|^failed$\|^$'
}
# For the next boot: the links that systemctl would make, which first reads every unit; after the prune systemd does.
enabled() { # N
  [ -d "$wants" ] || mkdir "$wants" || return
  for one in $(units_of "$1"); do ln -sfT "$etc/$one" "$wants/$one" || return; done
}
disabled() { for one in $(units_of "$1"); do rm -f "$wants/$one"; done; } # N
current() { ln -sfT "activations/$1" "$root/.current.new" && mv -fT "$root/.current.new" "$root/current"; }
# N: an activation of which nothing runs. Its folder names its units, so it goes after them.
forgotten() {
  for one in $(units_of "$1") $(jobs_of "$1"); do rm -f "$wants/$one" "$etc/$one"; done
  rm -rf "${root:?}/activations/$1"
}
refused() { # an instance that never had a request of a visitor: nothing to wait for
  systemctl stop --no-block "$unit"; systemctl kill -s KILL "$unit" 2>/dev/null; systemctl stop "$unit"
  systemctl reset-failed "$unit" 2>/dev/null
  forgotten "$n"
}
marked() { stat -c '%i %s' "/var/log/nginx/$app.$1.log" > "$RUN/$app.$1-log" 2>/dev/null; } # access or error
logged() { # access or error: what Nginx wrote to that log since it was marked
  read -r inode size < "$RUN/$app.$1-log" || return
  [ "$(stat -c %i "/var/log/nginx/$app.$1.log")" = "$inode" ] || size=0
  tail -c "+$((size + 1))" "/var/log/nginx/$app.$1.log"
}
# What the instance itself said since this run started it, last, without what every traceback at import or every halt
# of Gunicorn has; and the key that settles it where the site wants to write into its code. Not by -n, which takes the
# first lines where --since is given, before systemd 254.
journal() { # of $unit
  clock; began=$seconds; { read -r began < "$RUN/$app.started"; } 2>/dev/null
  journalctl "_SYSTEMD_UNIT=$unit" --since "-$((seconds - began + 1))s" --no-pager -o cat | tail -n 120 |
    grep -v '^  File "<frozen importlib\|\] \[INFO\] ' | awk '
    /^Traceback \(most recent call last\):/ { held = $0; next }
    held == "" { print; next }
    { held = held "\n" $0 }
    /^[^ \t]/ { if ($0 !~ /HaltServer/) print held; held = "" }
    END { if (held != "") print held }' | tee "$RUN/$app.said"
  sed -n "s/.*[Rr]ead-only file system: '\([^']*\)'.*/\1/p" "$RUN/$app.said" | while read -r path; do
    for place in "$root/releases/"*/ "$root/activations/"*/release/ ./; do path=${path#"$place"}; done
    case $path in /*) key="sandbox: {writable: [${path%/*}]}" ;; */*) key="writable: [${path%/*}]" ;; *) key="writable: [$path]" ;; esac
    printf '%s\n' "$key"
  done | sort -u | while read -r key; do
    echo "the site may not write there; in the inventory this lets it: $key"
  done
}
