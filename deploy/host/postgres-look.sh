# What a PostgreSQL server holds of some roles and databases, a JSON object a line: {"role": …}, {"database": …},
# {"extension": …, "of": …}; {"server": "absent"} or {"server": "stopped"} instead where there is none or it does not run.
# Follows postgres.sh. In: roles and databases, each joined by the character 1f; extended: databases whose extensions count
if [ ! -x /usr/bin/psql ] || ! id postgres >/dev/null 2>&1; then echo '{"server": "absent"}'; exit 0; fi
database postgres -v roles=@{roles} -v databases=@{databases} > "$SCRATCH/postgres" 2> "$SCRATCH/postgres.error" <<'SQL'
SELECT json_build_object('role', rolname, 'login', rolcanlogin, 'superuser', rolsuper, 'createdb', rolcreatedb,
  'createrole', rolcreaterole, 'replication', rolreplication, 'bypassrls', rolbypassrls, 'verifier', rolpassword,
  'limit', rolconnlimit, 'until', rolvaliduntil)
  FROM pg_catalog.pg_authid WHERE rolname = ANY (string_to_array(:'roles', E'\x1f'));
SELECT json_build_object('database', datname, 'owner', pg_get_userbyid(datdba),
  'encoding', pg_encoding_to_char(encoding), 'collate', datcollate, 'ctype', datctype, 'connections', datallowconn,
  'open', has_database_privilege('public', oid, 'CONNECT'))
  FROM pg_catalog.pg_database WHERE datname = ANY (string_to_array(:'databases', E'\x1f'));
SQL
rc=$?
if [ "$rc" -eq 2 ]; then
  administrator pg_isready -q
  [ "$?" -ne 2 ] || { echo '{"server": "stopped"}'; exit 0; }
fi
if [ "$rc" -ne 0 ]; then cat "$SCRATCH/postgres.error" >&2; exit "$rc"; fi
cat "$SCRATCH/postgres"
for name in @{extended}; do
  database "$name" 2> "$SCRATCH/postgres.error" <<'SQL' || grep -q 'does not exist' "$SCRATCH/postgres.error" || { cat "$SCRATCH/postgres.error" >&2; exit 1; }
SELECT json_build_object('extension', extname, 'of', current_database()) FROM pg_catalog.pg_extension;
SQL
done
