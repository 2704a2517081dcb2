# The release did not come about: said once in its record, whatever step it was that failed.
record=@{records}/@{app}/@{release}
grep -qs '^failed ' "$record" || printf 'failed %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" >> "$record"
