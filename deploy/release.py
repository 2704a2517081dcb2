"""Activations: how a site moves to another release, environment or configuration without a lost request. Pure.

On the host, below ``/srv/<app>``: ``releases/<id>`` is code, ``venvs/<key>`` packages, ``shared`` what
survives, ``activations/<n>`` one way of running them: links ``release``, ``venv``, ``www/…`` and
``gunicorn.sock``, and files ``env`` and ``gunicorn.conf.py``. ``current`` links to one activation; renaming
it is the one switch. Below ``/var/lib/barehost/apps/<app>/`` lies one record for each release.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from deploy.errors import LookError
from deploy.resource import Change, Phase, Resource, State, Step, Upload
from deploy.shell import KEY, Command, Script, join, keyed, sh

RECORDS = "/var/lib/barehost/apps"

ASK = (Path(__file__).parent / "host" / "ask.py").read_text()

STOPPING_SECONDS = 300
"""How long a step may wait for an old instance beyond its own graceful timeout."""


@dataclass(frozen=True)
class Question:
    """How a release shows that it serves: what is asked, of whom, and the answer that counts.

    name: the host name in the request. path, status, timeout (seconds): the site's own health settings.
    port: where Nginx listens; scheme: ``http`` or ``https``.
    """

    name: str
    path: str
    status: int
    timeout: int
    port: int
    scheme: str


@dataclass(frozen=True)
class Activation(Resource):
    """The site ``app`` runs ``release`` on ``venv`` with this environment and configuration, and traffic goes there.

    env: the environment file, compared by a keyed digest and never shown. config: Gunicorn's configuration.
    unit: digest of the template unit that instances start from. www: URL folder → folder in the release.
    drain: seconds that requests of the old instance may still take after the switch.
    keep: healthy releases that stay on the host.
    """

    phase: ClassVar[Phase] = Phase.SWITCH
    family: ClassVar[str] = "activation"

    app: str
    release: str
    venv: str
    env: bytes = field(repr=False)
    config: str = field(repr=False)
    unit: str
    www: tuple[tuple[str, str], ...]
    question: Question
    drain: int
    keep: int

    @property
    def id(self) -> str:
        return f"activation:{self.app}"

    def expected(self) -> State | None:
        return {
            "release": self.release,
            "venv": self.venv,
            "environment": keyed(self.env),
            "configuration": hashlib.sha256(self.config.encode()).hexdigest(),
            "static folders": self._www,
            "unit": self.unit,
            "active": "active",
            "enabled": True,
            "left over": "",
        }

    @property
    def _www(self) -> str:
        return "\n".join(f"{url} -> {folder}" for url, folder in sorted(self.www))

    @classmethod
    def probe(cls, resources: Sequence[Resource]) -> Script:
        names = [one.app for one in resources if isinstance(one, Activation)]
        return sh(_LOOK + 'for app in @{names}; do look "$app" || exit; done\n', names=names, key=KEY)

    @classmethod
    def parse(cls, resources: Sequence[Resource], output: bytes) -> dict[str, State | None]:
        found: dict[str, State | None] = {}
        for record in output.decode(errors="surrogateescape").split("\0")[:-1]:
            name, *lines = record.split("\n")
            found[f"activation:{name}"] = _state(lines)
        for one in resources:
            if one.id not in found:
                raise LookError(f"the host did not tell what runs of {one.id.partition(':')[2]}; look again")
        return found

    @classmethod
    def steps(cls, changes: Sequence[Change]) -> Iterator[Step]:
        for change in changes:
            assert isinstance(change.resource, Activation)
            yield from change.resource._steps(change)

    def _steps(self, change: Change) -> Iterator[Step]:
        differs = set(change.keys)
        if change.actual is not None and "left over" in differs:
            yield self._command("stop what an unfinished switch left of", _LEFT_OVER)
        if change.actual is not None and differs <= {"active", "enabled", "left over"}:
            if differs & {"active", "enabled"}:
                yield self._command("start", _CURRENT + "systemctl enable -q $unit\n" + _START)
                yield self._command("health of", _CURRENT + _HEALTH)
            return
        yield Upload(
            f"activation-{self.app}", self._pack, len(self.www) + 2, len(self.env) + len(self.config)
        )
        yield self._command("prepare an activation of", _PREPARE)
        yield self._command("start", _NEW + _START)
        yield self._command("health of", _NEW + _HEALTH)
        yield self._command("switch to", _NEW + _SWITCH)
        yield self._command("prove through Nginx", _NEW + _PROVE)
        yield self._command("drain and stop the old instance of", _NEW + _DRAIN)
        yield self._command("prune", _NEW + _PRUNE)

    def _command(self, label: str, text: str) -> Command:
        values: dict[str, Script | str | int] = {
            "app": self.app,
            "release": self.release,
            "venv": self.venv,
            "unit": self.unit,
            "ask": Script(ASK),
            "name": self.question.name,
            "path": self.question.path,
            "status": self.question.status,
            "timeout": self.question.timeout,
            "port": self.question.port,
            "scheme": self.question.scheme,
            "drain": self.drain,
            "keep": self.keep,
            "records": RECORDS,
        }
        whole = _PRELUDE + text
        used = {key: value for key, value in values.items() if f"@{{{key}}}" in whole}
        seconds = max(self.question.timeout, self.drain) + STOPPING_SECONDS
        return Command(f"{label} {self.app} {self.release}", sh(whole, **used), seconds)

    def _pack(self) -> Iterator[bytes]:
        """The activation's own files and links as a tar; its number is given by the host."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
            _add_file(tar, "env", self.env, 0o600)
            _add_file(tar, "gunicorn.conf.py", self.config.encode(), 0o640)
            _add_link(tar, "release", f"/srv/{self.app}/releases/{self.release}")
            _add_link(tar, "venv", f"/srv/{self.app}/venvs/{self.venv}")
            for url, folder in self.www:
                _add_link(tar, f"www/{url}", f"/srv/{self.app}/releases/{self.release}/{folder}")
        yield buffer.getvalue()


