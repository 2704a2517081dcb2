# Fills a new Python environment, as the account that builds: pip, run from the wheel that Debian brings, installs
# what is asked for, then all of it is compiled. HOME is made for this and goes with it.
# Input: path, python, version, cache, offline (words for pip), rounds (calls of install, one after another), hints
# (what pip prints and which apt packages that asks for, in pairs), pip (a program that finds it); the requirements as a tar on stdin.
set -eu
path=@{path} build=@{path}/.build
fail() { printf '%s\n' "$1" >&2; exit 1; }
python=$(command -v @{python})
[ "$("$python" -SIc 'import sys; print("%d.%d" % sys.version_info[:2])')" = @{version} ] ||
  fail "$python is not Python "@{version}' any more: run again'
@{pip}
mkdir -m 700 -- "$build"
tar -x -z -f - -C "$build"
mkdir -p -- "$build/source" "$build/tmp" "$build/pip"
cd -- "$build/source"
export TMPDIR="$build/tmp" PIP_CACHE_DIR=@{cache} PIP_NO_INPUT=1
"$python" -I -m venv --without-pip -- "$path"
"$path/bin/python" -Im zipfile -e "$pip" "$build/pip"
pip() { PYTHONPATH="$build/pip" "$path/bin/python" -m pip --disable-pip-version-check "$@"; }
# A package may leave a process behind that holds pip's output open for ever: so what pip prints goes to a file, which is
# followed until pip ends.
install() { # what to install, in words of pip
  : > "$build/printed"
  pip install --no-compile --progress-bar=off --no-warn-script-location @{offline} "$@" > "$build/printed" 2>&1 &
  installing=$!
  tail -n +1 -s 0.1 -f --pid="$installing" -- "$build/printed"
  wait "$installing" || lacking
}
held() { pip list --format=freeze; } # what is there by now, as constraints
lacking() { # say what the host would need for what pip could not build
  missing=
  set -- @{hints}
  while [ "$#" -gt 0 ]; do
    if grep -Eq -e "$1" "$build/printed"; then
      for package in $2; do case " $missing " in *" $package "*) ;; *) missing="$missing $package" ;; esac; done
    fi
    shift 2
  done
  [ -z "$missing" ] || fail "pip could not build a package, since the host has not what that takes: \
packages: [$(echo $missing | sed 's/ /, /g')] under the site in the inventory installs it"
  fail "pip could not install what $path needs: its own lines above say why"
}
@{rounds}
# A release that is a package of its own is found by BAREHOST_PACKAGES, after everything else.
printf '%s\n' 'import os, site; place = os.environ.get("BAREHOST_PACKAGES", ""); os.path.isdir(place) and site.addsitedir(place)' \
  > "$path/lib/python"@{version}/site-packages/barehost.pth
# what cannot be compiled (templates, code for other versions) is imported by nobody
"$path/bin/python" -Im compileall -q -j 0 -- "$path/lib" >/dev/null 2>&1 || :
