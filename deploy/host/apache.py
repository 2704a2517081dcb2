"""Runs Apache on a loopback address of its activation, and systemd's proxy on the activation's socket before it.

Runs on hosts in the site's account, as the main process of the unit: it ends when one of the two does, and on SIGTERM
has Apache finish the requests that it has. The address goes by the account and the activation, so that sites and
activations do not meet: 127.<account>.<account>.<activation>:8000.
"""

import os
import signal
import subprocess
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, here)
from barehost_listen import listener  # noqa: E402

number, account = int(os.environ["BAREHOST_ACTIVATION"]), os.getuid()
address = f"127.{account // 256 % 250 + 1}.{account % 256}.{number % 254 + 1}:8000"
PROXY = "/usr/lib/systemd/systemd-socket-proxyd"


def proxy():
    """As systemd would start it: the socket is its file 3."""
    os.environ["LISTEN_FDS"], os.environ["LISTEN_PID"] = "1", str(os.getpid())
    os.dup2(sock.fileno(), 3)
    os.set_inheritable(3, True)
    os.execv(PROXY, [PROXY, "--connections-max=16384", address])


sock = listener()
apache = subprocess.Popen(
    ["/usr/sbin/apache2", "-f", f"{here}/apache.conf", "-DFOREGROUND"],
    env={**os.environ, "BAREHOST_ADDRESS": address},
)
front = os.fork()
if front == 0:
    proxy()
signal.signal(signal.SIGTERM, lambda *_: apache.send_signal(signal.SIGWINCH))
while True:
    ended, status = os.wait()
    if ended == apache.pid:
        os.kill(front, signal.SIGTERM)
        sys.exit(os.waitstatus_to_exitcode(status))
    if ended == front:
        apache.terminate()
        sys.exit("systemd-socket-proxyd ended")
