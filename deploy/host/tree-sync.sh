# Brings the folder at path to what was sent, and records what stands. Needs tree-listing.sh.
# In: path, parent, stage, upload, record, records, manifest, dir_mode, owner, user, group, base, kind, prune.
set -eu
umask 022
path=@{path} stage=@{stage} record=@{record} owner=@{owner} base=@{base}
fail() { printf '%s\n' "$1" >&2; exit 1; }
if [ -L "$path" ] || { [ -e "$path" ] && [ ! -d "$path" ]; }; then fail "$path is not a folder"; fi
mkdir -p -- @{parent}
# a rename works within one file system only
if [ -d "$path" ] && [ "$(stat -c %d -- "$path")" != "$(stat -c %d -- @{parent})" ]; then
  stage=$path/.barehost.new
fi
rm -rf -- "$stage"
trap 'rm -rf -- "$stage"' EXIT
trap 'exit 143' HUP INT TERM
mv -T -- "$UPLOAD/"@{upload} "$stage"
new=$stage/new lists=$stage/lists
each() { list=$1; shift; if [ -s "$lists/$list" ]; then xargs -0 -r -a "$lists/$list" "$@"; fi; }
modes() {
  for list in "$lists"/mode-*; do
    if [ -e "$list" ]; then each "${list##*/}" chmod "${list##*-}" --; fi
  done
}

if [ -s "$lists/copy" ]; then
  (cd -- "$base" && each copy cp --parents --reflink=auto --no-dereference --preserve=timestamps -t "$new" --)
fi
chown -hR -- "$owner" "$new"
sync -f -- "$new"
if [ ! -e "$path" ]; then
  (cd -- "$new" && modes)
  mkdir -p -m 700 -- @{records} "$record" # empty as yet: from here on the folder is known to be ours, whatever ends this
  mv -T -- "$new" "$path"
else
  cd -- "$path"
  each clear rm -rf --
  each folders mkdir -p --
  each folders chmod @{dir_mode} --
  each folders chown -h -- "$owner"
  (cd -- "$new" && find . -type d -print0 | xargs -0 sh -c '
    path=$1; shift
    for folder do
      find "$folder" -mindepth 1 -maxdepth 1 ! -type d -exec mv -f -t "$path/$folder" -- {} + || exit
    done' sh "$path")
  each own chown -h -- "$owner"
  modes
  each remove rm -df --
fi

cd -- "$path"
next=$record.new
rm -rf -- "$next"
mkdir -p -m 700 -- @{records}
mkdir -m 700 -- "$next"
printf '%s\n' @{manifest} > "$next/manifest"
mv -- "$lists/sums" "$lists/shape" "$lists/kept" "$lists/put" "$next/"
if [ @{kind} = own ]; then mv -- "$lists/names" "$lists/built" "$next/"; fi
rm -rf -- "$stage"
old=$record/listing
if [ ! -e "$old" ]; then old=/dev/null; fi
listing @{kind} "$next" @{prune} > "$next/listing"
# What stands must be what was expected, whoever else was at work here: only that is recorded. A file that was put
# there a moment ago has a time that its content alone gave it (see stamp() in archive.py), so whoever wrote to it
# since has changed its time: it is hashed where its size or time is another, and not read again where it has both.
ids=$(numbers @{user} @{group})
printf '%s\n' "$ids" > "$next/owner"
# a line with another owner keeps it, and so is not as expected
sed -z "s|^\([^ ]* [^ ]*\) $ids [^/]*/|\1/|; t; s|^\([^ ]* [^ ]*\) $ids/|\1/|" -- "$next/listing" |
  sort -z > "$next/stands"
{
  comm -z -13 -- "$next/stands" "$next/shape"
  comm -z -23 -- "$next/stands" "$next/shape" | sed -z 's|^[^/]*/||' | sort -z | comm -z -23 - "$next/kept"
  changed_sums "$old" "$next/fresh" "$next/put" < "$next/listing" | sort -z | comm -z -23 - "$next/sums"
} > "$next/odd"
if [ -s "$next/odd" ]; then
  tr '\0' '\n' < "$next/odd" | head -n 5 >&2
  rm -rf -- "$next"
  fail "somebody else changed $path while it was synced (above: what is not as expected): run again"
fi
rm -rf -- "$next/odd" "$next/shape" "$next/stands" "$next/kept" "$next/put" "$record"
mv -T -- "$next" "$record"
