"""One look at a host: all probes and the facts as one script, and its answer taken apart. Pure: never connects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from deploy import facts as about_host
from deploy.errors import LookError
from deploy.facts import Facts
from deploy.resource import Fact, Resource, State, Unknown, Unprobed
from deploy.shell import Script, join, program, sh


class Look(Struct, frozen=True):
    """What a host answered.

    unfinished: when the files transaction was opened that a killed run left behind (UTC), or None.
    running: the folder of the apply that runs on the host right now, or None; holder: who started it.
    busy: who holds the host for a longer run, since when; None when nobody does, or this session itself.
    armed: a guarded change is made there, and goes back unless somebody confirms it.
    """

    facts: Facts
    states: Mapping[str, State | Unknown | None]
    unfinished: str | None = None
    running: str | None = None
    holder: str | None = None
    busy: str | None = None
    armed: bool = False


_STATUS = Script(program("status-look"))


def script(resources: Sequence[Resource], nonce: str) -> Script:
    """The whole look as one sh script; every section ends in a line with ``nonce``, its name and exit code.

    The sections run side by side, each into a file of its own in memory: most of a look is waiting for many
    small programs, one after another. The last begin first: what is switched takes longest to tell. What a failed
    probe complained of follows its line.
    """
    sections = [("status", _STATUS), ("facts", about_host.PROBE)]
    sections += [(family, members[0].probe(members)) for family, members in _families(resources).items()]
    beside = [
        sh(
            '{ ( @{probe}\n) 2>"$SCRATCH/error-@{number}"; code=$?\n'
            "printf '\\n\\036%s %s %s\\n' @{nonce} @{family} \"$code\"\n"
            '[ "$code" -eq 0 ] || cat "$SCRATCH/error-@{number}"; } > "$SCRATCH/look-@{number}" &\n',
            probe=probe,
            number=number,
            nonce=nonce,
            family=family,
        )
        for number, (family, probe) in reversed(list(enumerate(sections)))
    ]
    files = join((sh('"$SCRATCH/look-@{number}"', number=number) for number in range(len(sections))), " ")
    return join([*beside, sh("wait\ncat @{files}", files=files)])


def parse(resources: Sequence[Resource], nonce: str, output: bytes) -> Look:
    """The states of all ``resources``. Raises LookError where a section is missing or its probe failed."""
    sections: dict[str, bytes] = {}
    for family, code, body, rest in _sections(output, nonce):
        if code != "0":
            told = rest.decode(errors="replace").strip() or "it printed nothing"
            raise LookError(f"looking at {family} failed with exit code {code}: {told}")
        sections[family] = body
    states: dict[str, State | Unknown | None] = {}
    for family, members in _families(resources).items():
        if family not in sections:
            raise LookError(f"the host's answer ends before {family}; look again")
        states |= members[0].parse(members, sections[family])
    status = dict(
        line.split(" ", 1)
        for line in sections.get("status", b"").decode(errors="replace").splitlines()
        if " " in line
    )
    if "facts" not in sections:
        raise LookError("the host's answer is empty; look again")
    answered = {one.name: states[one.id] for one in resources if isinstance(one, Fact)}
    own = {
        name: str(state["value"])
        for name, state in answered.items()
        if isinstance(state, Mapping) and state.get("value")
    }
    return Look(
        facts=replace(about_host.parse(sections["facts"]), own=own),
        states=states,
        unfinished=status.get("unfinished"),
        running=status.get("running"),
        holder=status.get("holder"),
        busy=status.get("busy"),
        armed="armed" in status,
    )


def _sections(output: bytes, nonce: str) -> Iterator[tuple[str, str, bytes, bytes]]:
    """Each section's family, exit code and body, and what follows it: a failed one's complaint, or the next one's."""
    mark = b"\n\x1e" + nonce.encode() + b" "
    body, *rest = output.split(mark)
    for part in rest:
        line, _, following = part.partition(b"\n")
        family, code = line.decode().rsplit(" ", 1)
        yield family, code, body, following
        body = following


def _families(resources: Sequence[Resource]) -> dict[str, list[Resource]]:
    families: dict[str, list[Resource]] = {}
    for one in resources:
        if not isinstance(one, Unprobed):
            families.setdefault(one.family, []).append(one)
    return families
