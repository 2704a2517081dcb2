# Removes what a stack has here, by Compose's labels: its files may be gone, or may be those of another version.
set -u
name=@{name} folder=@{folder} record=@{record}
of="label=com.docker.compose.project=$name"
gone() { # command and IDs: nothing where there are no IDs
  command=$1; shift; [ $# -eq 0 ] || docker $command "$@" >/dev/null
}
images=
if command -v docker >/dev/null; then
  systemctl is-active -q docker.service || systemctl start docker.service || exit
  ids=$(docker ps -aq --filter "$of") || exit
  [ -z "$ids" ] || images=$(docker inspect --format '{{.Image}}' $ids | sort -u) || exit
  gone stop $ids && gone "rm -f" $ids && gone "network rm" $(docker network ls -q --filter "$of") || exit
  if [ -n @{purge} ]; then
    gone "volume rm" $(docker volume ls -q --filter "$of") || exit
    for image in $images; do docker rmi "$image" >/dev/null 2>&1; done # one that something else uses stays
  fi
fi
rm -rf -- "$folder" "$record"
