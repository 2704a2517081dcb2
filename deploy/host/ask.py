"""Asks a site for one page and says whether it answers as a healthy release should. Runs on the host.

ask.py SOCKET-OR-PORT SCHEME NAME PATH STATUS RELEASE ACTIVATION [DOOR...]: exit code 0 when it does, 1 with one line
when not, 3 with one where waiting makes nothing else of it.
A DOOR is another way in, KIND:PORT:NAME: through an http or https one the same release must answer, with any
status that is no error of the server's, for a site may send one name to another; a redirect one must lead to https, and
an either one does that or answers; a moved one, smoved over TLS, must lead to NAME.

Every switch waits for this twice, so it reads the answer by itself: http.client takes longer to import than a small
site to answer.
"""

import socket
import sys

first, scheme, name, path, status, release, activation, *doors = sys.argv[1:]

MOST = 64 << 20
"""Bytes of an answer: whoever answers is a site's own process, and may never come to an end."""

QUESTION = """\
GET {path} HTTP/1.1
Host: {name}
User-Agent: barehost-health
X-Forwarded-Proto: {scheme}
X-Real-IP: 127.0.0.1
Connection: close

"""


def connection(where, scheme, name):
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
    return context.wrap_socket(
        stream, server_hostname=name.strip("[]")
    )  # an address is not sent, as by a browser


def headers(file):
    """The status and the headers of the final answer, behind those that only say that it will come (1xx)."""
    code = "100"
    while code.startswith("1"):
        version, _, rest = file.readline(65536).decode("latin-1").partition(" ")
        code = rest[:3]
        if not version.startswith("HTTP/") or not code.isdigit():
            sys.exit("no answer: " + ("what came is not HTTP" if version else "the connection was closed"))
        found = {}
        while line := file.readline(65536).decode("latin-1").strip():
            if len(found) > 1000:
                sys.exit("no answer: it has too many headers")
            key, _, value = line.partition(":")
            found[key.lower()] = value.strip()
    return int(code), found


def skip(file, size):
    """Read so many bytes and forget them; None: all there are. An answer that ends in the middle is none."""
    left = min(MOST + 1 if size is None else size, MOST + 1)
    begun = left
    while left > 0 and (piece := file.read(min(left, 1 << 16))):
        left -= len(piece)
    if left and size is not None:
        raise ValueError("the body is short")
    if begun - left > MOST:
        sys.exit(f"no answer: more than {MOST >> 20} MiB of it")
    return begun - left


def read(file, found):
    """Read the body."""
    if found.get("transfer-encoding", "").lower() == "chunked":
        size, whole = None, 0
        while size != 0:
            line = file.readline(65536)
            size = int(line.split(b";")[0] or b"x", 16)
            whole += skip(file, max(size, 0) + 2)
            if size < 0 or whole > MOST:
                raise ValueError("chunk")
    elif "content-length" in found:
        skip(file, int(found["content-length"]))
    else:
        skip(file, None)


def answer(where, scheme, name):
    """Status and headers of the whole answer; ends with one line where there is none."""
    try:
        with connection(where, scheme, name) as stream:
            question = QUESTION.format(path=path, name=name, scheme=scheme)
            stream.sendall(question.replace("\n", "\r\n").encode())
            with stream.makefile("rb") as file:
                code, found = headers(file)
                if code not in (204, 304):
                    read(file, found)
    except OSError as error:
        sys.exit(f"no answer: {error or type(error).__name__}")
    except ValueError:
        sys.exit("no answer: it ends in the middle")
    return code, found


def expect_release(found):
    seen = found.get("x-release"), found.get("x-activation")
    if seen != (release, activation):
        sys.exit(f"release {seen[0]}, activation {seen[1]} answered, expected {release}, {activation}")


code, found = answer(first, scheme, name)
if 300 <= code < 400 and code != 304 and code != int(status):
    to = found.get("location", "nowhere")[:200]
    if scheme == "http" and to.startswith("https://"):
        settles = "it wants https: give the site tls:, or leave redirects to Nginx"
    else:
        settles = f"name a page that answers so with health: {{path: ...}}, or say health: {{expect: {code}}}"
    print(f"{path} answered {code}, to {to}, expected {status}: {settles}", file=sys.stderr)
    sys.exit(3)
if code != int(status):
    sys.exit(f"{path} answered {code}, expected {status}")
expect_release(found)
canonical = name
for door in doors:
    kind, port, name = door.split(":", 2)
    try:
        code, found = answer(port, "https" if kind in ("https", "smoved") else "http", name)
        leads = found.get("location", "") if code in (301, 308) else ""
        if kind in ("moved", "smoved"):
            if "://" + canonical not in leads:
                sys.exit(f"answered {code}, expected a redirect to {canonical}")
        elif kind == "redirect" or (kind == "either" and leads):
            if not leads.startswith("https://"):
                sys.exit(f"answered {code}, expected a redirect to https")
        else:
            expect_release(found)
            if code >= 500:
                sys.exit(f"{path} answered {code}")
    except SystemExit as ended:
        shown = "https" if kind in ("https", "smoved") else "http"
        sys.exit(f"{shown}://{name}:{port}: {ended.code}")
