"""What a session promises, and what each way that SSH fails reads like, on real hosts."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from booting import Boot
from sites import until

from deploy import staging, transport
from deploy.errors import HostError
from deploy.files.archive import Member, stream
from deploy.inventory.hosts import Host
from deploy.shell import Script, Secret, sh
from deploy.staging import StagingHost
from deploy.transport.session import Packing

PASSWORD = 'it\'s "quoted" $HOME \\ ü'


@pytest.fixture(scope="session")
def plain(session_bare: Boot) -> StagingHost:
    """A bare host that root logs in to."""
    return session_bare("bookworm")


@pytest.fixture(scope="session")
def fussy(session_bare: Boot) -> StagingHost:
    """A host with a user whose sudo asks for a password; its sudo uses a terminal of its own if it can."""
    return session_bare("trixie", user="admin", sudo_password=PASSWORD)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home folder of the test's own: no key, no agent, no ssh_config of whoever runs the tests."""
    (tmp_path / "home/.ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    transport.route.lookup.cache_clear()
    yield tmp_path / "home"
    transport.route.lookup.cache_clear()


@pytest.fixture
def pins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project's known_hosts file, empty; for tests that boot nothing while they use it."""
    monkeypatch.setenv("BAREHOST_STATE", str(tmp_path / "state"))
    return tmp_path / "state/known_hosts"


def host(staged: StagingHost, **changes: object) -> Host:
    """The host as an inventory would have it."""
    there = Host(
        name=staged.name,
        address=staged.address,
        port=staged.port,
        user=staged.user,
        key=staged.key,
        sudo_password=Secret(staged.sudo_password) if staged.sudo_password else None,
        jump=(),
        known_hosts=staged.known_hosts,
    )
    return replace(there, **changes)  # type: ignore[arg-type]


def refusal(target: Host, password: Callable[[str], Secret] | None = None) -> str:
    """The sentence that connecting fails with."""
    with pytest.raises(HostError) as caught, transport.connect(target, password=password):
        pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


# A session


def test_a_script_runs_as_root_in_a_known_surrounding(plain: StagingHost) -> None:
    script = sh('id -un; pwd; umask; echo "$LC_ALL" "$HOME" "$PATH"; cat; echo over')
    with transport.connect(host(plain)) as session:
        reply = session.run(script, timeout=20)
    assert reply.rc == 0
    assert reply.stdout.decode().splitlines() == [
        "root",
        "/",
        "0022",
        "C /root /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "over",
    ]


def test_rc_stdout_and_stderr_come_back_apart(plain: StagingHost) -> None:
    with transport.connect(host(plain)) as session:
        reply = session.run(sh("echo out; echo err >&2; exit 3"), timeout=20)
    assert (reply.rc, reply.stdout, reply.stderr) == (3, b"out\n", b"err\n")


@pytest.mark.parametrize("compress", [False, True])
def test_every_byte_of_a_reply_comes_back(plain: StagingHost, compress: bool) -> None:
    script = sh(
        "head -c 3000000 /dev/urandom > /run/noise; printf '\\n\\0\\377'; cat /run/noise; sha256sum < /run/noise >&2"
    )
    with transport.connect(host(plain)) as session:
        reply = session.run(script, timeout=60, compress=compress)
    assert reply.stdout.startswith(b"\n\0\xff")
    assert hashlib.sha256(reply.stdout[3:]).hexdigest().encode() in reply.stderr


def test_a_script_of_megabytes_arrives_whole(plain: StagingHost) -> None:
    with transport.connect(host(plain)) as session:
        reply = session.run(sh(": @{filler}\necho whole", filler="x'\n" * 700_000), timeout=60)
    assert reply.stdout == b"whole\n"


def test_one_session_answers_many_scripts_and_counts_them(plain: StagingHost) -> None:
    with transport.connect(host(plain)) as session:
        replies = [session.run(sh("echo @{n}", n=n), timeout=20).stdout for n in range(5)]
        assert replies == [b"0\n", b"1\n", b"2\n", b"3\n", b"4\n"]
        assert session.round_trips == 5


def test_an_upload_lies_in_the_session_folder_and_goes_with_it(plain: StagingHost) -> None:
    blocks = [bytes([n % 251]) * 70_001 for n in range(60)]
    seen: list[int] = []
    with transport.connect(host(plain)) as session:
        session.put("tree.tar", blocks, progress=seen.append)
        session.put("empty", [])
        reply = session.run(
            sh('cd "$SESSION" && pwd && stat -c "%s %a %U" . tree.tar empty && cat tree.tar | sha256sum'),
            timeout=30,
        )
        folder, _, tree, empty, digest = reply.stdout.decode().splitlines()
        assert (plain.root / folder.lstrip("/")).stat().st_mode & 0o777 == 0o700
    assert digest.split()[0] == hashlib.sha256(b"".join(blocks)).hexdigest()
    assert (tree, empty) == (f"{60 * 70_001} 644 root", "0 644 root")
    assert sum(seen) == 60 * 70_001
    until(lambda: not (plain.root / folder.lstrip("/")).exists())


@pytest.mark.parametrize("packing", ["tar", "tgz"])
def test_an_archive_is_unpacked_as_it_comes_and_scripts_go_on_after_it(
    plain: StagingHost, packing: Packing
) -> None:
    files = {f"new/{number}": os.urandom(number * 7000) for number in range(200)}
    members = [Member(name, mode=0o640, data=data) for name, data in files.items()]
    blocks = stream(members, compress=packing == "tgz")
    with transport.connect(host(plain)) as session:
        session.put("tree", blocks, unpack=packing)
        told = session.run(sh('cd "$SESSION/tree" && stat -c "%a %u" . new/1 && cat new/*[0-9]'), timeout=60)
        assert told.rc == 0
        modes, content = told.stdout[:12], told.stdout[12:]
        assert modes == b"700 0\n640 0\n"
        assert content == b"".join(files[name] for name in sorted(files))


def test_an_archive_that_is_none_ends_the_session_before_anything_runs(plain: StagingHost) -> None:
    refused = pytest.raises(HostError, match=r"tree could not be stored in /var.*This does not look like")
    with transport.connect(host(plain)) as session, refused:
        session.put("tree", [b"x" * 65536] * 200, unpack="tar")
        session.run(sh("touch /root/ran"), timeout=60)
    until(lambda: not list((plain.root / "var/lib/barehost/sessions").iterdir()))
    assert not (plain.root / "root/ran").exists()


def test_an_upload_of_the_same_name_replaces_the_first(plain: StagingHost) -> None:
    with transport.connect(host(plain)) as session:
        session.put("a", [b"first, and longer"])
        session.put("a", [b"second"])
        assert session.run(sh('cat "$SESSION/a"'), timeout=20).stdout == b"second"


@pytest.mark.parametrize("name", ["../a", "a/b", "", ".hidden", "-n", "a b", "a\nb"])
def test_an_upload_cannot_leave_its_folder(plain: StagingHost, name: str) -> None:
    with transport.connect(host(plain)) as session, pytest.raises(ValueError):
        session.put(name, [b"x"])


def test_lines_come_while_the_script_still_runs(plain: StagingHost) -> None:
    with transport.connect(host(plain)) as session:
        waits = "rm -f /run/go; echo one; until test -e /run/go; do sleep 0.05; done; printf two; exit 4"
        lines = session.stream(sh(waits), timeout=60)
        assert next(lines) == b"one\n"
        assert staging.inside(plain.name, "touch", "/run/go").returncode == 0
        assert next(lines) == b"two"
        with pytest.raises(StopIteration) as end:
            next(lines)
        assert end.value.value.rc == 4
        assert session.run(sh("echo still here"), timeout=20).stdout == b"still here\n"


def test_a_script_that_says_nothing_for_too_long_is_given_up(plain: StagingHost) -> None:
    with (
        transport.connect(host(plain)) as session,
        pytest.raises(HostError, match="nothing was printed for 1 s"),
    ):
        list(session.stream(sh("echo one; sleep 60"), idle=1))


def test_a_script_that_runs_too_long_is_ended_on_the_host(plain: StagingHost) -> None:
    sleeping = "cat /proc/[0-9]*/cmdline | tr '\\0' '\\n' | grep -cx '[4]711'"
    with transport.connect(host(plain)) as session:
        assert staging.inside(plain.name, "sh", "-c", sleeping).stdout == "0\n"
        with pytest.raises(HostError, match="did not finish within 1 s"):
            session.run(sh("sleep 4711"), timeout=1)
    until(lambda: staging.inside(plain.name, "sh", "-c", sleeping).stdout == "0\n")


def test_a_full_disk_still_answers_and_refuses_uploads_by_name(bare: Boot) -> None:
    full = bare("bookworm")
    small = "mkdir -p /var/lib/barehost && mount -t tmpfs -o size=2m tmpfs /var/lib/barehost"
    assert staging.inside(full.name, "sh", "-c", small).returncode == 0
    with transport.connect(host(full)) as session:
        session.put("small", [b"x"])
        with pytest.raises(HostError, match="no space left on the host"):
            session.put("large", [b"x" * 65536] * 512)
            session.run(sh(":"), timeout=20)
    with transport.connect(host(full)) as session:
        assert session.run(sh("echo looked"), timeout=20).stdout == b"looked\n"


def test_a_login_shell_that_talks_is_not_taken_for_an_answer(bare: Boot) -> None:
    chatty = bare("bookworm")
    noise = "echo welcome; echo 'barehost ready soon'; printf 'no line break'; echo complaint >&2\n"
    (chatty.root / "root/.bashrc").write_text(noise)
    with transport.connect(host(chatty)) as session:
        assert session.run(sh("echo fine"), timeout=20) == transport.Reply(0, b"fine\n", b"")


@pytest.mark.parametrize("shell", ["dash", "tcsh", "fish"])
def test_any_login_shell_will_do(fussy: StagingHost, shell: str) -> None:
    path = f"/usr/bin/{shell}"
    if not (fussy.root / path.lstrip("/")).exists():
        command = sh(
            "apt-get update -qq && apt-get install -y -qq --no-install-recommends @{shell}", shell=shell
        )
        installed = staging.inside(fussy.name, "sh", "-c", command, timeout=300)
        assert installed.returncode == 0, installed.stderr
    staging.inside(fussy.name, "usermod", "-s", path, "admin")
    try:
        with transport.connect(host(fussy)) as session:
            assert (
                session.run(sh("id -un; echo @{text}", text="a 'b' !c \\ $d"), timeout=20).stdout
                == b"root\na 'b' !c \\ $d\n"
            )
    finally:
        staging.inside(fussy.name, "usermod", "-s", "/bin/bash", "admin")


HOSTILE = "POSIXLY_CORRECT=1 TAR_OPTIONS=--nope DPKG_ROOT=/no SYSTEMD_OFFLINE=1 LD_PRELOAD=/no.so TMPDIR=/no PATH=/no"
"""What a login may say that would change what coreutils, tar, dpkg, systemctl and every program do."""


def variables(target: Host) -> dict[str, str]:
    """The environment of a script there, without what the session itself adds."""
    with transport.connect(target) as session:
        reply = session.run(sh("exec env"), timeout=20)
    found = dict(line.split("=", 1) for line in reply.stdout.decode().splitlines())
    own = ("SCRATCH", "SESSION", "LOOP", "PWD", "OLDPWD")
    return {name: value for name, value in found.items() if name not in own}


KNOWN = {
    "LC_ALL": "C",
    "HOME": "/root",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}


def test_nothing_of_roots_login_reaches_a_script(plain: StagingHost) -> None:
    with changed(plain, f"echo export {HOSTILE} > /root/.bashrc", "rm /root/.bashrc"):
        assert variables(host(plain)) == KNOWN


def test_nothing_of_the_login_nor_of_sudos_own_session_reaches_a_script(fussy: StagingHost) -> None:
    do = (
        f"echo export {HOSTILE} > /home/admin/.bashrc; cp /etc/environment /etc/environment-;"
        f"printf '%s\\n' {HOSTILE} | head -n 4 > /etc/environment"
    )
    with changed(fussy, do, "rm /home/admin/.bashrc; mv /etc/environment- /etc/environment"):
        assert variables(host(fussy)) == KNOWN


def test_a_host_that_floods_before_the_session_is_given_up(plain: StagingHost) -> None:
    with changed(plain, "echo 'exec yes' > /root/.bashrc", "rm /root/.bashrc"):
        assert "printed more than 1 MiB and no session began" in refusal(host(plain))


def test_a_login_that_goes_on_printing_is_given_up_in_time(
    plain: StagingHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.transport.channel._GRACE", -8)
    slow = "echo 'while echo still here; do sleep 0.05; done' > /root/.bashrc"
    with changed(plain, slow, "rm /root/.bashrc"):
        assert "no shell started for root in time" in refusal(host(plain))


def test_an_answer_without_end_is_given_up(plain: StagingHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.transport.channel.ANSWER", 4 << 20)
    for compress in (False, True):
        with (
            transport.connect(host(plain)) as session,
            pytest.raises(HostError, match="answered more than 4 MiB"),
        ):
            session.run(sh("head -c 100000000 /dev/zero"), timeout=20, compress=compress)


# sudo


def test_sudo_takes_the_password_and_binary_data_passes_unchanged(fussy: StagingHost) -> None:
    every = bytes(range(256)) * 9_000
    with transport.connect(host(fussy)) as session:
        session.put("bytes", [every])
        reply = session.run(sh('id -un; cat "$SESSION/bytes"'), timeout=30)
    assert reply.stdout == b"root\n" + every


def test_sudo_without_a_password_asks_nobody(bare: Boot) -> None:
    easy = bare("bookworm", user="deploy")
    with transport.connect(host(easy), password=lambda _: pytest.fail("nobody is to be asked")) as session:
        assert session.run(sh("id -un"), timeout=20).stdout == b"root\n"


def test_a_password_that_the_inventory_lacks_is_asked_for(fussy: StagingHost) -> None:
    asked: list[str] = []

    def ask(sentence: str) -> Secret:
        asked.append(sentence)
        return Secret(PASSWORD)

    with transport.connect(host(fussy, sudo_password=None), password=ask) as session:
        assert session.run(sh("id -un"), timeout=20).stdout == b"root\n"
    assert asked == [f"sudo password of admin on {fussy.name}"]


def test_the_password_is_seen_in_no_process_and_no_log(fussy: StagingHost) -> None:
    look = "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'; journalctl --no-pager"
    with transport.connect(host(fussy)) as session:
        seen = session.run(Script(look), timeout=60).stdout.decode(errors="replace")
    assert "sudo" in seen
    assert PASSWORD not in seen


def test_a_wrong_sudo_password_is_tried_once(fussy: StagingHost) -> None:
    def attempts() -> list[str]:
        """How many passwords each sudo was given before it gave up, as it logs it at its end."""
        lines = staging.inside(fussy.name, "journalctl", "-q", "-o", "cat", "-t", "sudo").stdout
        return re.findall(r"(\d+) incorrect password attempt", lines)

    before = attempts()
    said = refusal(host(fussy, sudo_password=Secret("wrong")))
    assert said == (
        f"{fussy.name}: sudo did not accept the password of admin; correct ansible_become_password"
    )
    until(lambda: len(attempts()) > len(before))
    assert attempts() == [*before, "1"]


def test_sudo_that_asks_with_nobody_to_answer(fussy: StagingHost) -> None:
    assert "sudo asks for the password of admin and none is given" in refusal(host(fussy, sudo_password=None))


@contextlib.contextmanager
def changed(staged: StagingHost, do: str, undo: str) -> Iterator[None]:
    """The host changed behind everybody's back, and as it was afterwards."""
    done = staging.inside(staged.name, "sh", "-c", do)
    assert done.returncode == 0, done.stderr
    try:
        yield
    finally:
        staging.inside(staged.name, "sh", "-c", undo)


@pytest.mark.parametrize(
    ("do", "undo", "sentence"),
    [
        (
            "mv /usr/bin/sudo /usr/bin/sudo-",
            "mv /usr/bin/sudo- /usr/bin/sudo",
            "there is no sudo on the host",
        ),
        (
            "mv /etc/sudoers.d /etc/sudoers.d-; mkdir /etc/sudoers.d;"
            "cp /etc/sudoers /etc/sudoers-; sed -i '/^%sudo/d' /etc/sudoers",
            "rm -r /etc/sudoers.d; mv /etc/sudoers.d- /etc/sudoers.d; mv /etc/sudoers- /etc/sudoers",
            "admin may not use sudo there",
        ),
        (
            "echo 'Defaults requiretty' > /etc/sudoers.d/zz",
            "rm /etc/sudoers.d/zz",
            "sudo wants a terminal for admin (requiretty)",
        ),
        (
            "mv /usr/bin/sha256sum /usr/bin/sha256sum-",
            "mv /usr/bin/sha256sum- /usr/bin/sha256sum",
            "the host has no sha256sum",
        ),
        ("mv /usr/bin/head /usr/bin/head-", "mv /usr/bin/head- /usr/bin/head", "the host has no head"),
        (
            "usermod -s /usr/sbin/nologin admin",
            "usermod -s /bin/bash admin",
            "admin has no login shell there",
        ),
    ],
)
def test_what_keeps_the_far_side_from_starting_has_its_own_sentence(
    fussy: StagingHost, do: str, undo: str, sentence: str
) -> None:
    with changed(fussy, do, undo):
        assert sentence in refusal(host(fussy))


def test_a_host_without_sh_says_so(bare: Boot) -> None:
    shellless = bare("bookworm")
    staging.inside(shellless.name, "rm", "/usr/bin/sh")
    assert "root finds no sh on the host" in refusal(host(shellless))


def test_a_user_who_is_not_root_and_has_no_sudo_is_told(fussy: StagingHost) -> None:
    assert "admin is not root there; set ansible_become: true" in refusal(host(fussy, sudo=False))


# Host keys


def test_an_unknown_key_is_refused_with_its_fingerprint(plain: StagingHost, pins: Path) -> None:
    said = refusal(host(plain, known_hosts=None))
    print_of = subprocess.run(
        ["ssh-keygen", "-lf", str(plain.root / "etc/ssh/ssh_host_ed25519_key.pub")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()[1]
    assert f"the host key of {plain.address} is not known, it presented the ED25519 key {print_of}" in said
    assert f"run invoke hosts.trust --host {plain.name}" in said


def test_scanned_keys_are_trusted_only_when_told_so(plain: StagingHost, pins: Path) -> None:
    stranger = host(plain, known_hosts=None)
    keys = list(transport.scan(stranger).keys)
    assert {"ssh-ed25519"} <= {key.kind for key in keys}
    assert not pins.exists()
    assert {transport.standing(stranger, key) for key in keys} == {"unknown"}
    assert transport.trust(stranger, keys) == keys
    assert {transport.standing(stranger, key) for key in keys} == {"trusted"}
    with transport.connect(stranger) as session:
        assert session.run(sh("echo in"), timeout=20).stdout == b"in\n"
    assert transport.trust(stranger, keys) == []


def test_a_changed_key_is_refused_until_it_is_replaced(plain: StagingHost, pins: Path) -> None:
    other = pins.parent / "other"
    pins.parent.mkdir()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)], check=True)
    pins.write_text(f"{plain.address} {other.with_suffix('.pub').read_text()}")
    said = refusal(host(plain))
    assert f"the host key of {plain.address} has changed" in said
    assert f"{pins}:1 has SHA256:" in said
    assert "--replace" in said
    keys = transport.scan(host(plain)).keys
    with pytest.raises(HostError, match="has another ED25519 key"):
        transport.trust(host(plain), keys)
    transport.trust(host(plain), keys, replace=True)
    with transport.connect(host(plain, known_hosts=None)) as session:
        assert session.run(sh("echo in"), timeout=20).stdout == b"in\n"


def test_a_revoked_key_is_refused_though_it_is_pinned(plain: StagingHost, pins: Path) -> None:
    pins.parent.mkdir()
    line = (plain.root / "etc/ssh/ssh_host_ed25519_key.pub").read_text()
    pins.write_text(f"@revoked * {line}")
    assert "marks as revoked" in refusal(host(plain))


def test_hashed_names_in_the_users_own_file_are_known(plain: StagingHost, pins: Path, home: Path) -> None:
    known = home / ".ssh/known_hosts"
    known.write_text(f"{plain.address} {(plain.root / 'etc/ssh/ssh_host_ed25519_key.pub').read_text()}")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(known)], check=True, capture_output=True)
    assert plain.address not in known.read_text()
    with transport.connect(host(plain, known_hosts=None)) as session:
        assert session.run(sh("echo in"), timeout=20).stdout == b"in\n"


