# Everything of the activation is up: only now its release has come about.
left_behind() { # a release that was gone back from is marked until it is healthy again: nobody goes back to it unasked
  before=
  while read -r key value; do [ "$key" != before ] || before=$value; done < "$here/record"
  [ -e @{records}/"$app/$before" ] && [ -n "$before" ] && expr "x$before" \> "x@{release}" >/dev/null || return 0
  printf 'left %s\n' "$(now)" >> @{records}/"$app/$before"
}
record healthy
left_behind
printf 'proven %s\n' "$(now)" >> "$here/record"
