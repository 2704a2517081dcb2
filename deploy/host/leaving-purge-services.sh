# The databases that belong to the site's role, that role, and what its queue has on the disk. Its backups stay.
# Follows leaving.sh and postgres.sh.
if [ -x /usr/bin/psql ] && administrator pg_isready -q; then
  database postgres -v name="$app" <<'SQL' || exit
SELECT format('DROP DATABASE %I WITH (FORCE)', datname) FROM pg_database WHERE pg_get_userbyid(datdba) = :'name' \gexec
SELECT format('DROP ROLE IF EXISTS %I', :'name') \gexec
SQL
fi
rm -rf /var/lib/redis-"$app"-cache /var/lib/redis-"$app"-queue /var/lib/valkey-"$app"-cache /var/lib/valkey-"$app"-queue
