"""What one host runs alone ends on the others: on which, by what script, and who cannot be asked is an error."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Struct

from deploy import transport
from deploy.errors import HostError
from deploy.fleet.elsewhere import end_elsewhere, ending
from deploy.inventory.hosts import Host
from tests.unit.fakes import local

UNITS = ["shop-beat@.service", "shop-clear.timer"]


class Reply(Struct):
    rc: int = 0
    stdout: bytes = b""
    stderr: bytes = b""


class Session:
    def __init__(self, reply: Reply) -> None:
        self.reply = reply

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run(self, script: str, timeout: float) -> Reply:
        assert script == ending(UNITS)
        return self.reply


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"web2": Reply(), "web3": Reply()}, None),
        ({"web2": Reply(), "web3": HostError("web3: no route")}, "web3: no route"),
        (
            {"web2": Reply(1, b"shop-clear still runs there"), "web3": Reply()},
            "web2: shop-clear still runs there",
        ),
    ],
)
def test_all_others_are_asked_and_one_that_cannot_be_is_an_error(
    answers: dict[str, Any], words: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def connect(host: Host, *, password: Any) -> Session:
        asked.append(host.name)
        if isinstance(answers[host.name], HostError):
            raise answers[host.name]
        return Session(answers[host.name])

    monkeypatch.setattr(transport, "connect", connect)
    others = [Host(name, address=name) for name in ("web1", "web2", "web3")]
    host = Host("web1", address="web1", sharing={"shop": (*others, Host("down"))})
    if words is None:
        end_elsewhere(host, "shop", UNITS)
    else:
        with pytest.raises(HostError, match=rf"^web1: shop-beat, shop-clear.timer .*{words}"):
            end_elsewhere(host, "shop", UNITS)
    assert sorted(asked) == ["web2", "web3"]


def test_a_host_without_such_units_has_nothing_to_end() -> None:
    done = local.run(ending(["barehost-none@.service", "barehost-none.timer"]))
    assert (done.returncode, done.stdout) == (0, b"")
