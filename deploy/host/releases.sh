# releases APP: its records, newest first, each with where it stands and what it takes; then who switched when.
app=@{app}; root=/srv/$app
n=$(readlink "$root/current") && n=${n##*/} && current=$(readlink "$root/activations/$n/release") || current=
current=${current##*/}
printf 'current %s\n' "$current"
procfile() { # of a release, unless a build has made a link of it
  file=$root/releases/$1/Procfile
  if [ -f "$file" ] && [ ! -L "$file" ]; then
    while IFS= read -r line || [ -n "$line" ]; do printf 'procfile %s\n' "$line"; done < "$file"
  fi
}
size() { # of a release's folder, in KiB; nothing where it is gone
  if [ -d "$root/releases/$1" ]; then size=$(du -sk -- "$root/releases/$1") && printf 'size %s\n' "${size%%[!0-9]*}"; fi
}
if [ -n "$current" ] && [ ! -e @{records}/"$app/$current" ]; then # it serves, and its record is lost
  venv=$(readlink "$root/activations/$n/venv")
  printf 'release %s\nvenv %s\n' "$current" "${venv##*/}" && size "$current" && procfile "$current" || exit
fi
[ -d @{records}/"$app" ] || exit 0
for id in $(ls -1r @{records}/"$app"); do
  case $id in *.new) continue ;; esac
  printf 'release %s\n' "$id"
  cat @{records}/"$app/$id" && size "$id" && procfile "$id" || exit
done