def environment(app_env: Mapping[str, str], release: str) -> dict[str, str]:
    """What a site's process finds in its environment, the release's id included."""
    return {**app_env, "BAREHOST_RELEASE": release}


def _add_file(tar: tarfile.TarFile, name: str, data: bytes, mode: int) -> None:
    about = tarfile.TarInfo(name)
    about.size, about.mode = len(data), mode
    tar.addfile(about, io.BytesIO(data))


def _add_link(tar: tarfile.TarFile, name: str, target: str) -> None:
    about = tarfile.TarInfo(name)
    about.type, about.linkname = tarfile.SYMTYPE, target
    tar.addfile(about)


def _state(lines: Sequence[str]) -> State | None:
    told: dict[str, str] = {}
    www = []
    for line in lines:
        key, _, value = line.partition(" ")
        if key == "www":
            www.append(value)
        else:
            told[key] = value
    if not told.get("current"):
        return None if not told.get("stray") else {"left over": told["stray"]}
    return {
        "release": told.get("release", ""),
        "venv": told.get("venv", ""),
        "environment": told.get("env", ""),
        "configuration": told.get("config", ""),
        "static folders": "\n".join(sorted(www)),
        "unit": told.get("unit", ""),
        "active": told.get("active", ""),
        "enabled": told.get("enabled") == "enabled",
        "left over": told.get("stray", ""),
    }


_UNITS = r"""
units() { # app option: its instances that systemd has loaded
  systemctl list-units --plain --no-legend --no-pager "$2" "$1@*.service" | while read -r name rest; do
    echo "$name"
  done
}
"""

