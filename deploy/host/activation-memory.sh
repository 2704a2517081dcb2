# memory APP: bytes that the processes of a site's current instance hold, shared pages counted once for each.
memory() {
  n=$(readlink "/srv/$1/current") || return 0
  pid=$(systemctl show --value -p MainPID -- "$1@${n##*/}.service")
  case $pid in ''|0) return ;; esac
  sum=0
  for one in "$pid" $(cat "/proc/$pid/task/$pid/children" 2>/dev/null); do
    while read -r key kib unit; do
      case $key in Pss:) sum=$((sum + kib)) ;; esac
    done < "/proc/$one/smaps_rollup"
  done 2>/dev/null
  echo "$((sum * 1024))"
}
