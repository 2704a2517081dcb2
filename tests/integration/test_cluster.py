"""A fleet on the workers of a real Dask cluster: a scheduler and worker processes of the test's own, on loopback."""

from __future__ import annotations

import datetime
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from booting import Boot
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sites import HELLO, Project, Run, ask, sh, until

from deploy.errors import HostError, InputError
from deploy.staging import Image, StagingHost

Served = Callable[[str], Image]


@dataclass
class Cluster:
    """A scheduler and its workers, each a process; ``certificates`` make them speak TLS alone."""

    project: Project
    folder: Path
    certificates: dict[str, str] = field(default_factory=dict)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def file(self) -> Path:
        return self.folder / "scheduler.json"

    @property
    def address(self) -> str:
        """As ``--executor`` takes it."""
        told: str = json.loads(self.file.read_text())["address"]
        return told.replace("tcp://", "dask://")

    def schedule(self) -> None:
        protocol = "tls" if self.certificates else "tcp"
        self._start("dask_scheduler", "--host", f"{protocol}://127.0.0.1", "--port", "0")
        until(self.file.exists, what="the scheduler did not start")

    def work(self, *options: str, before: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """One more worker, which converges four hosts at once; back when it has joined."""
        log = self.folder / f"{len(self.processes)}.log"
        worker = self._start(
            "dask_worker", "--nthreads", "4", "--no-nanny", "--memory-limit", "0", *options, before=before
        )
        until(lambda: "Starting established connection" in log.read_text(), what="the worker did not join")
        return worker

    def _start(self, module: str, *options: str, before: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        log = (self.folder / f"{len(self.processes)}.log").open("wb")
        with log:
            process = subprocess.Popen(
                [
                    *before,
                    sys.executable,
                    "-m",
                    f"distributed.cli.{module}",
                    "--scheduler-file",
                    str(self.file),
                    "--no-dashboard",
                    *options,
                ],
                cwd=self.folder,
                env=self.project.environ() | self.certificates,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.processes.append(process)
        return process

    def logs(self) -> str:
        return "".join(file.read_text() for file in sorted(self.folder.glob("*.log")))

    def close(self) -> None:
        for process in reversed(self.processes):
            process.kill()
            process.wait()


@pytest.fixture
def cluster(project: Project, tmp_path: Path) -> Iterator[Cluster]:
    """A scheduler with two workers."""
    (tmp_path / "cluster").mkdir()
    made = Cluster(project, tmp_path / "cluster")
    try:
        made.schedule()
        made.work()
        made.work()
        yield made
    finally:
        made.close()


@pytest.fixture
def three(bare: Boot, served: Served) -> list[StagingHost]:
    image = served("bookworm")
    return [bare("bookworm", image=image.name) for _ in range(3)]


def serve(project: Project, hosts: Sequence[StagingHost], **variables: object) -> list[str]:
    """The inventory: every host serves the example site; the words that choose them."""
    project.inventory({host: {"apps": {"hello": HELLO}, **variables} for host in hosts})
    return [word for host in hosts for word in ("--host", host.name)]


def outcomes(run: Run) -> dict[str, str]:
    return {event["host"]: event["outcome"] for event in run.events if event["event"] == "finished"}


def test_a_fleet_is_converged_by_workers_and_its_events_come_while_they_work(
    cluster: Cluster, three: list[StagingHost], project: Project
):
    slow(project)
    roles = ["python", "nginx", "static", "app", "slow"]
    words = [*serve(project, three, roles=roles), "--executor", cluster.address]
    process = project.start("provision", "--json", "-v", *words)
    lines = begun(process, 3)  # what none of them has done yet: it waits for the test
    let_go(three)
    out, err = process.communicate(timeout=240)
    first = Run(process.returncode, lines + out, err, 0)
    assert first.code == 0, first.said
    assert outcomes(first) == {host.name: "changed" for host in three}
    for host in three:
        assert sh(host, "cat /etc/waited") == "waited\n"
        assert [event for event in first.events if event.get("host") == host.name][-1]["event"] == "finished"
    second = project.provision("--json", *words)
    for host in three:
        report = second.report(host.name)
        assert (report["outcome"], report["round_trips"]) == ("unchanged", 1)
    assert "Traceback" not in cluster.logs()


def slow(project: Project) -> None:
    """A role with one step that is not over before :func:`let_go`."""
    step = "until test -e /root/go; do sleep 0.05; done; echo waited >> /etc/waited"
    project.role("slow", f"yield Run('wait', {step!r}, creates='/etc/waited')")


def let_go(hosts: Sequence[StagingHost]) -> None:
    """End the slow step."""
    for host in hosts:
        sh(host, "touch /root/go")


def begun(process: subprocess.Popen[str], count: int) -> str:
    """What a run has printed when this many hosts are in the slow step."""
    assert process.stdout is not None
    lines: list[str] = []
    hosts: set[str] = set()
    while len(hosts) < count:
        lines.append(process.stdout.readline())
        event = json.loads(lines[-1])
        if event["event"] == "step_started" and "wait" in event["label"]:
            hosts.add(event["host"])
    return "".join(lines)


def test_a_worker_that_is_killed_in_the_middle_is_a_failed_report_of_its_hosts(
    cluster: Cluster, three: list[StagingHost], project: Project
):
    slow(project)
    words = serve(project, three, roles=["slow"])
    process = project.start("provision", "--json", "-v", *words, "--executor", cluster.address)
    lines = begun(process, 3)
    os.kill(cluster.processes[1].pid, signal.SIGKILL)
    cluster.processes[1].wait()
    let_go(three)
    out, err = process.communicate(timeout=240)
    run = Run(process.returncode, lines + out, err, 0)
    lost = [host for host, outcome in outcomes(run).items() if outcome == "failed"]
    assert 0 < len(lost) < 3, "one worker of two was killed"
    assert set(outcomes(run).values()) == {"failed", "changed"}
    assert run.code == HostError.exit_code
    assert "Traceback" not in run.said
    for host in lost:
        failure = run.report(host)["failure"]
        assert "was lost before it was done" in failure["message"]
        assert "tcp://127.0.0.1" in failure["message"]
        assert "goes on there" in failure["stands"]
    again = project.provision("--json", *words)
    assert set(outcomes(again)) == {host.name for host in three}
    for host in three:
        assert sh(host, "cat /etc/waited") == "waited\n", "begun once on each host, and never twice"


def test_a_cluster_without_any_worker_left_ends_the_run(
    cluster: Cluster, three: list[StagingHost], project: Project
):
    slow(project)
    words = serve(project, three[:1], roles=["slow"])
    process = project.start("provision", "--json", "-v", *words, "--executor", cluster.address)
    begun(process, 1)
    for worker in cluster.processes[1:]:
        os.kill(worker.pid, signal.SIGKILL)
    out, err = process.communicate(timeout=240)
    assert process.returncode == HostError.exit_code
    assert "Traceback" not in out + err
    assert "was lost before it was done" in out


def test_secrets_are_refused_in_the_clear_and_arrive_over_tls(
    cluster: Cluster, three: list[StagingHost], project: Project, tmp_path: Path
):
    site = {**HELLO, "secrets": {"SECRET_KEY": "correct horse battery staple"}}
    project.inventory({host: {"apps": {"hello": site}} for host in three})
    words = [word for host in three for word in ("--host", host.name)]
    refused = project.fails(*words, "--executor", cluster.address, code=InputError.exit_code)
    assert f"{three[0].name}: its site hello has secrets (SECRET_KEY)" in refused.said
    assert "tls://" in refused.said
    assert "connecting" not in refused.said

    (tmp_path / "tls").mkdir()
    certificates = _certificates(tmp_path / "tls")
    secure = Cluster(project, tmp_path / "tls", certificates)
    try:
        secure.schedule()
        secure.work()
        secure.work()
        assert secure.address.startswith("tls://127.0.0.1:")
        unnamed = project.fails(*words, "--executor", secure.address, code=InputError.exit_code)
        assert "distributed.comm.tls.ca-file" in unnamed.said
        project.environment.update(certificates)
        done = project.provision("--json", "-v", *words, "--executor", secure.address)
    finally:
        project.environment.clear()
        secure.close()
    assert outcomes(done) == {host.name: "changed" for host in three}
    for host in three:
        assert "correct horse battery staple" in sh(host, "cat /srv/hello/current/env")
        assert ask(host, "/healthz").status == 200
    assert "correct horse" not in done.said + secure.logs() + cluster.logs()


def test_a_worker_without_the_sites_source_says_so_and_contacts_no_host(
    three: list[StagingHost], project: Project, tmp_path: Path
):
    words = serve(project, three[:1])
    (tmp_path / "cluster").mkdir()
    cluster = Cluster(project, tmp_path / "cluster")
    hide = [
        "unshare",
        "-m",
        "sh",
        "-c",
        'mount -t tmpfs tmpfs "$0" && exec "$@"',
        str(project.folder / "site"),
    ]
    try:
        cluster.schedule()
        cluster.work(before=hide)
        run = project.fails(*words, "--executor", cluster.address, code=InputError.exit_code)
    finally:
        cluster.close()
    assert f"has another content of {project.folder / 'site'} than this machine" in run.said
    assert "The host was not contacted." in run.said


def test_without_a_scheduler_or_workers_the_run_says_what_to_do(project: Project, tmp_path: Path):
    project.inventory({"web1": {"ansible_host": "127.0.0.1"}})
    nobody = project.fails("--executor", "dask://127.0.0.1:1", code=HostError.exit_code)
    assert "no Dask scheduler answers there" in nobody.said
    odd = project.fails("--executor", "redis://here:1", code=InputError.exit_code)
    assert "--executor takes dask://HOST:PORT or tls://HOST:PORT" in odd.said
    (tmp_path / "cluster").mkdir()
    cluster = Cluster(project, tmp_path / "cluster")
    try:
        cluster.schedule()
        alone = project.fails("--executor", cluster.address, code=HostError.exit_code)
    finally:
        cluster.close()
    assert "the cluster has no workers; start some: dask worker tcp://127.0.0.1:" in alone.said


def _certificates(folder: Path) -> dict[str, str]:
    """A self-signed certificate for 127.0.0.1, for all three parts, as Dask's configuration names it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "certificate.pem", folder / "key.pem"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.touch(mode=0o600)
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    names = {"DASK_DISTRIBUTED__COMM__TLS__CA_FILE": str(public)}
    for part in ("SCHEDULER", "WORKER", "CLIENT"):
        names[f"DASK_DISTRIBUTED__COMM__TLS__{part}__CERT"] = str(public)
        names[f"DASK_DISTRIBUTED__COMM__TLS__{part}__KEY"] = str(private)
    return names
