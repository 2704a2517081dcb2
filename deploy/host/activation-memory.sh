# memory APP: bytes that the processes of a site's current activation hold, shared pages counted once for each.
memory() {
  n=$(readlink "/srv/$1/current") || return 0
  n=${n##*/}; app=$1
  set -- "$app@$n.service"
  for file in "/srv/$app/activations/$n/units"/*; do
    file=${file##*/}
    case $file in '*' | "$app@.service") ;; *) set -- "$@" "${file%@*}@$n.${file##*.}" ;; esac
  done
  sum=0
  for pid in $(systemctl show --value -p MainPID -- "$@"); do
    [ "$pid" != 0 ] || continue
    for one in "$pid" $(cat "/proc/$pid/task/$pid/children" 2>/dev/null); do
      while read -r key kib unit; do
        case $key in Pss:) sum=$((sum + kib)) ;; esac
      done < "/proc/$one/smaps_rollup"
    done 2>/dev/null
  done
  [ "$sum" -eq 0 ] || echo "$((sum * 1024))"
}
