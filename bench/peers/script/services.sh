# On the host, after the files came: venv, unit, site, services. $1: changed or same, the code; $2: uv or nothing.
set -eu
cd /srv/shop
restart= reload=

if ! cmp -s site/requirements.txt venv/requirements.txt; then
    if [ "${2-}" = uv ]; then
        export SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt UV_CACHE_DIR=/var/cache/uv
        index=$(sed -n 's/^index-url *= *//p' /etc/pip.conf 2>/dev/null || :)
        [ -z "$index" ] || export UV_DEFAULT_INDEX="$index"
        ./uv venv -q --clear --python /usr/bin/python3 venv
        ./uv pip install -q --python venv/bin/python --compile-bytecode -r site/requirements.txt gunicorn
    else
        python3 -m venv --clear venv
        venv/bin/pip install -q --disable-pip-version-check -r site/requirements.txt gunicorn
    fi
    cp site/requirements.txt venv/
    restart=1
    echo "changed: venv"
fi
if ! cmp -s files/shop.service /etc/systemd/system/shop.service; then
    install -m 644 files/shop.service /etc/systemd/system/shop.service
    systemctl daemon-reload
    restart=1
    echo "changed: unit"
fi
if ! cmp -s files/shop.conf /etc/nginx/conf.d/shop.conf || [ -e /etc/nginx/sites-enabled/default ]; then
    rm -f /etc/nginx/sites-enabled/default
    install -m 644 files/shop.conf /etc/nginx/conf.d/shop.conf
    nginx -t -q
    reload=1
    echo "changed: nginx"
fi
[ "$1" = same ] || { restart=1; echo "changed: code"; }

[ "$(systemctl is-enabled shop nginx 2>/dev/null | grep -c '^enabled')" = 2 ] || systemctl enable -q shop nginx
if [ -n "$restart" ]; then systemctl restart shop; fi
if [ -n "$reload" ]; then systemctl reload-or-restart nginx; fi
[ "$(systemctl is-active shop nginx | grep -c '^active')" = 2 ] || systemctl start shop nginx
