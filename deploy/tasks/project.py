"""init, demo, test, bench, power_cuts: a project of one's own, and this one shown and checked."""

from __future__ import annotations

from pathlib import Path

from invoke import Context

from deploy.tasks.common import task

CHECKOUT = Path(__file__).resolve().parents[2]


def is_checkout() -> bool:
    """Whether this runs from Barehost's own source folder, where demo and test make sense."""
    return (CHECKOUT / "setup.cfg").is_file() and (Path.cwd() / "deploy").is_dir()


@task(
    help={
        "folder": "where; default: here",
        "from_compose": "write nothing, but print the inventory of the site that this Compose file describes",
    }
)
def init(context: Context, folder: str = ".", from_compose: str = "") -> None:
    """Write a project of your own: tasks.py, an annotated inventory, empty roles/ and templates/."""
    if from_compose:
        _propose(Path(from_compose), Path(folder))
        return
    import shutil

    from deploy import report
    from deploy.errors import InputError

    target = Path(folder)
    scaffold = Path(__file__).parents[1] / "scaffold"
    there = [one.name for one in sorted(scaffold.iterdir()) if (target / one.name).exists()]
    if there:
        raise InputError(
            f"{target.resolve()} already has {', '.join(there)}; choose an empty folder with --folder"
        )
    shutil.copytree(scaffold, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    report.say(
        f"Written to {target.resolve()}: inventory/hosts.yml says what every key means.\n"
        "Next: name your host and site there, then\n"
        "  invoke hosts.trust --host NAME    compare and pin its host key\n"
        "  invoke plan --host NAME           see what would happen\n"
        "  invoke provision --host NAME      make it so"
    )


def _propose(file: Path, project: Path) -> None:
    """Print what a Compose file is as a site, and what could not be taken over."""
    from deploy import report
    from deploy.compose import read
    from deploy.compose.proposal import proposal

    found = proposal(read(file.parent, file.name), project)
    report.say(f"# inventory/hosts.yml\n{found.inventory}")
    report.say("Not taken over, or to be looked at:")
    for sentence in found.left:
        report.say(f"- {sentence}")


@task()
def demo(context: Context) -> int:
    """Boot web1, provision it with the example site, print its URL. Run again: fast, nothing changed."""
    from deploy import report, staging
    from deploy.tasks.provision import provision

    host = staging.up("web1")
    report.say(f"web1 is up: {host.suite} at {host.address}")
    provision(context, host=["web1"])
    report.say(f"Served: http://{host.address}/")
    return 0


@task(
    help={
        "only": "one section, such as unit or integration; default: everything",
        "k": "only tests that match (pytest -k)",
        "quick": "only what belongs to the files that have changed: seconds",
        "busy": "beside loops that keep the processors busy, as on a machine that does other work",
        "times": "so many times in a row, up to the first failure; default: once",
    }
)
def test(
    context: Context, only: str = "", k: str = "", quick: bool = False, busy: bool = False, times: int = 1
) -> int:
    """Run every check: style, types, import direction, unit tests with coverage, staging hosts."""
    from deploy.tasks.checks import run

    return run(CHECKOUT, only=only, expression=k, quick=quick, busy=busy, times=times)


@task()
def docs_map(context: Context) -> int:
    """Draw docs/architecture.svg anew, from the imports of deploy/."""
    import subprocess
    import sys

    return subprocess.run([sys.executable, "docs/map.py"], cwd=CHECKOUT, check=False).returncode


@task(
    help={
        "quick": "about four minutes: fewer cases, peers and rounds",
        "case": "only these, with commas between them; bench/README.md lists them",
        "peer": "only these, with commas between them",
        "rounds": "runs of each peer in each case, at most; default: by case",
        "budget": "seconds after which a peer has had enough of a case; default: each case's own",
    }
)
def bench(
    context: Context, quick: bool = False, case: str = "", peer: str = "", rounds: int = 0, budget: int = 0
) -> None:
    """Measure Barehost beside Ansible, pyinfra and a hand-written ssh + rsync script, on hosts made for it."""
    import os
    import sys

    words = ["--quick"] if quick else []
    words += [
        word for name, value in (("case", case), ("peer", peer)) if value for word in (f"--{name}", value)
    ]
    words += ["--rounds", str(rounds)] if rounds else []
    words += ["--budget", str(budget)] if budget else []
    os.chdir(CHECKOUT)
    os.execv(sys.executable, [sys.executable, "-m", "bench", *words])


@task(
    help={
        "cuts": "how many moments; default: each phase of a release and of a provision once",
        "seed": "what they are drawn by; default: 3",
        "table": "a file that gets a row for each moment",
    }
)
def power_cuts(context: Context, cuts: int = 0, seed: int = 0, table: str = "") -> None:
    """Cut the power of a full virtual machine in releases and provisions: half an hour, and no part of test."""
    import os
    import subprocess
    import sys

    from deploy.errors import StagingError

    if subprocess.run(["sh", "setup.sh", "--vm", sys.executable], cwd=CHECKOUT, check=False).returncode:
        raise StagingError("what a virtual machine needs could not be installed: the lines above say why")
    asked = {"CUTS": cuts, "SEED": seed, "CUTS_TABLE": table and Path(table).absolute()}
    os.environ.update({f"BAREHOST_{name}": str(value) for name, value in asked.items() if value})
    os.chdir(CHECKOUT)
    os.execv(sys.executable, [sys.executable, "-m", "pytest", "tests/power", "-x"])