_LOOK = r"""
look() {
  root=/srv/$1
  current=$(readlink "$root/current") || current=
  n=${current##*/}
  printf '%s\ncurrent %s\n' "$1" "$n"
  here=$root/activations/$n
  if [ -n "$n" ] && [ -d "$here" ]; then
    link=$(readlink "$here/release") && printf 'release %s\n' "${link##*/}"
    link=$(readlink "$here/venv") && printf 'venv %s\n' "${link##*/}"
    if [ -f "$here/env" ]; then
      sum=$({ printf %s @{key}; cat "$here/env"; } | sha256sum) || return
      printf 'env %s\n' "${sum%% *}"
    fi
    if [ -f "$here/gunicorn.conf.py" ]; then
      sum=$(sha256sum < "$here/gunicorn.conf.py") || return
      printf 'config %s\n' "${sum%% *}"
    fi
    if [ -f "$here/record" ]; then cat "$here/record" || return; fi
    if [ -d "$here/www" ]; then
      (cd "$here/www" && find . -type l -printf 'www %P -> %l\n') | sed "s|/srv/$1/releases/[^/]*/||" || return
    fi
    systemctl show -p ActiveState,UnitFileState -- "$1@$n.service" | while IFS='=' read -r key value; do
      case $key in ActiveState) echo "active $value" ;; UnitFileState) echo "enabled $value" ;; esac
    done
  fi
  stray=
  for link in /etc/systemd/system/multi-user.target.wants/"$1"@*.service; do
    [ -L "$link" ] || continue
    unit=${link##*/}; [ "$unit" = "$1@$n.service" ] || stray="$stray $unit"
  done
  for unit in $(units "$1" --state=active,activating,deactivating,failed); do
    [ "$unit" = "$1@$n.service" ] && continue
    case " $stray " in *" $unit "*) ;; *) stray="$stray $unit" ;; esac
  done
  printf 'stray %s\n\0' "${stray# }"
}
"""
"""Prints, for one site, what runs and what an interrupted switch left running or enabled beside it."""

_PRELUDE = r"""
set -u
app=@{app}; root=/srv/$app
of() { unit=$app@$1.service; here=$root/activations/$1; socket=/run/$app/$1/gunicorn.sock; }
listed() { grep -c " $1\$" /proc/net/unix || :; }
drained() { # the socket of an instance that gets no new requests: wait until only its listener is left
  end=$(($(date +%s) + $2))
  while [ "$(listed "$1")" -gt 1 ] && [ "$(date +%s)" -lt "$end" ]; do sleep 0.1; done
  [ "$(listed "$1")" -le 1 ] || echo "requests were still running after $2 s; they are ended now"
}
"""

_NEW = 'n=$(cat "$RUN/$app.n") && of "$n" || exit\n'

_CURRENT = 'n=$(readlink "$root/current") && n=${n##*/} && of "$n" || exit\n'

_PREPARE = r"""
mkdir -p -m 700 @{records}/"$app" && mkdir -p "$root/activations" || exit
n=0
for folder in "$root"/activations/*; do
  one=${folder##*/}
  case $one in *[!0-9]*) continue ;; esac
  [ "$one" -gt "$n" ] && n=$one
done
n=$((n + 1)); of "$n"
rm -rf "$root/activations/.new"
mkdir -m 750 "$root/activations/.new" && cd "$root/activations/.new" || exit
mkdir -m 750 www && tar -xpf "$UPLOAD/activation-$app" --no-same-owner || exit
ln -s "$socket" gunicorn.sock && printf 'unit %s\n' @{unit} > record || exit
chown -hR "root:$app" . && chown root:root env record && chmod 600 env record || exit
find www -type d -exec chmod 750 {} + && sync -f . && mv -T "$root/activations/.new" "$here" || exit
[ -e @{records}/"$app"/@{release} ] ||
  printf 'venv %s\nstaged %s\n' @{venv} "$(date -u +%Y-%m-%dT%H:%M:%SZ)" > @{records}/"$app"/@{release} || exit
echo "$n" > "$RUN/$app.n"
"""

