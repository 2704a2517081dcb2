# instances APP: each that systemd knows, with its state, in one question; none where no systemd runs.
instances() {
  [ -d /run/systemd/system ] || return 0
  systemctl show --no-pager -p Id,ActiveState -- "$1@*.service"
}
# look APP: what runs of a site, and what an interrupted switch left running or enabled beside it.
look() {
  root=/srv/$1
  instances "$1" > "$SCRATCH/instances-$1" & asking=$!
  links=$(find "$root/current" "$root"/activations/*/release "$root"/activations/*/venv "$root"/activations/*/www \
    -type l -printf '%p//%l\n' 2>/dev/null) # one process for all of them
  n=
  case $links in "$root/current//"*) n=${links#"$root/current//"}; n=${n%%
*}; n=${n##*/} ;; esac
  printf '%s\ncurrent %s\n' "$1" "$n"
  here=$root/activations/$n
  if [ -n "$n" ] && [ -d "$here" ]; then
    while IFS= read -r link; do
      to=${link#*//}
      case ${link%%//*} in
        "$here/release") printf 'release %s\n' "${to##*/}" ;;
        "$here/venv") printf 'venv %s\n' "${to##*/}" ;;
        "$here/www/"*)
          case $to in "$root/releases/"*) to=${to#"$root/releases/"*/} ;; esac
          link=${link%%//*}; printf 'www %s -> %s\n' "${link#"$here/www/"}" "$to" ;;
      esac
    done <<links
$links
links
    if [ -f "$here/env" ]; then
      sum=$({ printf %s @{key}; cat "$here/env"; } | sha256sum) || return
      printf 'env keyed:%s\n' "${sum%% *}"
    fi
    if [ -f "$here/gunicorn.conf.py" ]; then
      sum=$(sha256sum < "$here/gunicorn.conf.py") || return
      printf 'config %s\n' "${sum%% *}"
    fi
    if [ -f "$here/record" ]; then while IFS= read -r line; do printf '%s\n' "$line"; done < "$here/record" || return; fi
    if [ -L "/etc/systemd/system/multi-user.target.wants/$1@$n.service" ]; then echo 'enabled enabled'
    else echo 'enabled disabled'; fi
  fi
  active=inactive running=
  wait "$asking" || return
  while IFS='=' read -r key value; do
    case $key in
      Id) unit=$value ;;
      ActiveState)
        [ "$unit" != "$1@$n.service" ] || active=$value
        case $value in active|activating|failed) running="$running $unit" ;; esac ;;
    esac
  done < "$SCRATCH/instances-$1"
  printf 'active %s\n' "$active"
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
