# One fact a line. Runs on a bare host: sh and what Debian calls essential, few processes, no Python started.
. /etc/os-release
printf 'os %s\nversion %s\ncodename %s\n' "${ID-}" "${VERSION_ID-}" "${VERSION_CODENAME-}"
printf 'arch %s\n' "$(dpkg --print-architecture 2>/dev/null)"
read -r name < /proc/sys/kernel/hostname && printf 'hostname %s\n' "$name"
# A site is known by its records, or by what it serves: the records may be lost.
recorded=' ' apps=
for mark in /var/lib/barehost/apps/*; do
  [ ! -e "$mark" ] || { apps="$apps ${mark##*/}"; recorded="$recorded${mark##*/} "; }
done
for mark in /srv/*/current; do
  app=${mark%/current}; app=${app##*/}
  case $app in *[!a-z0-9-]*) continue ;; esac
  case $recorded in *" $app "*) ;; *) [ ! -d "/srv/$app/activations" ] || apps="$apps $app" ;; esac
done
# Every link in one question, which is one process: Python's, and those of each site.
set -- /usr/bin/python3
for app in $apps; do
  root=/srv/$app
  set -- "$@" "$root/current" "$root"/activations/*/release "$root"/activations/*/venv
done
links=$(find "$@" -maxdepth 0 -type l -printf '%p %l\n' 2>/dev/null)
target() { # path: where that link leads, in $to; empty when it is none
  while read -r link to; do [ "$link" != "$1" ] || return 0; done <<links
$links
links
  to=
}
if [ -x /usr/bin/python3 ]; then target /usr/bin/python3; printf 'python %s\n' "$to"; fi
# as nproc counts: the processors that this process may use
cores=0
while read -r key value; do [ "$key" != Cpus_allowed_list: ] || break; done < /proc/self/status
while [ -n "$value" ]; do
  range=${value%%,*}; value=${value#"$range"}; value=${value#,}
  cores=$((cores + ${range#*-} - ${range%-*} + 1))
done
printf 'cores %s\n' "$cores"
while read -r key value unit; do
  [ "$key" = MemTotal: ] && printf 'memory %s\n' "$value" && break
done < /proc/meminfo
[ -e /proc/net/if_inet6 ] && printf 'ipv6 yes\n' || printf 'ipv6 no\n'
if [ -s /run/systemd/container ]; then read -r kind < /run/systemd/container; printf 'container %s\n' "$kind"; fi
clock=none
for daemon in /usr/sbin/chronyd /usr/sbin/ntpd /lib/systemd/systemd-timesyncd; do
  [ ! -x "$daemon" ] || { clock=${daemon##*/}; break; }
done
printf 'clock %s\n' "$clock"
for app in $apps; do
  target /srv/"$app"/current; current=${to##*/}
  case $recorded in *" $app "*) ;; *) case $to in activations/*) ;; *) continue ;; esac ;; esac # another tool's
  release=; venv=
  if [ -n "$current" ]; then
    target /srv/"$app"/activations/"$current"/release; release=$to
    target /srv/"$app"/activations/"$current"/venv; venv=$to
  fi
  manifest=
  if [ -n "$release" ]; then
    record=$(printf %s "$release" | sha256sum)
    record=/var/lib/barehost/trees/${record%% *}/manifest
    [ -e "$record" ] && read -r manifest < "$record"
  fi
  procfile=$release/Procfile
  release=${release##*/} venv=${venv##*/}
  printf 'app %s %s %s %s %s\n' "$app" "${current:--}" "${release:--}" "${venv:--}" "${manifest:--}"
  if [ -n "$release" ] && [ -f "$procfile" ] && [ ! -L "$procfile" ]; then # a build could make it a link
    while IFS= read -r line || [ -n "$line" ]; do printf 'procfile %s\n' "$line"; done < "$procfile"
  fi
done
:
