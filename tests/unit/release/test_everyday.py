"""A site on its ordinary days: closed and opened, its logs, a command in its release; run by this machine's sh."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from msgspec import structs

from deploy.errors import InputError
from deploy.release.everyday import check_process, command, logs, maintenance
from deploy.shell import Script
from tests.unit.fakes import local
from tests.unit.fakes.sample import site


def here(script: Script, folder: Path) -> Script:
    """The script with the host's folders in a test's own, and a systemd-run that prints its last words."""
    moved = script.replace("/srv/hello", f"{folder}/srv").replace("/etc/nginx/conf.d", str(folder))
    return Script(moved.replace("exec systemd-run", "run"))


RUN = Script('run() { while [ "$1" != -- ]; do shift; done; shift 3; printf \'<%s>\' "$@"; }\n')


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "srv" / "activations" / "3").mkdir(parents=True)
    (tmp_path / "srv" / "current").symlink_to("activations/3")
    return tmp_path


def run(script: Script, folder: Path) -> subprocess.CompletedProcess[bytes]:
    return local.run(Script(RUN + here(script, folder)))


def test_a_site_is_closed_and_opened_again(folder: Path) -> None:
    one = site(folder)
    (folder / "hello.conf").write_text(f"if (-f {folder}/srv/maintenance) {{ return 503; }}\n")
    assert run(maintenance([one], on=True), folder).stdout == b"hello is closed: visitors get 503\n"
    assert (folder / "srv" / "maintenance").exists()
    for _ in range(2):
        assert run(maintenance([one], on=False), folder).stdout == b"hello is open\n"
    assert not (folder / "srv" / "maintenance").exists()


def test_an_nginx_that_would_not_look_for_it_is_told(folder: Path) -> None:
    done = run(maintenance([site(folder)], on=True), folder)
    assert done.returncode == 1
    assert b"the Nginx there knows no maintenance of hello; run invoke provision first" in done.stderr
    assert not (folder / "srv" / "maintenance").exists()


def test_a_command_arrives_word_for_word(folder: Path) -> None:
    (folder / "srv" / "current" / "env").touch()
    argv = ["python", "-c", "print('it works')", "a b", "--", "-x"]
    script = command(site(folder), argv, terminal=False)
    assert "/current/" not in script, "a switch would change the packages beneath the command"
    done = run(script, folder)
    assert done.stdout == "".join(f"<{word}>" for word in argv).encode()


def test_a_command_needs_a_release(folder: Path) -> None:
    done = run(command(site(folder), ["true"], terminal=True), folder)
    assert (done.returncode, done.stderr) == (1, b"hello has no release here; run invoke provision first\n")


@pytest.mark.parametrize("process", ["", "worker"])
def test_the_logs_are_those_of_what_its_activations_bring(folder: Path, process: str) -> None:
    for name in ("units/hello@.service", "units/hello-worker.1@.service", "jobs/hello-clear@.service"):
        file = folder / "srv" / "activations" / "3" / name
        file.parent.mkdir(exist_ok=True)
        file.touch()
    script = logs([site(folder)], since="-1h", lines=7, follow=False, process=process)
    text = script[script.index("units() {") : script.index("error_log() {")].replace(
        "/srv/$1", f"{folder}/srv"
    )
    done = local.run(Script(f"{text}\nunits hello"))
    names = ["hello@*", "hello-worker.1@*", "hello-clear@*"]
    if process:
        names = ["hello-worker@*", "hello-worker.*@*", "hello-worker.service"]
    assert done.stdout.decode().split() == [word for name in names for word in ("-u", name)]


def test_a_process_that_no_site_has_is_named_with_the_nearest(folder: Path) -> None:
    one = site(folder)
    check_process([one], "worker", timers=False)
    check_process([one], "clear", timers=True)
    with pytest.raises(InputError, match=r"worker"):
        check_process([one], "worke", timers=True)
    with pytest.raises(InputError):
        check_process([one], "clear", timers=False)
    check_process([structs.replace(one, processes=None)], "of-a-procfile", timers=False)


@pytest.mark.parametrize("follow", [False, True])
def test_the_script_of_logs_is_shell_that_takes_a_time_as_one_word(folder: Path, follow: bool) -> None:
    script = logs([site(folder)], since="10m ago; rm -rf /", lines=7, follow=follow)
    assert "'10m ago; rm -rf /'" in script
    assert subprocess.run(["sh", "-n"], input=script, text=True, check=False).returncode == 0
