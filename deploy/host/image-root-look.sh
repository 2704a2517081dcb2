# image_root APP NAME: the ID of a site's image that is whole; else - and the layers that the host has.
image_root() {
  root=/srv/$1 mark=
  if [ -d "$root/images/$2" ] && [ -f "$root/venvs/image-$2/.barehost" ]; then
    read -r mark < "$root/venvs/image-$2/.barehost" || return
  fi
  if [ -n "$mark" ]; then echo "$mark"; return; fi
  layers=
  for layer in "$root"/images/.layers/*; do
    case ${layer##*/} in *[!0-9a-f]*) ;; *) layers="$layers ${layer##*/}" ;; esac
  done
  echo "-$layers"
}
