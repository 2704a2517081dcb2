# stack NAME RECORD: what was last brought up and proven, and what Docker runs of it now.
stack() {
  if [ -f "$2/up" ]; then cat "$2/up" || return; fi
  if [ -f "$2/env" ]; then
    sum=$({ printf %s @{key}; cat "$2/env"; } | sha256sum) || return
    echo "env keyed:${sum%% *}"
  fi
  if command -v docker >/dev/null; then
    if ids=$(docker ps -aq --no-trunc --filter "label=com.docker.compose.project=$1" \
      --filter label=com.docker.compose.oneoff=False 2>/dev/null)
    then
      [ -z "$ids" ] || docker inspect --format 'is {{.Name}} {{index .Config.Labels "com.docker.compose.service"}} {{.Image}} {{index .Config.Labels "com.docker.compose.config-hash"}} {{.State.Status}} {{.State.ExitCode}} {{if .State.Health}}{{.State.Health.Status}}{{else}}-{{end}} {{.Config.Image}}' $ids || return
      docker images --no-trunc --format 'now {{.ID}} {{.Repository}}:{{.Tag}}' || return
    else
      echo 'engine stopped'
    fi
  fi
  printf '\0'
}
