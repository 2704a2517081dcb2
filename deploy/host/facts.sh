# One fact a line. Runs on a bare host: sh and what Debian calls essential, few processes, no Python started.
. /etc/os-release
printf 'os %s\nversion %s\ncodename %s\n' "${ID-}" "${VERSION_ID-}" "${VERSION_CODENAME-}"
printf 'arch %s\n' "$(dpkg --print-architecture 2>/dev/null)"
read -r name < /proc/sys/kernel/hostname && printf 'hostname %s\n' "$name"
if [ -x /usr/bin/python3 ]; then printf 'python %s\n' "$(readlink /usr/bin/python3)"; fi
if [ -x /usr/sbin/nginx ]; then printf 'nginx %s\n' "$(/usr/sbin/nginx -v 2>&1)"; fi
printf 'cores %s\n' "$(nproc)"
while read -r key value unit; do
  [ "$key" = MemTotal: ] && printf 'memory %s\n' "$value" && break
done < /proc/meminfo
brotli=no
for module in /etc/nginx/modules-enabled/*brotli-static.conf; do
  if [ -e "$module" ] && [ -x /usr/bin/brotli ]; then brotli=yes; fi
done
printf 'brotli %s\n' "$brotli"
[ -e /proc/net/if_inet6 ] && printf 'ipv6 yes\n' || printf 'ipv6 no\n'
if [ -s /run/systemd/container ]; then read -r kind < /run/systemd/container; printf 'container %s\n' "$kind"; fi
clock=none
for daemon in /usr/sbin/chronyd /usr/sbin/ntpd /lib/systemd/systemd-timesyncd; do
  [ ! -x "$daemon" ] || { clock=${daemon##*/}; break; }
done
printf 'clock %s\n' "$clock"
for mark in /var/lib/barehost/apps/*; do
  [ -e "$mark" ] || continue
  app=${mark##*/}
  last=0; for folder in /srv/"$app"/activations/*; do
    n=${folder##*/}; case $n in *[!0-9]*) continue ;; esac
    [ "$n" -gt "$last" ] && last=$n
  done
  current=$(readlink /srv/"$app"/current) || current=
  current=${current##*/}
  release=; venv=
  if [ -n "$current" ]; then
    release=$(readlink /srv/"$app"/activations/"$current"/release) || release=
    venv=$(readlink /srv/"$app"/activations/"$current"/venv) || venv=
  fi
  manifest=
  if [ -n "$release" ]; then
    record=$(printf %s "$release" | sha256sum)
    record=/var/lib/barehost/trees/${record%% *}/manifest
    [ -e "$record" ] && read -r manifest < "$record"
  fi
  release=${release##*/} venv=${venv##*/}
  printf 'app %s %s %s %s %s %s\n' "$app" "${current:--}" "$last" "${release:--}" "${venv:--}" "${manifest:--}"
done
:
