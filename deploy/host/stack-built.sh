# built RECORD ENVFILE: of which files a stack's images are built, and the keyed digest of its env file.
built() {
  files= env=
  if [ -f "$1" ]; then read -r files < "$1" || return; fi
  if [ -f "$2" ] && [ ! -L "$2" ]; then
    env=$({ printf %s @{key}; cat "$2"; } | sha256sum) || return
    env=keyed:${env%% *}
  fi
  echo "$files $env"
}
