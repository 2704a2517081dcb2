# Installs the projects of a release beside its code, as the site's account in the release's folder: what they say of
# themselves (version, entry points, commands) and where their code lies, which stays where it is and is not copied.
# Input: venv, projects (folders of the release), version (for those that ask git, which is not here), pip (a program
# that finds it), flags (words for pip).
set -eu
python=@{venv}/bin/python
@{pip}
into=.barehost/packages
rm -rf -- "$into"
mkdir -p -- .barehost
work=$(mktemp -d)
"$python" -Im zipfile -e "$pip" "$work"
export SETUPTOOLS_SCM_PRETEND_VERSION=@{version} PDM_BUILD_SCM_VERSION=@{version}
export POETRY_DYNAMIC_VERSIONING_BYPASS=@{version} UV_DYNAMIC_VERSIONING_BYPASS=@{version}
set --
for project in @{projects}; do set -- "$@" -e "./$project"; done
PYTHONPATH="$work" "$python" -m pip --disable-pip-version-check --no-input install --no-deps --progress-bar=off \
  --no-warn-script-location --target "$into" @{flags} "$@"
