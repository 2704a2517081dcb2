# Brings the containers of the stack to what its files say, waits until each is up and healthy, and records what runs.
#
# A container without a health check counts when it has run for two seconds without being started again. One that has
# ended with 0, publishes nothing and is not to be started again was a job, and is done.
here() { # a template: what it makes of each container of the services that the file has
  docker inspect --format "$1" $(docker ps -aq --no-trunc --filter "label=com.docker.compose.project=$name" \
    --filter label=com.docker.compose.oneoff=False) | while read -r word container service rest; do
    case " "@{services}" " in *" $service "*) echo "$word $container $service $rest" ;; esac
  done
}
SERVICE='{{.Name}} {{index .Config.Labels "com.docker.compose.service"}}'
HEALTH='{{if .State.Health}}{{.State.Health.Status}}{{else}}-{{end}}'
POLICY='{{with .HostConfig.RestartPolicy.Name}}{{.}}{{else}}no{{end}}'
clock() { read -r seconds rest < /proc/uptime && seconds=${seconds%.*}; }
cd "$folder" || exit
for id in $(docker ps -q --filter "label=com.docker.compose.project=$name" --filter health=unhealthy); do
  docker restart "$id" >/dev/null || exit
done
failed() { # container, what it is
  docker logs --tail 15 "$1" 2>&1
  echo "$1 of the stack $name is $2; above are its last lines"
  exit 1
}
compose up -d @{orphans} > "$RUN/up" || {
  grep -v ' \(Creating\|Created\|Starting\|Started\|Running\|Waiting\) *$' "$RUN/up" | tail -n 10
  of="label=com.docker.compose.project=$name"
  for state in health=unhealthy status=restarting; do
    for container in $(docker ps -a --filter "$of" --filter "$state" --format '{{.Names}}'); do
      failed "$container" "${state#*=}"
    done
  done
  echo "the stack $name was not brought up: see the lines above. An image that no registry gives this host can come" \
    "from a file, or from Debian's packages, under images: in the inventory"
  exit 1
}
clock; end=$((seconds + @{timeout})) before= since=$seconds
while :; do
  here "is $SERVICE {{.State.Status}} {{.State.ExitCode}} $HEALTH $POLICY {{len .HostConfig.PortBindings}} "\
'{{.RestartCount}} {{.State.StartedAt}}' > "$RUN/containers" || exit
  waits= now= bare=
  while read -r word container service status exit health policy ports count started; do
    container=${container#/}
    now="$now $container $count $started"
    case $status:$health in
      running:healthy) ;;
      running:-) bare=1 ;;
      *:unhealthy) failed "$container" unhealthy ;;
      restarting:*)
        [ "$count" -lt 3 ] || failed "$container" "started again and again, and ends each time with exit code $exit"
        waits="$waits $container ($status)" ;;
      exited:*)
        case $exit:$policy:$ports:$health in
          0:no:0:-) ;;
          *:no:*) failed "$container" "ended with exit code $exit" ;;
          *) waits="$waits $container ($status, exit code $exit)" ;;
        esac ;;
      *) waits="$waits $container ($status${health#-})" ;;
    esac
  done < "$RUN/containers"
  clock
  if [ "$now" != "$before" ]; then before=$now since=$seconds; fi
  if [ -z "$waits" ]; then [ -n "$bare" ] && [ $((seconds - since)) -lt 2 ] || break; fi
  if [ "$seconds" -ge "$end" ]; then
    for container in $waits $before; do
      case $container in "$name"*) failed "$container" "not up after @{timeout} s:$waits" ;; esac
    done
    echo "the stack $name is not up after @{timeout} s:$waits"; exit 1
  fi
  sleep 0.2
done
umask 077
mkdir -p "$record" && {
  echo "files "@{files}
  here "was $SERVICE {{.Image}} {{index .Config.Labels \"com.docker.compose.config-hash\"}} {{.State.Status}} "\
"{{.State.ExitCode}} $HEALTH {{.Config.Image}}"
} > "$record/up.new" && cp "$folder/$env_file" "$record/env" && mv -f "$record/up.new" "$record/up"
