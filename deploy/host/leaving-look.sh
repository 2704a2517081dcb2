# left APP keep|purge: one line with what is there of the site.
left() { # app keep|purge: one line with what is there of it
  root=/srv/$1; found=
  for part in current releases venvs activations assets; do
    if [ -e "$root/$part" ] || [ -L "$root/$part" ]; then found="$found $part"; fi
  done
  for file in /etc/systemd/system/"$1"@*.service; do
    [ ! -f "$file" ] || found="$found ${file##*/}"
  done
  for file in /etc/systemd/system/redis-server@"$1"-*.service.d /etc/systemd/system/valkey-server@"$1"-*.service.d \
    /etc/systemd/system/barehost-backup-"$1".service; do
    case ${file##*/} in
      *-server@"$1"-cache.service.d | *-server@"$1"-queue.service.d | barehost-*) [ ! -e "$file" ] || found="$found ${file##*/}" ;;
    esac
  done
  if [ "$2" = purge ]; then
    for file in /var/lib/redis-"$1"-queue /var/lib/valkey-"$1"-queue; do
      [ ! -e "$file" ] || found="$found $file"
    done
    [ ! -e "$root" ] || found="$found $root"
    ! getent passwd "$1" >/dev/null || found="$found account"
    for file in /var/log/nginx/"$1".access.log* /var/log/nginx/"$1".error.log*; do
      [ ! -f "$file" ] || found="$found ${file##*/}"
    done
  fi
  printf '%s %s\n' "$1" "${found# }"
}
