# releases APP: its records, newest first, each with where it stands and what it takes; then who switched when.
app=@{app}; root=/srv/$app
current=$(readlink "$root/current") && current=$(readlink "$root/activations/${current##*/}/release") || current=
printf 'current %s\n' "${current##*/}"
[ -d @{records}/"$app" ] || exit 0
for id in $(ls -1r @{records}/"$app"); do
  case $id in *.new) continue ;; esac
  printf 'release %s\n' "$id"
  cat @{records}/"$app/$id" || exit
  if [ -d "$root/releases/$id" ]; then
    size=$(du -sk -- "$root/releases/$id") && printf 'size %s\n' "${size%%[!0-9]*}"
  fi
done
