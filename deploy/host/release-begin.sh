# The record of a release: what it is made of, by whom.
mkdir -p -m 700 @{records} @{records}/@{app} || exit
record=@{records}/@{app}/@{release}
[ -e "$record" ] || {
  printf 'venv %s\nby %s\ncommit %s\nstaged %s\n' @{venv} @{by} @{commit} "$(date -u +%Y-%m-%dT%H:%M:%SZ)" > "$record.new" &&
  mv -f "$record.new" "$record"
}
