"""Power cuts of a full virtual machine at moments drawn by a seed: the site serves, and the same command just works.

BAREHOST_CUTS is how many moments are drawn (one for each phase), BAREHOST_SEED what they are drawn by,
BAREHOST_CUTS_TABLE a file that gets what came of each. docs/release-kills.md tells what such a cut loses.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from releasing import IS_TIDY, TIDY, edit, hello, serving
from sites import CHECKOUT, LEFTOVERS, Project, ask, new_project
from vm import Vm, machine

from deploy.staging.machine import wait

SEED = int(os.environ.get("BAREHOST_SEED", "3"))
SLOW = 8
"""Seconds of a build: the file system writes its journal every five, and file contents after thirty at most."""
SITE = hello(
    build=[f"sleep {SLOW}; date > built"],
    migrate=[f"sleep {SLOW}"],
    keep=3,
    health={"path": "/healthz", "timeout": 240},
)
AFTER = 20
"""Seconds that are the last phase of a release, after it said that it is done."""
BOOTED = 120
"""Seconds in which a site must serve after sshd does, on a machine that is emulated."""
SECONDS = 1200
"""How long a command may take there."""


@dataclass(frozen=True)
class Phase:
    """A part of a run: from the event that begins with ``first`` to the first event of the next phase."""

    name: str
    task: str
    first: str


RELEASE = (
    Phase("code", "release", "step_started create"),
    Phase("venv", "release", "step_started build /srv"),
    Phase("build", "release", "step_started build hello"),
    Phase("static files", "release", "step_started static files"),
    Phase("migration", "release", "step_started migrate"),
    Phase("start", "release", "step_started prepare"),
    Phase("switch", "release", "step_started switch"),
    Phase("proof", "release", "step_started prove"),
    Phase("drain", "release", "step_started drain"),
    Phase("prune", "release", "step_started prune"),
    Phase("done", "release", "finished"),
)
PROVISION = (
    Phase("check of the files", "provision", "step_started check"),
    Phase("files and reload", "provision", "step_finished check"),
)
PHASES = (*RELEASE, *PROVISION)
CUTS = int(os.environ.get("BAREHOST_CUTS", str(len(PHASES))))


@dataclass(frozen=True)
class Moment:
    """When: in this phase, after a share of the time that it takes."""

    number: int
    phase: Phase
    share: float


def moments() -> list[Moment]:
    """Each phase as often as the others, in any order."""
    draw = random.Random(SEED)
    phases = [PHASES[number % len(PHASES)] for number in range(max(CUTS, len(PHASES)))]
    draw.shuffle(phases)
    return [Moment(number, phase, draw.random()) for number, phase in enumerate(phases[:CUTS])]


@pytest.fixture(scope="module")
def vm(state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vm]:
    """A bare machine that is on; its disks are gone at the end."""
    folder = tmp_path_factory.mktemp("vm")
    try:
        with machine(folder) as made:
            made.boot()
            yield made
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def project(vm: Vm, state: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project whose site the machine serves."""
    own = new_project(tmp_path_factory.mktemp("power") / "project", state)
    own.serve(
        vm.name,
        SITE,
        ansible_host=vm.address,
        ansible_port=vm.ssh_port,
        ansible_ssh_private_key_file=str(vm.key),
        barehost_known_hosts=str(vm.known_hosts),
    )
    done = own.run("provision", timeout=SECONDS)
    assert done.code == 0, done.said
    return own


@pytest.fixture(scope="module")
def lengths(vm: Vm, project: Project) -> dict[Phase, float]:
    """The seconds that each phase takes where nobody cuts anything."""
    change(project, 0, PROVISION[0])
    change(project, 0, RELEASE[1])
    return length(project, PROVISION) | length(project, RELEASE)


def length(project: Project, phases: tuple[Phase, ...]) -> dict[Phase, float]:
    """The seconds of each of these phases, in a run that goes to its end."""
    process = project.start(phases[0].task, "--json")
    assert process.stdout is not None
    told = [(time.monotonic(), event(line)) for line in process.stdout]
    _, said = process.communicate()
    assert process.returncode == 0, said
    begins = [next(at for at, what in told if what.startswith(phase.first)) for phase in phases]
    end, _ = told[-1]
    ends = [*begins[1:], end + AFTER if phases is RELEASE else end]
    return {phase: end - begin for phase, begin, end in zip(phases, begins, ends, strict=True)}


def event(line: str) -> str:
    """What happened, and to what, by a line of ``--json``."""
    told = json.loads(line)
    return f"{told['event']} {told.get('label', '')}".strip()


def change(project: Project, number: int, phase: Phase) -> str:
    """Give the next run something to do: new settings of Nginx, or new code; with a new venv where that is cut.

    Returns the line that it adds at the end.
    """
    line = f"# cut {number}\n"
    if phase.task == "provision":
        template = (CHECKOUT / "templates/nginx-site.conf.j2").read_text()
        project.write("templates/nginx-site.conf.j2", template + line)
    else:
        edit(project, line)
    if phase.name == "venv":
        needs = (CHECKOUT / "examples/hello/requirements.txt").read_text()
        project.write("site/requirements.txt", needs + line)
    return line


