"""Asks a site for one page and says whether it answers as a healthy release should. Runs on the host.

ask.py SOCKET-OR-PORT SCHEME NAME PATH STATUS RELEASE ACTIVATION: exit code 0 when it does, 1 with one line when not.

Every switch waits for this twice, so it reads the answer by itself: http.client takes longer to import than a small
site to answer.
"""

import socket
import sys

where, scheme, name, path, status, release, activation = sys.argv[1:]

QUESTION = f"""\
GET {path} HTTP/1.1
Host: {name}
User-Agent: barehost-health
X-Forwarded-Proto: {scheme}
X-Real-IP: 127.0.0.1
Connection: close

"""


def connection():
    """To a Unix socket, or to a port of this host with the site's own name."""
    if where.startswith("/"):
        stream = socket.socket(socket.AF_UNIX)
        stream.settimeout(10)
        stream.connect(where)
        return stream
    stream = socket.create_connection(("127.0.0.1", int(where)), 10)
    if scheme != "https":
        return stream
    import ssl

    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # who answers, not whether a browser would agree
    return context.wrap_socket(stream, server_hostname=name)


def headers(file):
    """The status and the headers of the final answer, behind those that only say that it will come (1xx)."""
    code = "100"
    while code.startswith("1"):
        version, _, rest = file.readline().decode("latin-1").partition(" ")
        code = rest[:3]
        if not version.startswith("HTTP/") or not code.isdigit():
            sys.exit("no answer: " + ("what came is not HTTP" if version else "the connection was closed"))
        found = {}
        while line := file.readline().decode("latin-1").strip():
            key, _, value = line.partition(":")
            found[key.lower()] = value.strip()
    return int(code), found


def read(file, found):
    """Read the body; an answer that ends in the middle is none."""
    if found.get("transfer-encoding", "").lower() == "chunked":
        size = None
        while size != 0:
            line = file.readline()
            size = int(line.split(b";")[0] or b"x", 16)
            if len(file.read(size + 2)) < size + 2:
                raise ValueError("chunk")
    elif "content-length" in found:
        if len(file.read(int(found["content-length"]))) < int(found["content-length"]):
            raise ValueError("body")
    else:
        file.read()


try:
    with connection() as stream:
        stream.sendall(QUESTION.replace("\n", "\r\n").encode())
        with stream.makefile("rb") as file:
            code, found = headers(file)
            if code not in (204, 304):
                read(file, found)
except OSError as error:
    sys.exit(f"no answer: {error or type(error).__name__}")
except ValueError:
    sys.exit("no answer: it ends in the middle")
if code != int(status):
    sys.exit(f"{path} answered {code}, expected {status}")
seen = found.get("x-release"), found.get("x-activation")
if seen != (release, activation):
    sys.exit(f"release {seen[0]}, activation {seen[1]} answered, expected {release}, {activation}")
