"""The smallest site there is: replace this folder with yours, or point `source:` at it."""

import os


def app(environ, start_response):
    """Any WSGI callable will do: Django's, Flask's, or this."""
    release = os.environ.get("BAREHOST_RELEASE", "none")
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [f"Hello from release {release}, at {environ['PATH_INFO']}\n".encode()]
