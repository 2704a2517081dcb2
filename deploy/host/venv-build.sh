# Builds a Python environment: its packages are foreign code, so all of it is made by an account that owns nothing
# else, in a unit that sees no other site's cache and ends with every process it started. Only then is it root's.
# Input: path, parent, python, version, builder, cache (pip's, of these environments alone), upload, marker, key,
# own (own.py), network (network.sh), fill (venv-fill.sh, as one word). Output: what pip says.
set -eu
path=@{path} cache=@{cache}
fail() { printf '%s\n' "$1" >&2; exit 1; }
leads() { # bin/python leads out of the environment to the version that it was built for; it is not run
  [ -L "$path/bin/python" ] && leads=$(readlink -f -- "$path/bin/python") && [ -x "$leads" ] || return 1
  case $leads in "$path"/*) return 1 ;; */python@{version}) ;; *) return 1 ;; esac
}
command -v @{python} >/dev/null || fail @{python}' is not on this host: install it first (package python3)'
if [ -f "$path/"@{marker} ] && [ "$(cat -- "$path/"@{marker})" = @{key} ] && leads; then exit 0; fi
getent passwd @{builder} >/dev/null ||
  useradd --system --user-group --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin -- @{builder}
umask 022
rm -rf -- "$path"
mkdir -p -- @{parent} "$(dirname -- "$cache")"
whole=
trap 'if [ -z "$whole" ]; then rm -rf -- "$path"; fi' EXIT
trap 'exit 143' HUP INT TERM
install -d -o @{builder} -g @{builder} -m 755 -- "$path"
install -d -o @{builder} -g @{builder} -m 700 -- "$cache"
@{network}
systemd-run -q --pipe --wait --collect --unit="barehost-step-${RUN##*/}-$$.service" \
  -p BindsTo="barehost-${RUN##*/}.service" -p KillMode=mixed -p TimeoutStopSec=10 \
  -p User=@{builder} -p Group=@{builder} -p UMask=0022 \
  -p NoNewPrivileges=yes -p ProtectSystem=strict -p ProtectHome=read-only -p PrivateTmp=yes -p PrivateDevices=yes \
  -p PrivateUsers=yes -p RestrictSUIDSGID=yes -p RemoveIPC=yes -p EnvironmentFile="$RUN/network" \
  -p ReadWritePaths="$path" -p TemporaryFileSystem=/var/cache/barehost -p BindPaths="$cache" \
  -E PATH="$PATH" -E LC_ALL=C.UTF-8 -E HOME="$path/.build" /bin/sh -c @{fill} < "$UPLOAD/"@{upload}
/usr/bin/python3 -I -S - back "$path" @{builder} root <<'OWN'
@{own}
OWN
leads || fail "a package replaced bin/python of $path: take it out of the requirements, and look at what else it does"
rm -rf -- "$path/.build" "$path/"@{marker} "$path/"@{marker}.new # a link may have been left at these names
sync -f -- "$path"
printf '%s\n' @{key} > "$path/"@{marker}.new
mv -- "$path/"@{marker}.new "$path/"@{marker}
whole=1