@pytest.fixture
def rsa(plain: StagingHost) -> str:
    """The host's RSA key, made and offered when it had none."""
    offer = (
        "test -e /etc/ssh/ssh_host_rsa_key || ssh-keygen -q -t rsa -N '' -f /etc/ssh/ssh_host_rsa_key;"
        "systemctl restart ssh"
    )
    assert staging.inside(plain.name, "sh", "-c", offer).returncode == 0
    return (plain.root / "etc/ssh/ssh_host_rsa_key.pub").read_text()


def test_the_host_is_asked_for_the_kind_of_key_that_is_known(
    plain: StagingHost, rsa: str, pins: Path
) -> None:
    pins.parent.mkdir()
    pins.write_text(f"{plain.address} {rsa}")
    with transport.connect(host(plain, known_hosts=None)) as session:
        assert session.run(sh("echo in"), timeout=20).stdout == b"in\n"


# Reaching a host


def test_a_name_without_an_address() -> None:
    said = refusal(Host(name="web", address="no-such-host.invalid", user="root", jump=()))
    assert said.startswith("web: the name no-such-host.invalid has no address")


def test_a_port_where_nobody_listens(plain: StagingHost) -> None:
    assert f"{plain.address} port 9 refused the connection" in refusal(host(plain, port=9))


