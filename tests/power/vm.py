"""A full virtual machine whose power can be cut: its own kernel, its own page cache, a disk that forgets.

Its root is that of a bare staging host, with a kernel and the site's packages added. A cut loses all that lies in
the guest's memory. What the guest wrote to its disk and did not flush is lost too, where that part of the disk is
written for the first time since the boot: its place in the disk file (qcow2 over the state before, in clusters of
the guest's own block size) is noted at a flush only. A part that was flushed once and is written again keeps it.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from deploy import staging
from deploy.errors import StagingError
from deploy.staging import container, identity
from deploy.staging.base import base_image
from deploy.staging.machine import replace, run
from deploy.staging.record import Record

NAME = "vm"
SUITE = "bookworm"
PACKAGES = (
    "linux-image-cloud-amd64",
    "udev",
    "nginx",
    "python3",
    "python3-venv",
    "systemd-timesyncd",
    "logrotate",
)
"""A kernel, and what a provision would install: apt takes four minutes on a machine that is emulated."""
DISK = "4G"
BOOT_SECONDS = 300
NETWORK = "[Match]\nName=e*\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\n"
"""What QEMU's user network expects of its only guest; its name server is 10.0.2.3."""
QEMU = [
    *("setpriv", "--pdeathsig", "KILL"),  # it ends with whoever started it, however that ends
    *("nice", "-n", "10"),
    *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1024"),
    *("-nodefaults", "-display", "none", "-no-reboot"),
    *("-device", "virtio-rng-pci", "-device", "virtio-net-pci,netdev=net"),
    *("-append", "root=/dev/vda rw console=ttyS0 quiet net.ifnames=0 panic=-1"),
]


@dataclass
class Vm:
    """One machine, and how it is reached: SSH and HTTP, each on a port of this machine's loopback.

    folder: its kernel, its disk as it was at each boot, its console. process: None while its power is off.
    """

    folder: Path
    key: Path
    known_hosts: Path
    ssh_port: int
    web_port: int
    process: subprocess.Popen[bytes] | None = None
    disks: list[Path] = field(default_factory=list)
    name: str = NAME
    address: str = "127.0.0.1"

    @property
    def console(self) -> Path:
        return self.folder / "console.log"

    @property
    def complaints(self) -> Path:
        """What QEMU itself said."""
        return self.folder / "qemu.log"

    def boot(self) -> None:
        """Switch it on, and wait until it answers and has started what it starts."""
        assert self.process is None, "its power is on"
        disk = self.folder / f"disk-{len(self.disks)}.qcow2"
        create = ["qemu-img", "create", "-q", "-f", "qcow2", "-o", "cluster_size=4k"]
        run([*create, "-b", str(self.disks[-1]), "-F", self.disks[-1].suffix[1:], str(disk)])
        self.disks.append(disk)
        forwards = f"hostfwd=tcp:127.0.0.1:{self.ssh_port}-:22,hostfwd=tcp:127.0.0.1:{self.web_port}-:80"
        options = {
            "-kernel": self.folder / "vmlinuz",
            "-initrd": self.folder / "initrd.img",
            "-drive": f"file={disk},format=qcow2,if=virtio,cache=writeback",
            "-netdev": f"user,id=net,{forwards}",
            "-serial": f"file:{self.console}",
        }
        with self.complaints.open("wb") as complaints:
            self.process = subprocess.Popen(
                [*QEMU, *(str(word) for option in options.items() for word in option)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=complaints,
            )
        end = time.monotonic() + BOOT_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > end:
                raise StagingError(f"the virtual machine does not boot: {self._last_words()}")
            time.sleep(0.5)
        self.sh("systemctl is-system-running --wait || systemctl --failed --no-legend", timeout=BOOT_SECONDS)

    def cut(self) -> None:
        """Cut its power: nothing in its memory is written anywhere any more."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def sh(self, script: str, *, timeout: float = 120, ok: bool = True) -> str:
        """A script run in it as root; what it printed, both streams."""
        options = {
            "IdentityFile": self.key,
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": self.known_hosts,
            "StrictHostKeyChecking": "yes",
            "BatchMode": "yes",
        }
        words = [f"-o{key}={value}" for key, value in options.items()]
        ssh = ["ssh", "-F", "none", *words, "-p", str(self.ssh_port), f"root@{self.address}", "sh"]
        done = run(ssh, stdin=script, timeout=timeout, check=False)
        assert not ok or done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((self.address, self.ssh_port), 5) as one:
            return one.recv(4) == b"SSH-"
        return False

    def _last_words(self) -> str:
        said = [
            one.read_text(errors="replace")[-1000:] for one in (self.complaints, self.console) if one.exists()
        ]
        return "".join(said)


@contextlib.contextmanager
def machine(folder: Path) -> Iterator[Vm]:
    """A bare machine, made in ``folder`` and switched off; off again at the end. Its state is the project's."""
    place = staging.space()
    identity.project_key(place)
    base = base_image(SUITE, more=PACKAGES)
    record = Record(
        NAME, str(place.state), SUITE, False, None, "root", None, 22, None, "10.0.2.15", "", (str(base),)
    )
    try:
        container.mount(record)
        identity.imprint(record)
        replace(record.root / "etc/systemd/network/vm.network", NETWORK)
        replace(record.root / "etc/resolv.conf", "nameserver 10.0.2.3\n")
        run(["chroot", str(record.root), "systemctl", "enable", "-q", "systemd-networkd"])
        public = (record.root / "etc/ssh/ssh_host_ed25519_key.pub").read_text()
        for name in ("vmlinuz", "initrd.img"):
            shutil.copy(record.root / name, folder / name)
        disk = folder / "disk.raw"
        run(["mkfs.ext4", "-q", "-F", "-d", str(record.root), str(disk), DISK], timeout=300)
    finally:
        staging.down(NAME)
    ssh, web = free_ports()
    known_hosts = folder / "known_hosts"
    known_hosts.write_text(f"[127.0.0.1]:{ssh} {public}")
    vm = Vm(folder, place.private_key, known_hosts, ssh, web, disks=[disk])
    try:
        yield vm
    finally:
        vm.cut()


def free_ports() -> tuple[int, int]:
    """Two ports of the loopback that are free now, and not among those that the kernel gives to connections."""
    free = []
    for port in random.sample(range(20000, 32000), 100):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            free.append(port)
    return free[0], free[1]
