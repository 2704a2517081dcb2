"""The unit of a site, judged by systemd."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deploy.resources.path import File
from deploy.roles.app import unit as unit_of
from deploy.roles.servers import server_of
from tests.unit.fakes.front import inside, lay
from tests.unit.fakes.site import BOOKWORM, app, host

SANDBOXES: dict[str, dict[str, Any]] = {
    "closed": {},
    "everything open": {
        "writable": ["/var/cache/x"],
        "jit": True,
        "proc": True,
        "home": True,
        "devices": True,
    },
    "no way out": {"outbound": False},
}


def unit(**keys: Any) -> str:
    site = app(**keys)
    return unit_of(host(site), site, server_of(host(site), site, BOOKWORM))


@pytest.mark.parametrize("sandbox", SANDBOXES.values(), ids=SANDBOXES.keys())
def test_systemd_takes_the_unit(root: Path, sandbox: dict[str, Any]) -> None:
    lay(root, [File("/etc/systemd/system/hello@7.service", unit(sandbox=sandbox))])
    runner = root / "srv/hello/activations/7/venv/bin/gunicorn"
    runner.parent.mkdir(parents=True)
    runner.write_text("#!/bin/sh\n")
    runner.chmod(0o755)
    judged = inside(root, "systemd-analyze verify --man=no hello@7.service")
    assert (judged.returncode, judged.stderr) == (0, "")


def test_a_sandbox_opens_only_what_it_names() -> None:
    closed = set(unit().splitlines())
    assert set(unit(sandbox={"jit": True}).splitlines()) == closed - {"MemoryDenyWriteExecute=yes"}
    assert closed - set(unit(sandbox={"proc": True}).splitlines()) == {
        "ProcSubset=pid",
        "ProtectProc=invisible",
    }
    assert set(unit(sandbox={"outbound": False}).splitlines()) - closed == {
        "IPAddressDeny=any",
        "IPAddressAllow=localhost",
    }
    writable = set(unit(sandbox={"writable": ["/var/cache/x"]}).splitlines())
    assert writable - closed == {"ReadWritePaths=/srv/hello/shared /var/cache/x"}
    assert set(unit(sandbox={"home": True, "devices": True}).splitlines()) - closed == {
        "ProtectHome=no",
        "PrivateDevices=no",
    }


def test_systemd_waits_longer_than_the_server() -> None:
    assert "TimeoutStopSec=65" in unit(graceful_timeout=60).splitlines()