_START = r"""
systemctl reset-failed "$unit" 2>/dev/null || :
systemctl start "$unit" && exit
journalctl -u "$unit" -n 60 --no-pager -o cat
echo "$unit did not start"
systemctl stop "$unit"; systemctl reset-failed "$unit" 2>/dev/null
[ "$(readlink "$root/current")" = "activations/$n" ] || rm -rf "$here"
exit 1
"""

_HEALTH = r"""
restarts() { systemctl show --value -p NRestarts "$unit"; }
before=$(restarts)
end=$(($(date +%s) + @{timeout}))
while :; do
  if answer=$(setpriv --reuid www-data --regid www-data --init-groups "$here/venv/bin/python" -I - \
    "$socket" @{scheme} @{name} @{path} @{status} @{release} "$n" 2>&1 <<'ASK'
@{ask}
ASK
  ); then
    printf 'healthy %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" >> "$here/record" && exit 0
    exit 1
  fi
  state=$(systemctl show --value -p ActiveState "$unit")
  case $state in active | activating) ;; *) reason="the instance is $state"; break ;; esac
  if [ "$(restarts)" != "$before" ]; then reason="the instance crashed at start"; break; fi
  if [ "$(date +%s)" -ge "$end" ]; then reason="not healthy within @{timeout} s"; break; fi
  sleep 0.05
done
journalctl -u "$unit" -n 60 --no-pager -o cat
echo "$unit: $reason ($answer)"
if [ "$(readlink "$root/current")" != "activations/$n" ]; then
  systemctl stop "$unit"; systemctl reset-failed "$unit" 2>/dev/null; rm -rf "$here"
fi
exit 1
"""
"""Asked as Nginx's user, so that a socket it cannot open fails here and not after the switch."""

_SWITCH = r"""
old=$(readlink "$root/current") || old=
old=${old##*/}
echo "$old" > "$RUN/$app.old" || exit
systemctl enable -q "$unit" || exit
ln -sfT "activations/$n" "$root/.current.new" && sync -f "$root" && mv -fT "$root/.current.new" "$root/current" || exit
sync -f "$root"
[ -z "$old" ] || [ "$old" = "$n" ] || systemctl disable -q "$app@$old.service"
"""
"""Enable the new, rename, disable the old: after each of these three a reboot comes up with a served site."""

_PROVE = r"""
end=$(($(date +%s) + 15))
while :; do
  answer=$("$here/venv/bin/python" -I - @{port} @{scheme} @{name} @{path} @{status} @{release} "$n" 2>&1 <<'ASK'
@{ask}
ASK
  ) && { printf 'proven %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" >> "$here/record"
         printf 'healthy %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" >> @{records}/"$app"/@{release}; exit 0; }
  [ "$(date +%s)" -lt "$end" ] || break
  sleep 0.05
done
tail -n 5 "/var/log/nginx/$app.error.log" 2>/dev/null
echo "through Nginx: $answer"
old=$(cat "$RUN/$app.old")
if [ -n "$old" ]; then
  systemctl enable -q "$app@$old.service"
  ln -sfT "activations/$old" "$root/.current.new" && mv -fT "$root/.current.new" "$root/current" && sync -f "$root"
else
  rm -f "$root/current"
fi
systemctl disable -q "$unit"
drained "$socket" 5; systemctl stop "$unit"; rm -rf "$here"
exit 1
"""

_DRAIN = r"""
old=$(cat "$RUN/$app.old")
[ -n "$old" ] && [ "$old" != "$n" ] || exit 0
drained "/run/$app/$old/gunicorn.sock" @{drain}
systemctl stop "$app@$old.service"
"""

