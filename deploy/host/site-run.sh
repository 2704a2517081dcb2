# A command in the release that serves: its activation is found once, so that a switch meanwhile changes nothing
# beneath the command, and the prune after one leaves what it reads.
# in: app, user, nothing (what is said where there is no release), how (--pty or --pipe), writable and term (options of
# systemd-run), shared, packages, argv, stdin (a redirection)
n=$(readlink @{root}/current) && n=${n##*/} && here=@{root}/activations/$n && [ -e "$here/env" ] || {
  echo @{nothing} >&2
  exit 1
}
[ ! -e "$here/venv/root" ] || { # of its packages nothing is on the host itself
  echo @{app} "runs from a container image, in which run starts nothing yet: use the engine that you build it with" >&2
  exit 1
}
exec systemd-run -q @{how} --wait --collect --unit="barehost-run-"@{app}"@$n-$$-$(date +%N).service" \
  -p User=@{user} -p Group=@{user} -p UMask=0027 -p WorkingDirectory="$here/release/." \
  -p EnvironmentFile="$here/about" -p EnvironmentFile="$here/env" \
  -p NoNewPrivileges=yes -p ProtectSystem=strict -p ProtectHome=yes -p PrivateTmp=yes @{writable} \
  -E PATH="$here/venv/bin:$here/release/"@{packages}/bin:/usr/local/bin:/usr/bin:/bin -E VIRTUAL_ENV="$here/venv" \
  -E HOME=@{shared} -E PYTHONDONTWRITEBYTECODE=1 -E BAREHOST_ACTIVATION="$n" @{term} \
  -- /usr/bin/env -- @{argv} @{stdin}
