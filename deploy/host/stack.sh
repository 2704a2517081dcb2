# What every step of a stack begins with: its name, its folder, and a Docker that runs.
set -u
name=@{name} folder=@{folder} record=@{record} env_file=@{env_file}
systemctl is-active -q docker.service || systemctl start docker.service || exit
export COMPOSE_PROJECT_NAME="$name" COMPOSE_ANSI=never DOCKER_BUILDKIT=0
compose() { docker-compose --env-file "$folder/$env_file" -f "$folder/"@{file} "$@" </dev/null 2>&1; }
