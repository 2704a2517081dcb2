# How PostgreSQL is asked: as its own administrator over the unix socket, with nothing of this environment.
# administrator COMMAND…: runs it as the account postgres. database NAME: psql in that database, SQL on stdin; the name
# goes by the environment, since psql would take one with = in it for a connection's settings.
administrator() { setpriv --reuid postgres --regid postgres --init-groups --reset-env -- env LC_ALL=C "$@"; }
database() {
  named=$1; shift
  administrator env PGDATABASE="$named" PGCONNECT_TIMEOUT=10 PGOPTIONS='-c client_min_messages=warning -c lock_timeout=60s' \
    psql -X -A -t -q -w -v ON_ERROR_STOP=1 "$@"
}
