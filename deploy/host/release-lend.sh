# The folders, and what an earlier build that ended in the middle made in them, belong to the site's account while its
# commands run; the shipped files do not. However they end, everything is root's afterwards, and no process of theirs
# is left by then.
# Input: app, release; own, the program. home: see release-home.sh.
folder=/srv/@{app}/releases/@{release}
tree=$(printf %s "$folder" | sha256sum); shipped=/var/lib/barehost/trees/${tree%% *}/names
own() {
  /usr/bin/python3 -I -S - "$@" <<'OWN'
@{own}
OWN
}
leave() { rm -rf -- "$home"; own back "$folder" @{app} @{app}; }
own lend "$folder" @{app} "$shipped" || exit
