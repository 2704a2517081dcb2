# proof FILE: one line with the digest of the files that a site was last proven with; empty: it never was.
proof() {
  digest=
  if [ -f "$1" ]; then read -r digest < "$1" || return; fi
  printf '%s\n' "$digest"
}
