"""Real systemd hosts on this machine, booted in about a second: up, down, reset, reboot, kill, freeze.

Prints nothing, keeps nothing running of its own, and ends only what it started. A machine that cannot boot
hosts gets one sentence (StagingError). docs/staging.md is the user's page.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import replace as changed
from pathlib import Path

from deploy.errors import StagingError
from deploy.staging import container, identity, listing, machine, network
from deploy.staging.base import base_image
from deploy.staging.record import Image, Record, Space, space, valid_name

__all__ = [
    "Image",
    "StagingHost",
    "down",
    "freeze",
    "hosts",
    "images",
    "inside",
    "kill",
    "reboot",
    "reset",
    "running",
    "space",
    "start",
    "stop",
    "thaw",
    "up",
]


@dataclass(frozen=True)
class StagingHost:
    """A host as it stands, with all that is needed to reach it.

    key, known_hosts: files of the project's state folder; sudo_password: None when sudo asks for none.
    behind: the host to jump through, None when this machine reaches it itself.
    root: its files, seen from here.
    pid: its process 1, seen from here; None when it does not run.
    state: "running" or "stopped"; just after a boot also "degraded (failed units)".
    """

    name: str
    suite: str
    address: str
    port: int
    user: str
    sudo_password: str | None
    key: Path
    known_hosts: Path
    ssh_config: Path
    inventory: Path
    behind: str | None
    root: Path
    pid: int | None
    state: str


def up(
    name: str,
    *,
    suite: str = "bookworm",
    image: str | None = None,
    python: bool = False,
    user: str = "root",
    sudo_password: str | None = None,
    port: int = 22,
    behind: str | None = None,
    containers: bool = False,
) -> StagingHost:
    """Boot a host, or give back the one that runs; one that was stopped starts with what it had.

    image: a frozen image to boot from instead of the bare suite. python: with Debian's Python, which a bare
    host has not. user: who logs in; other than root they have sudo, with `sudo_password` if that is given.
    behind: the name of a running host that is the only way to this one. containers: a container engine can run in it,
    as in each host that boots from an image of such a one.
    Raises StagingError when this machine cannot, when the name is taken by a host asked for differently,
    or with the end of its console when it does not boot.
    """
    machine.require()
    place = space()
    wanted = Record(
        name=valid_name(name),
        state=str(place.state),
        suite=place.image(image).suite if image else suite,
        python=python,
        image=image,
        user=user,
        sudo_password=sudo_password,
        port=port,
        behind=behind,
        containers=containers or (image is not None and place.image(image).containers),
        address="",
        network="",
        layers=(),
    )
    if user == "root" and sudo_password is not None:
        raise StagingError(f"staging host {name}: a sudo password needs a user other than root")
    _sweep()
    with _held(wanted):
        present = place.host(name)
        if present and present.made:
            _same(present, wanted)
            return _start(present)
        if half_made := _trace(place, name):
            _clear(half_made)
        return _make(wanted)


def down(name: str) -> bool:
    """End a host and remove all of it, first those behind it; whether there was anything of it."""
    machine.require()
    place = space()
    found = False
    for record in place.hosts():
        if record.behind == name:
            down(record.name)
    with machine.locked(f"barehost-{place.key}-{valid_name(name)}"):
        if trace := _trace(place, name):
            _clear(trace)
            found = True
    return found


def hosts() -> list[StagingHost]:
    """Every host of this project, running or stopped, by name."""
    return [_host(record) for record in space().hosts() if record.made]


def running() -> list[StagingHost]:
    """The hosts of this project that run now, by name."""
    return [host for host in hosts() if host.pid is not None]


def start(name: str) -> StagingHost:
    """Boot a stopped or killed host again on what it had written; one that runs is given back as it is."""
    machine.require()
    record = _known(name)
    with _held(record):
        return _start(record)


def stop(name: str) -> None:
    """Power a host off in order; its files stay for `start`."""
    record = _known(name)
    with _held(record):
        container.shut_down(record)


def kill(name: str) -> None:
    """End a host at once, as if it had crashed; its files stay for `start`. What was written is not lost, so
    this is a kill test and not a power cut."""
    record = _known(name)
    with _held(record):
        container.end(record)


def reboot(name: str) -> StagingHost:
    """Power a host off in order and boot it again."""
    stop(name)
    return start(name)


def reset(name: str) -> StagingHost:
    """Throw away what a host has written and boot it afresh: the same address, keys and account."""
    machine.require()
    record = _known(name)
    with _held(record):
        container.end(record)
        container.unmount(record)
        identity.forget_overlay(record)
        return _start(record)


def inside(name: str, *argv: str, stdin: str = "", timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a command in a host as root, without SSH: for tests that change a host behind everybody's back.

    timeout: seconds. A command that fails is no error here: look at its return code.
    """
    return container.enter(_known(name), list(argv), stdin=stdin, timeout=timeout)