_LEFT_OVER = (
    _UNITS
    + r"""
for unit in $(units "$app" --all) \
  /etc/systemd/system/multi-user.target.wants/"$app"@*.service; do
  unit=${unit##*/}; n=${unit#"$app"@}; n=${n%.service}
  [ "$n" = '*' ] || [ "$(readlink "$root/current")" = "activations/$n" ] && continue
  systemctl disable -q "$unit" 2>/dev/null
  drained "/run/$app/$n/gunicorn.sock" @{drain}
  systemctl stop "$unit"; systemctl reset-failed "$unit" 2>/dev/null
done
:
"""
)

_PRUNE = r"""
old=$(cat "$RUN/$app.old")
for folder in "$root"/activations/*; do
  one=${folder##*/}
  [ "$one" = "$n" ] || [ "$one" = "$old" ] || rm -rf "$folder"
done
:
"""


@dataclass(frozen=True)
class Leaving(Resource):
    """The site ``app`` is not wanted here: its instances stop, its code, venvs and activations go.

    purge: its shared data and its account go as well; without it they stay, and a later ``state: present``
    finds them.
    """

    phase: ClassVar[Phase] = Phase.LEAVE
    family: ClassVar[str] = "leaving"

    app: str
    purge: bool = False

    @property
    def id(self) -> str:
        return f"site:{self.app}"

    def expected(self) -> State | None:
        return None

    @classmethod
    def probe(cls, resources: Sequence[Resource]) -> Script:
        asked = [
            sh("left @{app} @{purge}", app=one.app, purge="purge" if one.purge else "keep")
            for one in resources
            if isinstance(one, Leaving)
        ]
        return join([Script(_LEFT), *asked])

    @classmethod
    def parse(cls, resources: Sequence[Resource], output: bytes) -> dict[str, State | None]:
        told = dict(line.split(" ", 1) for line in output.decode(errors="replace").splitlines())
        if missing := [one.id for one in resources if one.id.partition(":")[2] not in told]:
            raise LookError(f"the host did not tell what is left of {missing[0]}; look again")
        states: dict[str, State | None] = {}
        for one in resources:
            left = told[one.id.partition(":")[2]]
            states[one.id] = {"left": left} if left else None
        return states

    @classmethod
    def steps(cls, changes: Sequence[Change]) -> Iterator[Step]:
        for change in changes:
            one = change.resource
            assert isinstance(one, Leaving)
            text = _LEAVE + (_PURGE if one.purge else "")
            yield Command(f"remove the site {one.app}", sh(text, app=one.app, records=RECORDS))


_LEFT = r"""
left() { # app keep|purge: one line with what is there of it
  root=/srv/$1; found=
  for part in current releases venvs activations assets; do
    if [ -e "$root/$part" ] || [ -L "$root/$part" ]; then found="$found $part"; fi
  done
  if [ "$2" = purge ]; then
    [ ! -e "$root" ] || found="$found $root"
    ! getent passwd "$1" >/dev/null || found="$found account"
  fi
  printf '%s %s\n' "$1" "${found# }"
}
"""

_LEAVE = (
    _UNITS
    + r"""
app=@{app}; root=/srv/$app
for unit in $(units "$app" --all) /etc/systemd/system/multi-user.target.wants/"$app"@*.service; do
  unit=${unit##*/}
  [ "$unit" = "$app@*.service" ] && continue
  systemctl disable -q "$unit" 2>/dev/null
  systemctl stop "$unit" || exit
  systemctl reset-failed "$unit" 2>/dev/null
done
for release in "$root"/releases/*; do
  record=$(printf %s "$release" | sha256sum)
  rm -rf "/var/lib/barehost/trees/${record%% *}"
done
rm -rf "$root/current" "$root/activations" "$root/releases" "$root/venvs" "$root/assets" @{records}/"$app"
"""
)
"""By now Nginx no longer knows the site: its configuration went in the files phase of the same apply."""

_PURGE = r"""
rm -rf "$root"
! getent passwd "$app" >/dev/null || userdel "$app"
! getent group "$app" >/dev/null || groupdel "$app"
"""
