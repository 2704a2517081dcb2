# Functions that compare what was shipped with its record. Needs listing() of tree-listing.sh.
# By what find tells; where that differs (a backup that was restored, say), by the hashes of all files.
intact() { # path record
  if [ ! -d "$1" ]; then echo absent; return; fi
  if [ ! -e "$2/listing" ]; then echo unrecorded; return; fi
  if (cd -- "$1" && listing own "$2" | cmp -s -- - "$2/listing"); then echo same; return; fi
  if (cd -- "$1" && sed -z 's/^.\{66\}//' -- "$2/sums" | xargs -0 -r sha256sum -z -- | sort -z | cmp -s -- - "$2/sums")
  then echo same; else echo differs; fi
}
packages() { # venv: its mark is made last, and an upgrade of the distribution may take its Python away
  if [ -e "$1/.barehost" ] && { [ -x "$1/bin/python" ] || [ -d "$1/root/." ]; }; then echo whole; else echo broken; fi
}
lacks() { # path venv, then name and pattern in turns: the names of which none is installed, as one line
  path=$1 venv=$2 lacking=; shift 2
  while [ $# -gt 0 ]; do
    found=$(find "$venv"/lib/python3*/site-packages "$path/.barehost/packages" -maxdepth 1 -iname "$2" -print -quit)
    [ -n "$found" ] || lacking="${lacking:+$lacking, }$1"
    shift 2
  done 2>/dev/null # a release without packages of its own has no folder for them
  printf '%s\n' "$lacking"
}