def test_a_network_without_a_route() -> None:
    script = (
        "from deploy import transport; from deploy.inventory.hosts import Host\n"
        "try: transport.connect(Host(name='web', address='10.9.9.9', user='root', jump=()))\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    isolated = subprocess.run(
        ["unshare", "-n", sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(Path(transport.__file__).parents[2])},
    )
    assert isolated.stdout.startswith("Unreachable web: there is no route to 10.9.9.9 port 22")
    assert isolated.stderr == ""


def test_a_host_that_answers_nothing_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as queue:
        for _ in range(2):  # with its queue full, a listener drops what else comes
            client = queue.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        port = full.getsockname()[1]
        began = time.monotonic()
        said = refusal(
            Host(name="web", address="127.0.0.1", port=port, user="root", jump=(), connect_timeout=1)
        )
    assert "did not answer within 1 s" in said
    assert time.monotonic() - began < 15


@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", bytes(64 << 20)])
def test_a_port_that_does_not_speak_ssh(greeting: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            with server.accept()[0] as client, contextlib.suppress(OSError):
                client.sendall(greeting)
                taken.append(len(greeting))
                over.wait(10)

        taken: list[int] = []

        over = threading.Event()
        thread = threading.Thread(target=greet)
        thread.start()
        web = Host(
            name="web",
            address="127.0.0.1",
            port=server.getsockname()[1],
            user="root",
            jump=(),
            connect_timeout=2,
        )
        said = refusal(web)
        over.set()
        thread.join()
    assert "does not speak ssh" in said
    assert sum(taken) < 32 << 20, "all of a flood was read"


def test_a_key_that_the_host_does_not_accept(plain: StagingHost, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(wrong)], check=True)
    said = refusal(host(plain, key=wrong))
    assert f"{plain.address} did not let root in, it accepted none of these keys: {wrong}" in said


