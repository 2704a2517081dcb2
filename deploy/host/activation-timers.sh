place_timers "$n" || {
  echo "the timers of $app could not be started"
  [ ! -e "$RUN/$app.old" ] || record failed
  go_back
}
