# The content of files, for diffs: its size and a line break before it; -1 for what is no file or larger than 256 KiB.
# Input: paths.
for path in @{paths}; do
  if [ -f "$path" ] && size=$(stat -L -c %s -- "$path") && [ "$size" -le 262144 ]; then
    printf '%s\n' "$size"; head -c "$size" -- "$path"
  else echo -1; fi
done