def test_no_key_at_all(plain: StagingHost) -> None:
    assert "did not let root in, there is no key to try" in refusal(host(plain, key=None))


def test_a_key_file_that_is_missing_open_or_no_key(plain: StagingHost, tmp_path: Path) -> None:
    missing, exposed, nonsense = (tmp_path / name for name in ("missing", "exposed", "nonsense"))
    shutil.copy(plain.key, exposed)
    exposed.chmod(0o644)
    nonsense.write_text("not a key\n")
    nonsense.chmod(0o600)
    assert f"the private key {missing} does not exist" in refusal(host(plain, key=missing))
    assert f"{exposed} can be read by others; run chmod 600 {exposed}" in refusal(host(plain, key=exposed))
    assert f"{nonsense} cannot be used as a private key" in refusal(host(plain, key=nonsense))


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An ssh-agent of the test's own."""
    path = str(tmp_path / "agent")
    running = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    until(lambda: Path(path).exists())
    monkeypatch.setenv("SSH_AUTH_SOCK", path)
    yield
    running.terminate()
    running.wait()


def _locked(plain: StagingHost, tmp_path: Path) -> Path:
    locked = tmp_path / "locked"
    shutil.copy(plain.key, locked)
    shutil.copy(plain.key.with_name(plain.key.name + ".pub"), tmp_path / "locked.pub")
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "a passphrase", "-f", str(locked)], check=True)
    return locked


