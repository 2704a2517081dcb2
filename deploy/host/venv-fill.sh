# Fills a new Python environment, as the account that builds: pip, run from the wheel that Debian brings, installs
# what is asked for, then all of it is compiled. HOME is made for this and goes with it.
# Input: path, python, version, cache, offline and files (words for pip); the requirements as a tar on stdin.
set -eu
path=@{path} build=@{path}/.build
fail() { printf '%s\n' "$1" >&2; exit 1; }
python=$(command -v @{python})
[ "$("$python" -SIc 'import sys; print("%d.%d" % sys.version_info[:2])')" = @{version} ] ||
  fail "$python is not Python "@{version}' any more: run again'
bundled=$("$python" -Ic 'import ensurepip; print(ensurepip.__path__[0])' 2>/dev/null)/_bundled || bundled=
pip=
for wheel in /usr/share/python-wheels/pip-*.whl "$bundled"/pip-*.whl; do
  if [ -e "$wheel" ]; then pip=$wheel; break; fi
done
[ -n "$pip" ] || fail "there is no pip for $python: install the package python3-venv"
mkdir -m 700 -- "$build"
tar -x -z -f - -C "$build"
mkdir -p -- "$build/source" "$build/tmp" "$build/pip"
cd -- "$build/source"
export TMPDIR="$build/tmp" PIP_CACHE_DIR=@{cache} PIP_NO_INPUT=1
"$python" -I -m venv --without-pip -- "$path"
"$path/bin/python" -Im zipfile -e "$pip" "$build/pip"
PYTHONPATH="$build/pip" "$path/bin/python" -m pip install --no-compile --progress-bar=off \
  --disable-pip-version-check --no-warn-script-location @{offline} @{files} ||
  fail "pip could not install what $path needs: its own lines above say why"
# what cannot be compiled (templates, code for other versions) is imported by nobody
"$path/bin/python" -Im compileall -q -j 0 -- "$path/lib" >/dev/null 2>&1 || :
