# The folders, and what an earlier build that ended in the middle made in them, belong to the site's account while its
# commands run; the shipped files do not.
set -e
folder=/srv/@{app}/releases/@{release}
tree=$(printf %s "$folder" | sha256sum); shipped=/var/lib/barehost/trees/${tree%% *}/names
back() { find "$folder" ! -user root -exec chown -h root:@{app} {} +; }
trap back EXIT
find "$folder" -type d -exec chown -h @{app} {} +
if [ -s "$shipped" ]; then
  (cd "$folder" && { find . -print0; cat "$shipped" "$shipped"; } | sort -z | uniq -zu | xargs -0 -r chown -h @{app} --)
fi
