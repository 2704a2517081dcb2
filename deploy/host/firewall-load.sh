# Loads a table from its file and keeps which listing that led to.
# In: name, path, records.
mkdir -p -m 700 @{records}
nft -f @{path} || exit
loaded=$(sha256sum < @{path}) && listing=$(nft -n -s -t list table inet @{name}) || exit
led=$(printf '%s\n' "$listing" | sha256sum)
printf '%s\n%s\n' "${loaded%% *}" "${led%% *}" > @{records}/@{name}.new &&
  mv -f @{records}/@{name}.new @{records}/@{name}
