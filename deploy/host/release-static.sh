# Static files, once the release is root's: checked, compressed, and their hashed names put into the pool (served.py).
# Input: app, release, mark, days, hashed, brotli, folders (URL and folder in turns), records; own and served, the programs.
set -e
app=@{app}; release=/srv/$app/releases/@{release}
# An earlier build that was cut off may have left it lent; what builds now has given it back.
if [ -n "$(find "$release" ! -user root -print -quit)" ]; then
  /usr/bin/python3 -I -S - back "$release" "$app" "$app" <<'OWN'
@{own}
OWN
fi
/usr/bin/python3 -I -S - "$release" "/srv/$app/assets" "/srv/$app/current/release" @{brotli} @{days} @{hashed} @{folders} <<'SERVED'
@{served}
SERVED
printf 'built %s\n' @{mark} >> @{records}/"$app"/@{release}
