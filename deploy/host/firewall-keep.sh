# Keeps a table as it is, for firewall-back.sh. In: name, records; $GUARD, the folder.
{
  printf 'table inet %s\ndelete table inet %s\n' @{name} @{name}
  nft -n -s list table inet @{name} 2>/dev/null
  :
} > "$GUARD"/@{name}.nft && { [ ! -f @{records}/@{name} ] || cp @{records}/@{name} "$GUARD"/@{name}.record; }