def test_an_encrypted_key_needs_the_agent(plain: StagingHost, tmp_path: Path) -> None:
    locked = _locked(plain, tmp_path)
    said = refusal(host(plain, key=locked))
    assert f"{locked} is encrypted and the agent does not hold it (ssh-add {locked})" in said


@pytest.mark.usefixtures("agent")
def test_the_agent_opens_what_is_encrypted_and_is_enough_alone(plain: StagingHost, tmp_path: Path) -> None:
    locked = _locked(plain, tmp_path)
    subprocess.run(["ssh-add", "-q", str(plain.key)], check=True, capture_output=True)
    for key in (locked, None):
        with transport.connect(host(plain, key=key)) as session:
            assert session.run(sh("echo in"), timeout=20).stdout == b"in\n"


def test_ssh_config_says_what_the_inventory_does_not(plain: StagingHost, home: Path) -> None:
    (home / ".ssh/config").write_text("Include config.d/*\n")
    (home / ".ssh/config.d").mkdir()
    (home / ".ssh/config.d/shop").write_text(
        f"Host shop\n  HostName {plain.address}\n  User root\n  IdentityFile {plain.key}\n"
        f"  IdentitiesOnly yes\n  UserKnownHostsFile {plain.known_hosts}\n"
    )
    with transport.connect(Host(name="shop", address="shop")) as session:
        assert session.run(sh("id -un"), timeout=20).stdout == b"root\n"


