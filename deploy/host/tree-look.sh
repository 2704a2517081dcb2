# look: says "same" for a tree that is as it was recorded, else its lines, and fresh hashes where a line changed.
# Records end in NUL; needs tree-listing.sh.
look() {
  index=$1 path=$2 record=$3 manifest=$4 kind=$5 base=$6 base_record=$7 owner=$8 group=$9; shift 9
  printf '#%s\0' "$index"
  if [ -L "$path" ]; then printf 'other\0end\0'; return; fi
  if [ ! -e "$path" ]; then
    printf 'absent\0'
    if [ -n "$base" ] && [ -d "$base" ] && [ -e "$base_record/listing" ]; then
      if (cd -- "$base" && listing "$kind" "$base_record" | cmp -s -- - "$base_record/listing"); then
        sed -z 's/^/B/' -- "$base_record/sums"
      fi
    fi
    printf 'end\0'
    return
  fi
  if [ ! -d "$path" ]; then printf 'other\0end\0'; return; fi
  (
    cd -- "$path" || exit
    recorded=-
    if [ -e "$record/manifest" ]; then read -r recorded < "$record/manifest"; fi
    old=$record/listing
    if [ ! -e "$old" ]; then old=/dev/null; fi
    ids=$(numbers "$owner" "$group") was=-
    if [ -e "$record/owner" ]; then read -r was < "$record/owner"; fi
    if [ "$recorded" = "$manifest" ] && [ "$was" = "$ids" ] && listing "$kind" "$record" "$@" | cmp -s -- - "$old"; then
      printf 'same\0'
    else
      printf 'differs %s %s\0' "$recorded" "$ids"
      listing "$kind" "$record" "$@" | sed -z 's/^/L/'
      listing "$kind" "$record" "$@" | changed_sums "$old" "$SCRATCH/sums-$index" /dev/null | sed -z 's/^/F/'
      if [ "$recorded" != "$manifest" ] && [ -e "$record/sums" ]; then sed -z 's/^/S/' -- "$record/sums"; fi
      if [ -e "$record/built" ]; then sed -z 's/^/K/' -- "$record/built"; fi
    fi
    printf 'end\0'
  )
}
