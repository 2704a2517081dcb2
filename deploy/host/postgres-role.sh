# Brings one role to what it should be, whether it is there or not. Follows postgres.sh.
# In: name; password: the upload with "\set verifier '…'", empty where the role has none
{
  if [ -n @{password} ]; then cat "$UPLOAD"/@{password}; else echo '\unset verifier'; fi
  cat <<'SQL'
SELECT format('CREATE ROLE %I', :'name') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') \gexec
SELECT format('ALTER ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT -1 '
  'VALID UNTIL ''infinity''', :'name') \gexec
\if :{?verifier}
SELECT format('ALTER ROLE %I PASSWORD %L', :'name', :'verifier') \gexec
\else
SELECT format('ALTER ROLE %I PASSWORD NULL', :'name') \gexec
\endif
SQL
} | database postgres -v name=@{name}
