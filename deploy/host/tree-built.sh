# What a build replaced or removed of what was shipped is its own from now on. In: path, record.
path=@{path} record=@{record} next=@{record}.new
set -e
rm -rf -- "$next"
mkdir -m 700 -- "$next"
cd -- "$path"
listing own "$record" > "$next/now"
comm -z -23 -- "$record/listing" "$next/now" | sed -z 's|^[^/]*/||; s|//.*$||; /^\.$/d' | sort -z > "$next/taken"
if [ -s "$next/taken" ]; then
  cp -p -- "$record/manifest" "$record/owner" "$next/"
  comm -z -12 -- "$record/listing" "$next/now" > "$next/listing"
  { cat -- "$record/names"; cat -- "$next/taken" "$next/taken"; } | sort -z | uniq -zu > "$next/names"
  { cat -- "$next/taken"; if [ -e "$record/built" ]; then cat -- "$record/built"; fi; } | sort -zu > "$next/built"
  sed -zn 's|^f [^/]*/\(.*\)//$|\1|p' -- "$next/listing" | xargs -0 -r sha256sum -z -- | sort -z > "$next/sums"
  rm -f -- "$next/now" "$next/taken"
  sync -f -- "$next"
  rm -rf -- "$record"
  mv -T -- "$next" "$record"
else
  rm -rf -- "$next"
fi
cd /
