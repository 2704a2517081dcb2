# Brings one database to what it should be, whether it is there or not; what it holds is left alone. Follows postgres.sh.
# In: name, owner, encoding, locale; extensions, joined by the character 1f
database postgres -v name=@{name} -v owner=@{owner} -v encoding=@{encoding} -v locale=@{locale} <<'SQL' || exit
SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING %L LC_COLLATE %L LC_CTYPE %L',
  :'name', :'owner', :'encoding', :'locale', :'locale')
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
SELECT format('ALTER DATABASE %I OWNER TO %I', :'name', :'owner')
  FROM pg_database WHERE datname = :'name' AND pg_get_userbyid(datdba) <> :'owner' \gexec
SELECT format('ALTER DATABASE %I ALLOW_CONNECTIONS true', :'name')
  FROM pg_database WHERE datname = :'name' AND NOT datallowconn \gexec
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', :'name') \gexec
SQL
[ -n @{extensions} ] || exit 0
database @{name} -v extensions=@{extensions} <<'SQL'
SELECT format('CREATE EXTENSION IF NOT EXISTS %I', wanted)
  FROM unnest(string_to_array(:'extensions', E'\x1f')) AS wanted \gexec
SQL
