# sites NAME…: what runs of these sites and of every other one that this tool set up here; two parts.
about() { # app: key=value lines with what an activation's own state does not say
  app=$1
  printf 'site=%s\nnginx=%s\n' "$1" "$nginx"
  n=$(readlink "/srv/$1/current") || return 0
  held=$(memory "$1"); held=$((${held% *} + ${held#* }))
  [ "$held" = 0 ] || printf 'memory=%s\n' "$held"
  n=${n##*/}; here=/srv/$1/activations/$n
  shown=$(systemctl show --timestamp=us+utc -p NeedDaemonReload,ExecMainStartTimestamp -- "$1@$n.service") || return
  printf '%s\n' "$shown"
  started=${shown##*ExecMainStartTimestamp=}; started=${started%%
*}
  if [ -n "$started" ]; then
    case $started in *.*) ;; *) started="$started + 1 second" ;; esac # systemd 247 tells no fractions
    printf 'newer=%s\n' "$(find "$here/env" "$here/server" "/etc/systemd/system/$1@$n.service" -type f -newerct "$started" 2>/dev/null | head -n 1)"
  fi
  set --
  for file in "$here/units"/* "$here/timers"/*.service; do # its processes, and what its timers start
    file=${file##*/}
    case $file in '*' | '*.service' | "$app@.service") ;; *@*) set -- "$@" "${file%@*}@$n.${file##*.}" ;; *) set -- "$@" "$file" ;; esac
  done
  if [ $# -gt 0 ]; then
    shown=$(systemctl show -p Id,ActiveState,NRestarts,ExecMainStatus -- "$@") || return
    while IFS='=' read -r key value; do
      case $key in
        Id) unit=$value ;;
        NRestarts) restarts=$value ;;
        ExecMainStatus) code=$value ;;
        ActiveState) state=$value ;;
        '') printf 'unit %s=%s %s %s\n' "$unit" "$state" "$restarts" "$code" ;;
      esac
    done <<shown
$shown

shown
  fi
  release=$(readlink "$here/release") || return 0
  record=@{records}/$app/${release##*/}
  [ ! -f "$record" ] || while read -r key value; do
    [ "$key" != commit ] || printf 'commit=%s\n' "$value"
  done < "$record"
}
sites() {
  nginx=$(systemctl show --value -p ActiveState nginx.service)
  for folder in @{records}/*; do
    app=${folder##*/}
    [ -d "$folder" ] || continue
    case " $* " in *" $app "*) ;; *) set -- "$@" "$app" ;; esac
  done
  for app; do look "$app" || exit; done
  printf '\035%s\n' @{nonce}
  for app; do about "$app" || exit; done
  printf '\035%s\n' @{nonce}
}
