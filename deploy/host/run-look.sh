# answer COMMAND: whether a guard holds: done, open, or slow where it ended by its timeout.
answer() {
  rc=0
  "$@" </dev/null >/dev/null 2>&1 || rc=$?
  case $rc in 0) echo done ;; 124) echo slow ;; *) echo open ;; esac
}
