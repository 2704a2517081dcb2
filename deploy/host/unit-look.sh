# unit NAME INPUT…: one unit's block of fd 3, then "Loaded=digest id" for what its running process has loaded.
# in:  INPUT is open:PATH, secret:PATH (its digest travels keyed), lies:PATH (only the host compares) or other:ID
# out: as the record says where it is of this invocation; else (a reboot, a restart by hand) each path that lies on the
#      disk since before the process began. A second counts as older: systemd tells whole seconds. What is missing was
#      so before if nothing in its folder has changed since. What is no path is as it was last proven.
sum() { sum=$(sha256sum) && printf %s "${sum%% *}"; }
keyed() { { printf %s @{key}; cat -- "$1"; } | sum; }
mine() { if [ -f "$1" ]; then printf host:; cat -- @{secrets} "$1" | sum; else printf host:absent; fi; }
compared() { # DIGEST PATH INPUT…: what the host keeps a digest of
  digest=$1 path=$2; shift 2
  if [ "$(mine "$path")" != "$digest" ]; then printf 'Loaded=other path:%s\n' "$path"; return; fi
  for input; do
    case $input in
      "secret:$path") [ ! -f "$path" ] || printf 'Loaded=keyed:%s path:%s\n' "$(keyed "$path")" "$path" ;;
      "lies:$path") printf 'Loaded=same path:%s\n' "$path" ;;
    esac
  done
}
unit() {
  name=$1; shift; invocation=; since=; recorded=
  printf 'Unit=%s\n' "$name"
  while IFS= read -r line <&3 && [ -n "$line" ]; do
    printf '%s\n' "$line"
    case $line in
      InvocationID=*) invocation=${line#*=} ;;
      ActiveEnterTimestamp=*) since=${line#*=} ;;
    esac
  done
  if [ -f @{records}/"$name" ]; then
    { read -r recorded
      while IFS= read -r line; do
        case $line in
          host:*) [ "$recorded" != "$invocation" ] || compared "${line%% *}" "${line#* path:}" "$@" ;;
          state:*) printf 'Loaded=%s\n' "$line" ;;
          *) [ "$recorded" != "$invocation" ] || printf 'Loaded=%s\n' "$line" ;;
        esac
      done
    } < @{records}/"$name"
    [ "$recorded" != "$invocation" ] || return 0
  fi
  { [ $# -gt 0 ] && [ -n "$since" ]; } || return 0
  for input; do
    path=${input#*:}
    case $input in other:*) continue ;; esac
    place=$path
    [ -e "$path" ] || [ -L "$path" ] || place=${path%/*}
    [ -z "$(find "$place" -maxdepth 0 -newerct "$since" 2>/dev/null)" ] || continue
    case $input in
      lies:*) digest=same ;;
      secret:*) [ -f "$path" ] || continue; digest=keyed:$(keyed "$path") || return ;;
      *)
        if [ -L "$path" ]; then digest=$(readlink -n -- "$path" | sum) || return
        elif [ -f "$path" ]; then digest=$(sum < "$path") || return
        else digest=absent
        fi ;;
    esac
    printf 'Loaded=%s path:%s\n' "$digest" "$path"
  done
}
