"""Asks a site for one page and says whether it answers as a healthy release should. Runs on the host.

ask.py SOCKET-OR-PORT SCHEME NAME PATH STATUS RELEASE ACTIVATION: exit code 0 when it does, 1 with one line when not.
"""

import http.client
import socket
import ssl
import sys

where, scheme, name, path, status, release, activation = sys.argv[1:]


class Asked(http.client.HTTPConnection):
    """A connection to a Unix socket, or to a port of this host, with the site's own name."""

    def connect(self):
        if where.startswith("/"):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(self.timeout)
            self.sock.connect(where)
            return
        self.sock = socket.create_connection(("127.0.0.1", int(where)), self.timeout)
        if scheme == "https":
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE  # who answers, not whether a browser would agree
            self.sock = context.wrap_socket(self.sock, server_hostname=name)


try:
    asked = Asked(name, timeout=10)
    headers = {
        "Host": name,
        "User-Agent": "barehost-health",
        "X-Forwarded-Proto": scheme,
        "X-Real-IP": "127.0.0.1",
    }
    asked.request("GET", path, headers=headers)
    answer = asked.getresponse()
    answer.read()
except (OSError, http.client.HTTPException) as error:
    sys.exit(f"no answer: {error or type(error).__name__}")
if answer.status != int(status):
    sys.exit(f"{path} answered {answer.status}, expected {status}")
seen = answer.getheader("X-Release"), answer.getheader("X-Activation")
if seen != (release, activation):
    sys.exit(f"release {seen[0]}, activation {seen[1]} answered, expected {release}, {activation}")
