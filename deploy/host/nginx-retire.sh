# Ends the workers of Nginx that were, once there are others, and waits until they have closed their sockets: they say so
# in their title, or are gone. Between its SIGHUP and its own signal to them Nginx takes no other, so it sees them end as
# workers that it has ended itself, and starts none in their place.
# Input: $main, the main process; $before, the workers that it had.
{
  left=100
  wait_a_bit() { sleep 0.002; [ "$((left -= 1))" -gt 0 ]; }
  others() {
    workers=; { read -r workers < "/proc/$main/task/$main/children"; } 2>/dev/null; [ "$workers" != "$before" ]
  }
  serving() { title=; { read -r title < "/proc/$old/cmdline"; } 2>/dev/null; [ "$title" = "nginx: worker process" ]; }
  if [ -n "${before-}" ]; then
    until others || ! wait_a_bit; do :; done
    if others; then
      for old in $before; do ! serving || kill -s QUIT "$old" 2>/dev/null; done
      for old in $before; do while serving && wait_a_bit; do :; done; done
    else false; fi
  fi
}
