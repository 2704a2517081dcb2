# Where pip is, in $pip: the wheel that Debian brings for $python; an environment of ours holds none.
bundled=$("$python" -Ic 'import ensurepip; print(ensurepip.__path__[0])' 2>/dev/null)/_bundled || bundled=
pip=
for wheel in /usr/share/python-wheels/pip-*.whl "$bundled"/pip-*.whl; do
  if [ -e "$wheel" ]; then pip=$wheel; break; fi
done
[ -n "$pip" ] || { echo "there is no pip for $python: install the package python3-venv" >&2; exit 1; }
