# One command of the site, as its own account, with its venv and environment, and nothing else writable. What it prints
# is written without the site's secrets. It ends with the apply it belongs to, however that ends: two migrations must
# never run side by side.
# Input: app, release, number (of the command), label (how it is shown), literal (the command for systemd-run), upload
# (its environment), secrets (what is masked), path, venv, packages, writable; mask, the program. home: see
# release-home.sh. network, where there is one: see network.sh.
printf '+ %s\n' @{label}
rm -f -- "$RUN/code"
{
  systemd-run -q --pipe --wait --collect --unit="barehost-step-${RUN##*/}-$$-"@{number}.service \
    -p BindsTo="barehost-${RUN##*/}.service" -p KillMode=mixed -p TimeoutStopSec=10 \
    -p User=@{app} -p Group=@{app} -p UMask=0022 -p EnvironmentFile=-"$RUN/network" -p EnvironmentFile="$UPLOAD"/@{upload} \
    -p WorkingDirectory=/srv/@{app}/releases/@{release} -p NoNewPrivileges=yes -p ProtectSystem=strict -p ProtectHome=yes \
    -p PrivateTmp=yes -p PrivateUsers=yes -p ReadWritePaths="$home" @{writable} -E PATH=@{path} -E VIRTUAL_ENV=@{venv} -E BAREHOST_RELEASE=@{release} \
    -E BAREHOST_PACKAGES=@{packages} -E BAREHOST_SHARED=/srv/@{app}/shared -E HOME="$home" -E PYTHONUNBUFFERED=1 -E PYTHONDONTWRITEBYTECODE=1 \
    /bin/sh -c @{literal} || echo "$?" > "$RUN/code"
} 2>&1 | /usr/bin/python3 -I -S -c @{mask} "$UPLOAD"/@{secrets}
if [ -e "$RUN/code" ]; then read -r code < "$RUN/code"; echo "exit code $code of:" @{label}; exit "$code"; fi
