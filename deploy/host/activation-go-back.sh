# Timers are there once for a site, whatever serves; a running command of one is left in peace.
place_timers() { # N: the timers of that activation, and none that only another one has
  theirs=' ' changed=' '
  for file in "$root/activations/$1/timers"/*; do
    [ -f "$file" ] || continue
    one=${file##*/}; theirs="$theirs$one "
    cmp -s "$file" "$etc/$one" && continue
    cp "$file" "$etc/$one.new" && chmod 644 "$etc/$one.new" && sync "$etc/$one.new" && mv -f "$etc/$one.new" "$etc/$one" ||
      return
    changed="$changed$one "
  done
  for file in "$root"/activations/*/timers/*; do
    one=${file##*/}
    case $theirs in *" $one "*) continue ;; esac
    [ -e "$etc/$one" ] || continue
    case $one in *.timer) rm -f "$etc/timers.target.wants/$one"; systemctl stop "$one" || return ;; esac
    rm -f "$etc/$one"; changed="$changed$one "
  done
  [ "$changed" = ' ' ] || systemctl daemon-reload || return
  for one in $theirs; do
    case $one in *.timer) ;; *) continue ;; esac
    mkdir -p "$etc/timers.target.wants" && ln -sfT "$etc/$one" "$etc/timers.target.wants/$one" || return
    case $changed in
      *" $one "*) systemctl restart "$one" ;;
      *) systemctl start "$one" ;;
    esac || return
  done
}
# Everything as it was before the switch: the web process, the processes, the timers, and what was stopped for the new.
# A run that did not switch leaves what serves.
go_back() {
  of "$n"
  [ -e "$RUN/$app.old" ] || exit 1
  read -r old < "$RUN/$app.old"
  if [ -n "$old" ]; then
    enabled "$old" && sync -f "$wants" && current "$old" && sync -f "$root" || exit
  else
    rm -f "$root/current"
  fi
  disabled "$n"
  processes_of "$n" | xargs -r systemctl stop --no-block --
  place_timers "${old:-none}" || echo "the timers of $app were not put back; the next provision does it"
  stopped "$n" 5; systemctl stop "$unit"
  if [ -s "$RUN/$app.alone" ]; then
    while read -r one; do systemctl stop "${one%@*}@$n.service"; done < "$RUN/$app.alone" # one of them alone may run
    xargs systemctl start -- < "$RUN/$app.alone" || echo "not started again: $(cat "$RUN/$app.alone")"
  fi
  clock; end=$((seconds + 5)) # what its processes have begun they may finish; then the next prune finds them gone
  while runs "$n" && clock && [ "$seconds" -lt "$end" ]; do sleep 0.1; done
  runs "$n" || forgotten "$n"
  exit 1
}
