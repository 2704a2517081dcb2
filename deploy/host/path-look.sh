# Files, folders and links. Input: paths; those of them whose content is compared: hashed, and with a key: secret, key.
# Output, each ended by a NUL: type, mode, owner, group, target, path; then =; then sums as sha256sum -z prints them.
# A missing path is one of two messages of find's; any other message is a failure to look.
find @{paths} -maxdepth 0 -printf '%y %m %u %g %l\0%p\0' 2>"$SCRATCH/find"
while IFS= read -r line; do case $line in
  *': No such file or directory' | *': Not a directory') ;;
  *) printf '%s\n' "$line" >&2; bad=1 ;;
esac; done < "$SCRATCH/find"
[ -z "${bad-}" ] || exit 1
printf '=\0'
set --
for path in @{hashed}; do [ -f "$path" ] && [ ! -L "$path" ] && set -- "$@" "$path"; done
[ $# -eq 0 ] || sha256sum -z -- "$@" || exit
for path in @{secret}; do if [ -f "$path" ] && [ ! -L "$path" ]; then
  sum=$({ printf %s @{key}; cat "$path"; } | sha256sum) || exit
  printf 'keyed:%s  %s\0' "${sum%% *}" "$path"
fi; done
