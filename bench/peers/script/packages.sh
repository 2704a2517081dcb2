# On the host: packages and the account.
set -eu
missing=
for package in nginx python3 python3-venv rsync; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' || missing="$missing $package"
done
if [ -n "$missing" ]; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update
    apt-get -qq install -y --no-install-recommends $missing </dev/null
    echo "changed: packages"
fi
getent passwd shop >/dev/null || { useradd --system --user-group --home-dir /srv/shop --shell /usr/sbin/nologin shop; echo "changed: account"; }
mkdir -p /srv/shop
