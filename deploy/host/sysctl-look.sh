# Kernel settings. Input: paths, below /proc/sys. Output: path, w or r (whether it can be set here), value; - for none.
for path in @{paths}; do
  value=-; access=r
  if [ -e "$path" ]; then
    value=$(cat "$path") || exit  # not read: dash reads byte by byte, and a number there ends after the first
    [ ! -w "$path" ] || access=w
  fi
  printf '%s %s %s\n' "$path" "$access" "$value"
done
