# instances APP: each that systemd knows, with its state, in one question; none where no systemd runs.
instances() {
  [ -d /run/systemd/system ] || return 0
  systemctl show --no-pager -p Id,ActiveState -- "$1@*.service"
}
# look APP: what runs of a site, and what an interrupted switch left running or enabled beside it.
look() {
  root=/srv/$1
  current=$(readlink "$root/current") || current=
  n=${current##*/}
  printf '%s\ncurrent %s\n' "$1" "$n"
  here=$root/activations/$n
  active=inactive running=
  told=$(instances "$1") || return
  while IFS='=' read -r key value; do
    case $key in
      Id) unit=$value ;;
      ActiveState)
        [ "$unit" != "$1@$n.service" ] || active=$value
        case $value in active|activating|failed) running="$running $unit" ;; esac ;;
    esac
  done <<told
$told
told
  if [ -n "$n" ] && [ -d "$here" ]; then
    link=$(readlink "$here/release") && printf 'release %s\n' "${link##*/}"
    link=$(readlink "$here/venv") && printf 'venv %s\n' "${link##*/}"
    if [ -f "$here/env" ]; then
      sum=$({ printf %s @{key}; cat "$here/env"; } | sha256sum) || return
      printf 'env keyed:%s\n' "${sum%% *}"
    fi
    if [ -f "$here/gunicorn.conf.py" ]; then
      sum=$(sha256sum < "$here/gunicorn.conf.py") || return
      printf 'config %s\n' "${sum%% *}"
    fi
    if [ -f "$here/record" ]; then while IFS= read -r line; do printf '%s\n' "$line"; done < "$here/record" || return; fi
    if [ -d "$here/www" ]; then
      (cd "$here/www" && find . -type l -printf 'www %P -> %l\n') | sed "s|/srv/$1/releases/[^/]*/||" || return
    fi
    printf 'active %s\n' "$active"
    if [ -L "/etc/systemd/system/multi-user.target.wants/$1@$n.service" ]; then echo 'enabled enabled'
    else echo 'enabled disabled'; fi
  fi
  stray=
  for link in /etc/systemd/system/multi-user.target.wants/"$1"@*.service; do
    [ -L "$link" ] || continue
    unit=${link##*/}; [ "$unit" = "$1@$n.service" ] || stray="$stray $unit"
  done
  for unit in $running; do
    [ "$unit" = "$1@$n.service" ] && continue
    case " $stray " in *" $unit "*) ;; *) stray="$stray $unit" ;; esac
  done
  printf 'stray %s\n\0' "${stray# }"
}
