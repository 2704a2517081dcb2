# The record of a release: what it is made of, by whom. It has its name when it is on the disk: one that a power cut
# left empty would name no venv, and a prune takes what no record names.
mkdir -p -m 700 @{records} @{records}/@{app} || exit
record=@{records}/@{app}/@{release}
[ -s "$record" ] || {
  printf 'venv %s\nby %s\ncommit %s\nstaged %s\n' @{venv} @{by} @{commit} "$(date -u +%Y-%m-%dT%H:%M:%SZ)" > "$record.new" &&
  sync -- "$record.new" && mv -f "$record.new" "$record"
}
