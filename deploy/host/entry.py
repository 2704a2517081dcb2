"""The site as every server loads it: ``application`` is the site's own callable, marked with its release.

Runs on hosts in the site's account, in each process that serves; imports nothing of Barehost. From its unit it reads
BAREHOST_CALLABLE (``module:name``, with ``()`` for a factory), BAREHOST_INTERFACE (``wsgi`` or ``asgi``),
BAREHOST_LOGGERS (the server's loggers), BAREHOST_RELEASE and BAREHOST_ACTIVATION. Only Nginx reaches the socket, so
what Nginx says in X-Real-IP and X-Forwarded-Proto is so: behind a unix socket servers report other addresses, and
most of them the scheme http.
"""

import importlib
import logging
import os
import sys

ABOUT = {"X-Release": os.environ["BAREHOST_RELEASE"], "X-Activation": os.environ["BAREHOST_ACTIVATION"]}
OURS = {name.lower() for name in ABOUT}
SCHEMES = {"http": "ws", "https": "wss"}


def load(target):
    """The callable that the inventory names; a factory is called once."""
    module, _, path = target.partition(":")
    factory = path.endswith("()")
    found = importlib.import_module(module)
    for name in path.removesuffix("()").split("."):
        found = getattr(found, name)
    return found() if factory else found


def left(error):
    """A view that calls ``sys.exit()`` is a failed request, not the end of the server."""
    return RuntimeError(f"the site called sys.exit({error.code!r})")


class Streamed:
    """An answer that the site makes while it is sent."""

    def __init__(self, body):
        self.parts = iter(body)
        self.close = getattr(body, "close", lambda: None)

    def __iter__(self):
        return self

    def __next__(self):
        try:
            return next(self.parts)
        except SystemExit as error:
            raise left(error) from error


def unbuffered(headers):
    """The header by which Nginx passes each event of a stream on as it comes; headers: their names in lower case."""
    stream = headers.get("content-type", "").lower().startswith("text/event-stream")
    return [("X-Accel-Buffering", "no")] if stream and "x-accel-buffering" not in headers else []


def wsgi(site):
    """A WSGI site with the visitor's address and scheme, and ``X-Release`` on its answers."""

    def served(environ, start_response):
        def start(status, headers, *exc_info):
            kept = [(name, value) for name, value in headers if name.lower() not in OURS]
            more = unbuffered({name.lower(): value for name, value in kept})
            return start_response(status, [*kept, *ABOUT.items(), *more], *exc_info)

        if address := environ.get("HTTP_X_REAL_IP"):
            environ["REMOTE_ADDR"] = address
        if (scheme := environ.get("HTTP_X_FORWARDED_PROTO")) in SCHEMES:
            environ["wsgi.url_scheme"] = scheme
        try:
            body = site(environ, start)
        except SystemExit as error:
            raise left(error) from error
        wrapper = environ.get("wsgi.file_wrapper")  # a class, or a function as uWSGI has it
        whole = isinstance(body, (list, tuple)) or (isinstance(wrapper, type) and isinstance(body, wrapper))
        return body if whole else Streamed(body)

    return served


def asgi(site):
    """The same for an ASGI site; a request carries headers as pairs of bytes."""
    about = [(name.lower().encode(), value.encode()) for name, value in ABOUT.items()]
    ours = {name for name, _ in about}

    async def served(scope, receive, send):
        async def stamp(message):
            if message["type"] in (
                "http.response.start",
                "websocket.accept",
                "websocket.http.response.start",
            ):
                kept = [pair for pair in message.get("headers") or () if bytes(pair[0]).lower() not in ours]
                names = {
                    bytes(name).decode("latin-1").lower(): bytes(value).decode("latin-1")
                    for name, value in kept
                }
                more = [(name.lower().encode(), value.encode()) for name, value in unbuffered(names)]
                message = {**message, "headers": [*kept, *about, *more]}
            await send(message)

        if scope["type"] in ("http", "websocket"):
            asked_with = dict(scope["headers"])
            scope = dict(scope)
            if address := asked_with.get(b"x-real-ip"):
                scope["client"] = (address.decode("latin-1"), 0)
            scheme = asked_with.get(b"x-forwarded-proto", b"").decode("latin-1")
            if scheme in SCHEMES:
                scope["scheme"] = scheme if scope["type"] == "http" else SCHEMES[scheme]
        try:
            await site(scope, receive, stamp)
        except SystemExit as error:
            raise left(error) from error

    return served


sys.path.insert(0, os.getcwd())  # the release
application = {"wsgi": wsgi, "asgi": asgi}[os.environ["BAREHOST_INTERFACE"]](
    load(os.environ["BAREHOST_CALLABLE"])
)
for logger in os.environ.get("BAREHOST_LOGGERS", "").split():
    logging.getLogger(logger).disabled = False  # a site's dictConfig turns off what it does not name
