# look APP: what runs of a site, and what an interrupted switch left running or enabled beside it.
memory() { # bytes that the processes of a unit hold, shared pages counted once for each
  pid=$(systemctl show --value -p MainPID "$1")
  case $pid in ''|0) return ;; esac
  sum=0
  for one in "$pid" $(cat "/proc/$pid/task/$pid/children" 2>/dev/null); do
    while read -r key kib unit; do
      case $key in Pss:) sum=$((sum + kib)) ;; esac
    done < "/proc/$one/smaps_rollup"
  done 2>/dev/null
  printf 'memory %s\n' "$((sum * 1024))"
}
look() {
  root=/srv/$1
  current=$(readlink "$root/current") || current=
  n=${current##*/}
  printf '%s\ncurrent %s\n' "$1" "$n"
  here=$root/activations/$n
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
    memory "$1@$n.service"
    if [ -f "$here/record" ]; then cat "$here/record" || return; fi
    if [ -d "$here/www" ]; then
      (cd "$here/www" && find . -type l -printf 'www %P -> %l\n') | sed "s|/srv/$1/releases/[^/]*/||" || return
    fi
    printf 'active %s\n' "$(systemctl show --value -p ActiveState -- "$1@$n.service")"
    if [ -L "/etc/systemd/system/multi-user.target.wants/$1@$n.service" ]; then echo 'enabled enabled'
    else echo 'enabled disabled'; fi
  fi
  stray=
  for link in /etc/systemd/system/multi-user.target.wants/"$1"@*.service; do
    [ -L "$link" ] || continue
    unit=${link##*/}; [ "$unit" = "$1@$n.service" ] || stray="$stray $unit"
  done
  running=$(units "$1" --state=active,activating,failed) || return
  for unit in $running; do
    [ "$unit" = "$1@$n.service" ] && continue
    case " $stray " in *" $unit "*) ;; *) stray="$stray $unit" ;; esac
  done
  printf 'stray %s\n\0' "${stray# }"
}
