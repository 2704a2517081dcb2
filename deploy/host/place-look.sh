# place ROOT: one line with what lies in a site's folder where releases will and is not named as ours are; empty for none.
place() {
  found=
  foreign() { found="${found:+$found, }$1"; }
  if [ -L "$1/current" ]; then
    to=$(readlink "$1/current")
    case ${to#activations/} in "$to" | '' | *[!0-9]*) foreign "current -> $to" ;; esac
  elif [ -e "$1/current" ]; then foreign current
  fi
  for path in "$1"/releases/* "$1"/activations/* "$1"/venvs/*; do
    if [ -e "$path" ] || [ -L "$path" ]; then
      name=${path##*/}; folder=${path%/*}
      case ${folder##*/}/$name in
        releases/[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]-[0-9][0-9][0-9][0-9][0-9][0-9]*) ;;
        activations/*[!0-9]*) foreign "activations/$name" ;;
        activations/*) ;;
        venvs/image-????????????????????????????????) ;;
        venvs/*[!0-9a-f]*) foreign "venvs/$name" ;;
        venvs/????????????????) ;;
        *) foreign "${folder##*/}/$name" ;;
      esac
    fi
  done
  printf '%s\n' "$found" | tr -c '[:print:]\n' '?' | head -n 1 | cut -c 1-200
}
