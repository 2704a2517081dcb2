# source FILE KEYRING STAMP: the digests of an apt source and its keyring, and when its index was fetched; - for none.
digest() { if [ -f "$1" ]; then sum=$(sha256sum < "$1") || return; printf '%s ' "${sum%% *}"; else printf -- '- '; fi; }
source() {
  digest "$1" && digest "$2" || exit
  fetched=-; [ ! -f "$3" ] || read -r fetched < "$3"; printf '%s\n' "$fetched"
}