def test_a_proxy_command_carries_the_connection(plain: StagingHost, home: Path) -> None:
    relay = """
import os, socket, sys, threading
host = socket.create_connection((sys.argv[1], 22))
def up():
    while data := os.read(0, 65536):
        host.sendall(data)
    os._exit(0)
threading.Thread(target=up).start()
while data := host.recv(65536):
    os.write(1, data)
os._exit(0)
"""
    (home / "relay.py").write_text(relay)
    (home / ".ssh/config").write_text(
        f"Host {plain.address}\n  ProxyCommand {sys.executable} {home}/relay.py %h\n"
    )
    with transport.connect(host(plain, jump=None)) as session:
        assert session.run(sh("echo through"), timeout=20).stdout == b"through\n"


@pytest.fixture(scope="session")
def behind(session_bare: Boot) -> tuple[StagingHost, StagingHost]:
    """A jump host on another port, and a host that is reached through it only."""
    gate = session_bare("bookworm", port=2222)
    return gate, session_bare("bookworm", behind=gate.name)


def test_a_host_behind_a_jump_host(behind: tuple[StagingHost, StagingHost], plain: StagingHost) -> None:
    gate, inner = behind
    with transport.connect(host(inner, jump=(f"root@{gate.address}:2222",))) as session:
        assert session.run(sh("echo inside"), timeout=20).stdout == b"inside\n"
    hops = (f"root@{plain.address}", f"root@{gate.address}:2222")
    with transport.connect(host(inner, jump=hops)) as session:
        assert session.run(sh("echo two hops"), timeout=20).stdout == b"two hops\n"


