# One command of the site, as its own account, with its venv and environment, and nothing else writable.
# It ends with the apply it belongs to, however that ends: two migrations must never run side by side.
printf '+ %s\n' @{command}
systemd-run -q --pipe --wait --collect -p BindsTo="barehost-${RUN##*/}.service" -p User=@{app} -p Group=@{app} -p UMask=0022 \
  -p WorkingDirectory=/srv/@{app}/releases/@{release} -p EnvironmentFile="$UPLOAD"/@{upload} \
  -p NoNewPrivileges=yes -p ProtectSystem=strict -p ProtectHome=yes -p PrivateTmp=yes @{writable} \
  -E PATH=@{path} -E VIRTUAL_ENV=@{venv} -E BAREHOST_RELEASE=@{release} -E HOME=/srv/@{app}/shared -E PYTHONUNBUFFERED=1 -E PYTHONDONTWRITEBYTECODE=1 \
  /bin/sh -c @{literal} || { code=$?; echo "exit code $code of:" @{command}; exit "$code"; }
