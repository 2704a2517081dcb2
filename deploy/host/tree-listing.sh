# Functions that list a folder one record an entry, say numbers of owners, and hash what a list lacks.
export LC_ALL=C
# The current folder, one record an entry: $1 all, or own: only what we put there; $2 its record; then words
# for find that leave out what is protected. An entry that we put there and that is gone has no record.
# Neither size nor times of a folder: what it holds says it all.
listing() {
  kind=$1 names=$2/names; shift 2
  if [ "$kind" = own ] && [ -e "$names" ]; then
    xargs -0 -r -a "$names" sh -c 'exec find "$@" -maxdepth 0 \( -type d -printf "d %m %U %G/%p//\0" -o \
      -printf "%y %m %U %G %s %T@ %C@ %i/%p//%l\0" \)' sh 2>/dev/null | sort -z
  else
    { find . "$@" \( -type d -printf 'd %m %U %G/%p//\0' -o \
      -printf '%y %m %U %G %s %T@ %C@ %i/%p//%l\0' \) || printf 'failed\0'; } | sort -z
  fi
}
# The numbers of a user $1 and a group $2, as in the listing: find takes four times as long to say names.
numbers() {
  if [ "$1 $2" = 'root root' ]; then echo '0 0'; return; fi
  if [ "$1" = root ]; then uid=0; else uid=$(id -u -- "$1" 2>/dev/null) || uid=-; fi
  gid=$(getent group "$2") || gid=-:-:-
  gid=${gid#*:*:}
  printf '%s %s\n' "$uid" "${gid%%:*}"
}
# Hashes of the files whose line is not in the list $1, from lines on stdin; $2 names files to work with. Left out is
# what the list $3 has with the same size and time. Side by side, each process into a file of its own: what they
# write to one pipe would come mixed.
changed_sums() {
  comm -z -13 -- "$1" - |
    sed -zn 's|^f [^ ]* [^ ]* [^ ]* \([^ ]* [^ ]*\) [^/]*/\(.*\)//$|\1/\2|p' | sort -z |
    comm -z -23 - "$3" | sed -z 's|^[^/]*/||' > "$2"
  xargs -0 -r -a "$2" -n 250 -P "$(nproc)" sh -c 'exec sha256sum -z -- "$@" > "$0.$$"' "$2" || return
  for sums in "$2".*; do
    if [ -e "$sums" ]; then cat -- "$sums" && rm -f -- "$sums"; fi
  done
  rm -f -- "$2"
}