def test_the_key_of_a_jump_host_is_checked_as_well(
    behind: tuple[StagingHost, StagingHost], pins: Path
) -> None:
    gate, inner = behind
    pinned = [line for line in inner.known_hosts.read_text().splitlines() if gate.address not in line]
    only_inner = pins.parent / "inner"
    pins.parent.mkdir()
    only_inner.write_text("\n".join(pinned) + "\n")
    target = host(inner, jump=(f"root@{gate.address}:2222",), known_hosts=only_inner)
    assert f"the host key of [{gate.address}]:2222 is not known" in refusal(target)
    shown = transport.scan(target)
    assert shown.jump == f"root@{gate.address}:2222"
    assert {key.name for key in shown.keys} == {f"[{gate.address}]:2222"}
    transport.trust(target, shown.keys)
    shown = transport.scan(target)
    assert (shown.jump, {key.name for key in shown.keys}) == (None, {inner.address})


def test_a_jump_host_that_fails_is_named(behind: tuple[StagingHost, StagingHost]) -> None:
    gate, inner = behind
    said = refusal(host(inner, jump=(f"root@{gate.address}:9",)))
    assert said.startswith(f"{inner.name}: jump host {gate.address}: {gate.address} port 9 refused")
    said = refusal(host(inner, port=9, jump=(f"root@{gate.address}:2222",)))
    assert f"the jump host before it could not reach {inner.address} port 9" in said