def strike(vm: Vm, project: Project, moment: Moment, length: float) -> str:
    """Begin the run, cut the power at the moment, and let the person give up; returns when that was."""
    process = project.start(moment.phase.task, "--json")
    assert process.stdout is not None
    for line in process.stdout:
        if event(line).startswith(moment.phase.first):
            break
    time.sleep(length * moment.share)
    vm.cut()
    process.kill()
    _, said = process.communicate()
    assert event(line).startswith(moment.phase.first), said
    return f"{moment.phase.name} + {length * moment.share:.1f} of {length:.1f} s"


def serves(vm: Vm) -> None:
    """Wait until the site answers through Nginx; where it does not, show what the machine knows of it."""

    def answers() -> bool:
        with contextlib.suppress(OSError):
            return ask(vm, port=vm.web_port).status == 200
        return False

    if not wait(answers, BOOTED):
        raise AssertionError(vm.sh(EVIDENCE, ok=False))


EVIDENCE = """
ls -l /srv/hello/current /srv/hello/activations/* /etc/systemd/system/multi-user.target.wants
systemctl --failed --no-legend; systemctl list-units --all --no-legend 'hello@*'
journalctl -b -n 80 --no-pager -o short-precise; tail -n 20 /var/log/nginx/*error.log
"""


def configured(vm: Vm) -> str:
    """The last line of the site's Nginx configuration, which Nginx finds in order."""
    return vm.sh("nginx -t -q && tail -n 1 /etc/nginx/conf.d/hello.conf")


def whole(vm: Vm, project: Project) -> str:
    """What is not as it was shipped or installed: files of the release, of its venv, compressed ones, records."""
    site = project.folder / "site"
    sums = "".join(
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(site)}\n"
        for file in sorted(site.rglob("*"))
        if file.is_file()
    )
    return vm.sh(WHOLE.replace("@SUMS@", sums))


WHOLE = r"""
cd /srv/hello/current/release/ && sha256sum --quiet -c <<'SUMS'
@SUMS@SUMS
/srv/hello/current/venv/bin/python -I - <<'PYTHON'
import base64, csv, hashlib, pathlib, sys
for record in pathlib.Path(sys.prefix).glob("lib/*/site-packages/*.dist-info/RECORD"):
    for name, wanted, _ in csv.reader(record.open()):
        found = hashlib.sha256((record.parents[1] / name).read_bytes()).digest()
        if wanted.partition("=")[2] not in ("", base64.urlsafe_b64encode(found).decode().rstrip("=")):
            print("not as installed:", name)
PYTHON
[ -s built ] || echo 'what the build made is empty'
find . /srv/hello/assets -name '*.gz' -exec gzip -t {} +
grep -L '^venv ' /var/lib/barehost/apps/hello/* || :
"""


def test_a_cut_loses_what_nobody_synced_in_memory_and_on_the_disk_and_keeps_the_rest(vm: Vm) -> None:
    vm.sh("""
        cd /boot
        head -c 4096 /dev/zero > /run/zeros
        direct='dd if=/run/zeros bs=4096 count=1 oflag=direct status=none'
        echo kept > /root/kept && sync /root/kept
        $direct conv=notrunc,fsync of=$(echo config-*)
        sync
        $direct conv=notrunc of=$(echo vmlinuz-*)
        echo lost > /root/lost
    """)
    vm.cut()
    vm.boot()
    assert vm.sh("cat /root/kept; ! grep -s lost /root/lost") == "kept\n"
    assert vm.sh("cd /boot && head -c 4096 config-* | tr -d '\\0' | wc -c") == "0\n"
    assert vm.sh("cd /boot && head -c 4096 vmlinuz-* | tr -d '\\0' | wc -c") != "0\n"


@pytest.mark.parametrize("moment", moments(), ids=lambda moment: f"{moment.number}-{moment.phase.name}")
def test_the_power_may_be_cut_at_any_moment(
    vm: Vm, project: Project, lengths: dict[Phase, float], moment: Moment
) -> None:
    before, old = serving(vm, port=vm.web_port), configured(vm)
    new = change(project, moment.number + 1, moment.phase)
    struck = strike(vm, project, moment, lengths[moment.phase])
    vm.boot()
    serves(vm)
    served = serving(vm, port=vm.web_port)
    assert served >= before
    assert served > before or moment.phase.name != "done"
    found = configured(vm)
    assert found in (old, new)
    lost = whole(vm, project) if served > before else ""
    done = project.run(moment.phase.task, timeout=SECONDS)
    assert done.code == 0, done.said
    assert (lost, whole(vm, project)) == ("", "")
    if served > before:  # hardly anything was left to do: what else the cut left goes with the next release
        edit(project, f"# after cut {moment.number + 1}")
        after = project.run("release", timeout=SECONDS)
        assert after.code == 0, after.said
    assert vm.sh(TIDY + LEFTOVERS) == IS_TIDY
    assert (serving(vm, port=vm.web_port) > before) == (moment.phase.task == "release")
    assert configured(vm) == (new if moment.phase.task == "provision" else old)
    then = served > before if moment.phase.task == "release" else found == new
    table(moment, struck, "new" if then else "old", done.seconds)


def table(moment: Moment, struck: str, then: str, seconds: float) -> None:
    """One row for the docs, where they are asked for."""
    file = os.environ.get("BAREHOST_CUTS_TABLE")
    if file is None:
        return
    with Path(file).open("a") as rows:
        if moment.number == 0:
            rows.write(
                "| | command | the power was cut in | there after the boot | the same command again |\n"
            )
            rows.write("|" + "---|" * 5 + "\n")
        rows.write(f"| {moment.number + 1} | {moment.phase.task} | {struck} | {then} | {seconds:.0f} s |\n")
