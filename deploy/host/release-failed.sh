# The release failed: one line in its record, whichever step it was.
record=@{records}/@{app}/@{release}
grep -qs '^failed ' "$record" || printf 'failed %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" >> "$record"
