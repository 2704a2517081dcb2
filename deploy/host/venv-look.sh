# Environments. Input: paths. Output for each: what it was made for (- where it is not whole) and the name of its Python,
# or absent.
look() {
  if [ ! -e "$1" ]; then echo absent; return; fi
  made=-
  if [ -f "$1"/.barehost ] && [ ! -L "$1"/.barehost ]; then read -r made < "$1"/.barehost || made=-; fi
  python=$(readlink -f -- "$1"/bin/python) || python=
  if [ ! -x "$python" ]; then python=; fi
  printf '%s %s\n' "$made" "${python##*/}"
}
for path in @{paths}; do look "$path"; done
