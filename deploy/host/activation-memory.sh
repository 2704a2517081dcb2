# memory APP: bytes that a site's current activation holds, shared pages counted once for each process: of its web
# process, which goes when the new one serves, and of its other processes, which may go on with their work for a while.
memory() {
  n=$(readlink "/srv/$1/current") || return 0
  n=${n##*/}; app=$1
  set -- "$app@$n.service"
  for file in "/srv/$app/activations/$n/units"/*; do
    file=${file##*/}
    case $file in '*' | "$app@.service") ;; *) set -- "$@" "${file%@*}@$n.${file##*.}" ;; esac
  done
  web='' sum=0
  for pid in $(systemctl show --value -p MainPID -- "$@"); do
    for one in "$pid" $(cat "/proc/$pid/task/$pid/children" 2>/dev/null); do
      while read -r key kib unit; do
        case $key in Pss:) sum=$((sum + kib)) ;; esac
      done < "/proc/$one/smaps_rollup"
    done 2>/dev/null # a unit that does not run has the process 0, which is none
    [ -n "$web" ] || { web=$sum sum=0; }
  done
  echo "$((web * 1024)) $((sum * 1024))"
}
