# make MODE OWNER PATH: the folder is there with this owner and mode. remove PATH: it is gone with everything in it.
#
# Where somebody else than root may write to a folder on the way, a link could be put there at any moment. From such a
# folder on, each part is entered by itself, and nothing is done before it is seen that no link led there. What is
# changed then is the folder that is open, whatever its name means by that time.
# Input: above, all folders above all those paths. Each call is made in a subshell of its own.
others=$(find -L @{above} -maxdepth 0 \( ! -user root -o -perm /022 \) 2>/dev/null) # where not only root may write
open_to_others() {
  case "
$others
" in *"
$1
"*) ;; *) return 1 ;; esac
}
enter() { # part: into it; unless only root may write to all that was passed, it must be no link
  if [ -n "$safe" ]; then
    cd -P -- "./$1" || exit
  else
    before=$(pwd -P) && cd -P -- "./$1" || exit
    [ "$(pwd -P)" = "${before%/}/$1" ] || {
      echo "$way/$1 is a link, in a folder that not only root may write to: remove it, then run again"
      exit 1
    }
  fi
  way=$way/$1
  ! open_to_others "$way" || safe=
}
reach() { # path: into the folder above it; what is missing is made, unless $2 says that nothing is to be made
  cd / && way='' safe=1 rest=${1#/} || exit
  while part=${rest%%/*} && [ "$part" != "$rest" ]; do
    rest=${rest#*/}
    if [ ! -d "$part" ]; then
      [ -z "${2-}" ] || exit 0
      mkdir -- "$part" || exit
    fi
    enter "$part"
  done
}
make() {
  reach "$3"
  [ -d "$rest" ] || mkdir -m 700 -- "$rest" || exit
  enter "$rest"
  chown -- "$2" . && chmod -- "$1" . || exit
}
remove() {
  reach "$1" only
  rm -rf -- "./$rest"
}
