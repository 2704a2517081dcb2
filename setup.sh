#!/bin/sh
# Installs the Debian packages that the demo and the tests need, when one is missing; then checks the Python.
# usage: setup.sh [--vm] [PYTHON]    Changes nothing, and needs no network, on a machine that has them.
# --vm: also what a full virtual machine needs, whose power the power cuts cut.
set -eu
vm=
if [ "${1-}" = --vm ]; then vm=yes; shift; fi
python=${1:-python3}
packages='
    python3 python3-venv git rsync openssh-client ca-certificates
    mmdebstrap debian-archive-keyring systemd-container iproute2 iptables procps
    nginx-light wrk
'
[ -z "$vm" ] || packages="$packages qemu-system-x86 qemu-utils e2fsprogs"

has() {
    dpkg-query --show --showformat='${Status}\n' "$1" 2>/dev/null | grep -q ' installed$'
}

stop() {
    echo "setup: $1" >&2
    exit 1
}

command -v dpkg-query >/dev/null || stop "this needs Debian 12 or 13; elsewhere install the packages listed in setup.sh yourself"

missing=
for package in $packages; do
    # any nginx serves: the unit tests only let it check what we render
    if [ "$package" = nginx-light ] && command -v nginx >/dev/null; then continue; fi
    has "$package" || missing="$missing $package"
done

if [ -n "$missing" ]; then
    [ "$(id -u)" = 0 ] || stop "packages are missing ($missing ): run the same command with sudo"
    echo "setup: installing$missing" >&2
    export DEBIAN_FRONTEND=noninteractive
    # Nginx is here for `nginx -t` alone: it is neither started nor enabled
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' > "$policy"
        chmod 755 "$policy"
    fi
    # shellcheck disable=SC2086  # a list of plain words
    install="apt-get -o DPkg::Lock::Timeout=300 install -qq -y --no-install-recommends $missing"
    $install </dev/null >/dev/null 2>&1 || { apt-get -o DPkg::Lock::Timeout=300 update -qq && $install </dev/null >/dev/null; }
    case $missing in *nginx-light*) systemctl disable --quiet nginx.service ;; esac
fi

command -v "$python" >/dev/null || stop "no $python on this machine; say which Python to use: make PYTHON=/path/to/python3.11"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    stop "Python 3.11 or newer is needed and $python is $("$python" -c 'import platform; print(platform.python_version())'); say which to use: make PYTHON=/path/to/python3.11"
