# Says of each of these tables which file it was loaded from, "absent", or that it is not what the file led to.
# In: names, records.
for name in @{names}; do
  if ! command -v nft >/dev/null || ! listing=$(nft -n -s -t list table inet "$name" 2>/dev/null); then
    printf '%s absent\n' "$name"
    continue
  fi
  loaded= led=
  [ ! -f @{records}/"$name" ] || { read -r loaded; read -r led; } < @{records}/"$name"
  now=$(printf '%s\n' "$listing" | sha256sum) && now=${now%% *}
  if [ "$now" = "$led" ]; then printf '%s %s\n' "$name" "$loaded"
  else printf '%s changed on the host\n' "$name"; fi
done
