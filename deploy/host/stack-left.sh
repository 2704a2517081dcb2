# left NAME FOLDER RECORD keep|purge: what there still is of a stack that is not wanted, in words.
left() {
  what=
  of="label=com.docker.compose.project=$1"
  if [ -e "$2" ] || [ -e "$3" ]; then what=files; fi
  if command -v docker >/dev/null && docker version >/dev/null 2>&1; then
    [ -z "$(docker ps -aq --filter "$of")" ] || what="containers${what:+, $what}"
    [ "$4" = keep ] || [ -z "$(docker volume ls -q --filter "$of")" ] || what="${what:+$what, }volumes"
  fi
  echo "$what"
}