def freeze(name: str, image: str) -> Image:
    """Power a host off and keep what it wrote as an image that further hosts boot from; the host is gone.

    Raises StagingError when there is such an image already, or a host behind this one.
    """
    machine.require()
    record = _known(name)
    place = record.space
    folder = place.folder / "images" / valid_name(image)
    if any(other.behind == name for other in place.hosts()):
        raise StagingError(f"staging host {name} has hosts behind it: take them down before it is frozen")
    with _held(record), machine.locked(f"barehost-{place.key}-image-{image}"):
        if (folder / "image.json").exists():
            raise StagingError(f"staging image {image!r} exists: staging.thaw({image!r}) removes it")
        container.shut_down(record)
        container.unmount(record)
        machine.remove(folder)
        folder.mkdir(parents=True)
        record.upper.rename(folder / "upper")
        layers = (str(folder / "upper"), *record.layers)
        if record.containers:
            record.storage.rename(folder / "storage")
        about = {"suite": record.suite, "layers": layers, "containers": record.containers}
        machine.replace(folder / "image.json", json.dumps(about))
        _clear(record)
    return place.image(image)


def images() -> list[Image]:
    """The frozen images of this project, by name."""
    place = space()
    return [place.image(path.parent.name) for path in sorted(place.folder.glob("images/*/image.json"))]


def thaw(image: str) -> None:
    """Delete an image; one that is not there is fine. StagingError while anything stands on it."""
    place = space()
    folder = place.folder / "images" / valid_name(image)
    layer = str(folder / "upper")
    users = [record.name for record in place.hosts() if layer in record.layers]
    users += [other.name for other in images() if layer in other.layers and other.name != image]
    if users:
        raise StagingError(f"staging image {image!r} is used by {', '.join(users)}: take them down first")
    (folder / "image.json").unlink(missing_ok=True)
    machine.remove(folder)
    _tidy(place)


def _make(wanted: Record) -> StagingHost:
    """A new host from nothing; whatever goes wrong, nothing of it stays."""
    place = wanted.space
    bare = () if wanted.image else (str(base_image(wanted.suite, python=wanted.python)),)
    record = changed(wanted, layers=place.image(wanted.image).layers if wanted.image else bare)
    place.folder.mkdir(parents=True, exist_ok=True)
    machine.replace(place.folder / "state", f"{place.state}\n")
    with machine.locked(f"barehost-{place.key}"):
        identity.project_key(place)
    try:
        return _start(record)
    except BaseException:
        _clear(record)
        raise


def _start(record: Record) -> StagingHost:
    """Bring a host from whatever it has to booted; the caller holds its lock."""
    if container.init(record) is not None and container.supervisor(record) is not None:
        return _host(record)
    container.end(record)
    record = network.attach(record)
    fresh = not record.upper.exists()
    container.mount(record)
    if fresh or not record.made:
        identity.imprint(record)
    container.start(record)
    state = container.booted(record)
    record = changed(record, made=True)
    with machine.locked(_listing(record.space)):
        record.save()
        listing.write(record.space)
    return changed(_host(record), state=state)


def _clear(record: Record) -> None:
    """Remove every trace of a host, whole or half-made; the caller holds its lock."""
    container.end(record)
    container.unmount(record)
    network.detach(record)
    with machine.locked(_listing(record.space)):
        record.forget()
        listing.write(record.space)
    machine.remove(record.folder)
    _tidy(record.space)


def _trace(place: Space, name: str) -> Record | None:
    """The record of a host, or a stand-in for one whose record was lost while its folder stayed."""
    record = place.host(name)
    if record is None and (place.folder / "hosts" / name).exists():
        return Record(name, str(place.state), "", False, None, "root", None, 22, None, "", "", ())
    return record


def _tidy(place: Space) -> None:
    """Remove the project's folder on this machine when it holds no host and no image any more."""
    with machine.locked(f"barehost-{place.key}"):
        if not any(place.folder.glob("hosts/*")) and not any(place.folder.glob("images/*")):
            machine.remove(place.folder)


def _sweep() -> None:
    """Take down the hosts of checkouts that are no longer on this machine."""
    for mark in sorted(machine.LIBRARY.glob(f"{machine.PROJECT}/state")):
        place = Space(Path(mark.read_text(encoding="utf-8").strip()), mark.parent.name)
        if place.state.exists():
            continue
        for record in place.hosts():
            with _held(record):
                _clear(record)
        machine.remove(place.folder)


def _listing(place: Space) -> str:
    """The lock under which the project's list of hosts is read as a whole and written."""
    return f"barehost-{place.key}-listing"


def _same(present: Record, wanted: Record) -> None:
    for field in ("suite", "python", "image", "user", "sudo_password", "port", "behind", "containers"):
        if getattr(present, field) != getattr(wanted, field):
            raise StagingError(
                f"staging host {wanted.name} is there with another {field.replace('_', ' ')}:"
                f" take it down first, or give it the same"
            )


def _known(name: str) -> Record:
    """The record of a host that was booted once; StagingError when there is none."""
    record = space().host(valid_name(name))
    if record is None or not record.made:
        known = ", ".join(host.name for host in space().hosts() if host.made) or "none"
        raise StagingError(f"no staging host {name!r} in this project (there is: {known}): bring it up first")
    return record


@contextmanager
def _held(record: Record) -> Iterator[None]:
    with machine.locked(record.unique):
        yield


def _host(record: Record) -> StagingHost:
    pid = container.init(record)
    place = record.space
    return StagingHost(
        name=record.name,
        suite=record.suite,
        address=record.address,
        port=record.port,
        user=record.user,
        sudo_password=record.sudo_password,
        key=place.private_key,
        known_hosts=place.known_hosts,
        ssh_config=place.state / "ssh_config",
        inventory=place.state / "hosts.yml",
        behind=record.behind,
        root=record.root,
        pid=pid,
        state="stopped" if pid is None else "running",
    )