# The connection goes


def test_a_connection_cut_in_the_middle_says_what_stands(bare: Boot) -> None:
    cut = bare("bookworm")
    with transport.connect(host(cut)) as session:

        def kill() -> None:
            until((cut.root / "run-begun").exists)
            staging.kill(cut.name)

        thread = threading.Thread(target=kill)
        thread.start()
        with pytest.raises(HostError, match="the connection was lost while a script ran"):
            session.run(sh("touch /run-begun; sleep 300"), timeout=240)
        thread.join()


@pytest.mark.parametrize("do", ["upload", "script"])
def test_a_host_that_falls_silent_is_noticed(bare: Boot, do: str) -> None:
    silent = bare("bookworm")
    with transport.connect(host(silent)) as session:
        session.run(sh(":"), timeout=20)
        _silence(silent)
        began = time.monotonic()
        with pytest.raises(HostError, match=r"the connection was lost while .*nothing was heard for 20 s"):
            if do == "upload":
                session.put("large", [b"x" * 65536] * 4096)
            session.run(sh("sleep 600"), timeout=600)
        assert 10 < time.monotonic() - began < 60
        began = time.monotonic()
    assert time.monotonic() - began < 10, "leaving it waited for the host once more"


def test_a_script_that_is_quiet_for_longer_than_a_dead_host_may_be_goes_on(plain: StagingHost) -> None:
    with transport.connect(host(plain)) as session:
        assert session.run(sh("sleep 23; echo done"), timeout=60).stdout == b"done\n"


def _silence(staged: StagingHost) -> None:
    """Nothing that the host sends arrives any more: every way out leads nowhere."""
    routes = (
        "for card in /sys/class/net/*; do card=${card##*/};"
        " [ $card = lo ] || ip -4 route flush dev $card; done; ip route replace blackhole default"
    )
    done = staging.inside(staged.name, "sh", "-c", routes)
    assert done.returncode == 0, done.stderr


def test_nothing_of_a_session_stays_when_its_connection_is_cut(plain: StagingHost) -> None:
    session = transport.connect(host(plain))
    session.put("a", [b"x"])
    folder = session.run(sh('echo "$SESSION"'), timeout=20).stdout.decode().strip()
    assert (plain.root / folder.lstrip("/") / "a").exists()
    session.close()
    until(lambda: not list((plain.root / "var/lib/barehost/sessions").iterdir()))
