# instances APP: each that systemd knows of a site, with its state, in one question; none where no systemd runs.
instances() {
  [ -d /run/systemd/system ] || return 0
  systemctl show --no-pager -p Id,ActiveState,MainPID -- $patterns
}
# look APP: what runs of a site, and what an interrupted switch left running or enabled beside it.
look() {
  root=/srv/$1 etc=/etc/systemd/system
  patterns="$1@*.service" # and whatever else its activations bring
  for file in "$root"/activations/*/units/* "$root"/activations/*/timers/*.timer; do
    file=${file##*/}
    case $file in '*' | '*.timer') continue ;; *@*) one="${file%@*}@*.${file##*.}" ;; *) one=$file ;; esac
    case " $patterns " in *" $one "*) ;; *) patterns="$patterns $one" ;; esac
  done
  set -f # they are for systemd
  instances "$1" > "$SCRATCH/instances-$1" & asking=$!
  set +f
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
    app=$1; set --; enabled=enabled
    for file in "$here/server"/*; do [ ! -f "$file" ] || set -- "$@" "$file"; done
    for file in "$here/units"/*; do # as they lie where systemd reads them
      file=${file##*/}; unit=${file%@*}@$n.${file##*.}
      [ ! -f "$etc/$unit" ] || set -- "$@" "$etc/$unit"
      [ -L "$etc/multi-user.target.wants/$unit" ] || enabled=disabled
    done
    for file in "$here/jobs"/*; do
      file=${file##*/}; file=$etc/${file%@*}@$n.${file##*.}; [ ! -f "$file" ] || set -- "$@" "$file"
    done
    for file in "$here/timers"/*; do [ ! -f "$etc/${file##*/}" ] || set -- "$@" "$etc/${file##*/}"; done
    if [ $# -gt 0 ]; then
      sums=$(sha256sum -- "$@") || return
      while read -r sum file; do
        case $file in
          "$here"/*) printf 'file %s %s\n' "${file##*/}" "$sum" ;;
          *@*) file=${file##*/}; printf 'unit %s@.%s %s\n' "${file%@*}" "${file##*.}" "$sum" ;;
          *) printf 'unit %s %s\n' "${file##*/}" "$sum" ;; # of a timer
        esac
      done <<sums
$sums
sums
    fi
    set -- "$app"
    if [ -f "$here/record" ]; then while IFS= read -r line; do printf '%s\n' "$line"; done < "$here/record" || return; fi
    printf 'enabled %s\n' "$enabled"
  fi
  active=inactive stray= up=' ' down= main= other= unit=
  wait "$asking" || return
  stray() { case " $stray " in *" $1 "*) ;; *) stray="$stray $1" ;; esac; }
  while IFS='=' read -r key value; do
    case $key in
      '') unit= other= ;;
      Id) unit=$value; one=${unit##*@}; one=${one%.*}; [ "$unit" != "$1@$n.service" ] || main=$other ;;
      MainPID) other=$value; [ "${unit-}" != "$1@$n.service" ] || main=$value ;;
      ActiveState)
        [ "$unit" != "$1@$n.service" ] || active=$value
        case $unit:$value in
          *@*:active) if [ "$one" = "$n" ]; then up="$up$unit "; else stray "$unit"; fi ;;
          *@*:activating | "$1@"*:failed) [ "$one" = "$n" ] || stray "$unit" ;; # a process that failed runs no more
          *:active) up="$up$unit " ;;
        esac ;;
    esac
  done < "$SCRATCH/instances-$1"
  printf 'active %s\n' "$active"
  # what an upgrade has replaced is still what runs
  if [ "${main:-0}" != 0 ] && grep -qE ' /(usr/)?lib.*\.so[^ ]* \(deleted\)$' "/proc/$main/maps" 2>/dev/null; then
    printf 'libraries replaced\n'
  fi
  if [ -n "$n" ]; then
    for file in "$here/units"/* "$here/timers"/*.timer; do # its processes and timers
      unit=${file##*/}
      case $unit in
        '*' | '*.timer' | "$1@.service") continue ;;
        *@*) unit=${unit%@*}@$n.${unit##*.} ;;
        *) [ -L "$etc/timers.target.wants/$unit" ] || down="$down $unit" ;;
      esac
      case "$up$down " in *" $unit "*) ;; *) down="$down $unit" ;; esac
    done
    for file in "$root"/activations/*/timers/*; do # and those of others, of which it has none
      unit=${file##*/}
      [ "$unit" = '*' ] || [ ! -e "$etc/$unit" ] || [ -e "$here/timers/$unit" ] || stray "$unit"
    done
    printf 'up %s\ndown %s\n' "${up# }" "${down# }"
  fi
  for one in $patterns; do # here they are for the shell
    case $one in *@*) ;; *) continue ;; esac
    for link in "$etc/multi-user.target.wants"/$one; do
      [ -L "$link" ] || continue
      unit=${link##*/}; one=${unit##*@}; [ "${one%.*}" = "$n" ] || stray "$unit"
    done
  done
  printf 'stray %s\n\0' "${stray# }"
}
