# look KIND [NAMES]: the entries of a database of accounts, between the lines "look KIND" and "end".
look() {
  printf 'look %s\n' "$1"
  if [ $# -gt 1 ]; then
    rc=0; getent "$@" || rc=$?
    case $rc in 0 | 2) ;; *) exit "$rc" ;; esac
  fi
  echo end
}
