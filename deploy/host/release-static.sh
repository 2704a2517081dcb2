# Compressed siblings; and hashed names into the additive pool, where Nginx finds what only an older release had.
# A file's age in the pool is its ctime: every release that still has it copies it anew, and renames the copy into its
# place: visitors of older pages are being sent what lies there.
# Siblings get their names, and the record its line, when what they stand for is on the disk: after a power cut
# neither is believed for nothing.
set -e
app=@{app}; release=/srv/$app/releases/@{release}; pool=/srv/$app/assets

texts() { # the files of the current folder that shrink
  find . -type f -size +1k \( -name '*.css' -o -name '*.js' -o -name '*.mjs' -o -name '*.svg' -o -name '*.html' \
    -o -name '*.json' -o -name '*.map' -o -name '*.txt' -o -name '*.xml' -o -name '*.wasm' -o -name '*.ico' \) -print0
}

hashed() { # the files of the current folder with a hash in their names, as Nginx knows them: letters and digits
  find . -regextype posix-extended -type f -regex '.*[.-][0-9a-f]{8,64}\.[^/]+' \
    -regex '.*[.-][0-9a-f]*[0-9][0-9a-f]*\.[^/]+' -regex '.*[.-][0-9a-f]*[a-f][0-9a-f]*\.[^/]+' -print0
}

# ending command…: beside each file what the command makes of it, with the file's own time and no name yet. What the
# release that serves has of an equal file is that already, and on the disk (a link to it: neither ever changes).
squeeze() {
  xargs -0 -r sh -c 'ending=$1; shift
    program=; while [ "$1" != -- ]; do program="$program $1"; shift; done; shift
    for file; do
      [ -e "$file.$ending" ] && continue
      if [ -e "$before/$file.$ending" ] && [ ! "$file" -nt "$before/$file" ] && [ ! "$file" -ot "$before/$file" ] &&
        cmp -s -- "$file" "$before/$file" && ln -P -- "$before/$file.$ending" "$file.$ending"; then continue; fi
      $program -c -- "$file" > "$file.$ending.barehost" && touch -r "$file" "$file.$ending.barehost" || exit 255
    done' sh "$@" --
}

compress() {
  texts | squeeze gz gzip -9 -n
  [ @{brotli} = no ] || texts | squeeze br brotli -q 9
}

publish() { # URL
  find . -type f -name '*.barehost' -exec sh -c 'for new; do mv -f -- "$new" "${new%.barehost}" || exit; done' sh {} +
  mkdir -p "$pool/$1"
  hashed > "$RUN/hashed"
  if [ -s "$RUN/hashed" ]; then
    rm -rf "$pool/.new"
    mkdir "$pool/.new"
    xargs -0 -a "$RUN/hashed" cp -p --parents --reflink=auto -t "$pool/.new" --
    sync -f "$pool/.new"
    cd "$pool/.new"
    find . -type d -print0 | xargs -0 sh -c '
      place=$1; shift
      for folder; do
        mkdir -p -- "$place/$folder" &&
          find "$folder" -mindepth 1 -maxdepth 1 ! -type d -exec mv -f -t "$place/$folder" -- {} + || exit 255
      done' sh "$pool/$1"
    rm -rf "$pool/.new"
  fi
  cd "$pool/$1"
  find . -type f -ctime +@{days} -delete
}

each() { # what is done in each folder that Nginx serves, told its URL
  what=$1
  set -- @{folders}
  while [ $# -gt 0 ]; do
    [ -d "$release/$2" ] || { echo "there is no folder $release/$2 to serve static files from"; exit 1; }
    before=/srv/$app/current/release/$2; export before
    cd "$release/$2"
    "$what" "${1#/}"
    shift 2
  done
}

each compress
sync -f "$release"
each publish
chmod -R u=rwX,go=rX "$pool"
printf 'built %s\n' @{mark} >> @{records}/"$app"/@{release}
