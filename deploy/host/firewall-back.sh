# Puts a table back that firewall-keep.sh has kept. In: name, records; $GUARD, the folder.
nft -f "$GUARD"/@{name}.nft &&
  if [ -f "$GUARD"/@{name}.record ]; then cp "$GUARD"/@{name}.record @{records}/@{name}
  else rm -f @{records}/@{name}; fi
