"""A small Flask site to deploy: a page with style and a picture, uploads, a health check. Keeps no secret in sight."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path

from flask import Flask, Response, abort, render_template, request, url_for
from werkzeug.utils import secure_filename

RELEASE = os.environ.get("BAREHOST_RELEASE", "on a developer's machine")
MEDIA = Path(os.environ.get("MEDIA_ROOT", "uploads"))
SHOWN = ("BAREHOST_RELEASE", "LOG_LEVEL", "LANG", "TZ")
SLOWEST = 60.0

app = Flask(__name__)


@app.get("/")
def index() -> str:
    """The page a visitor sees; it says which release answered."""
    return render_template("index.html", release=RELEASE, host=os.uname().nodename)


@app.get("/healthz")
def healthz() -> tuple[str, int, dict[str, str]]:
    """Asked by every release before it gets traffic."""
    return "ok\n", 200, {"Content-Type": "text/plain", "Cache-Control": "no-store"}


@app.post("/echo")
def echo() -> Response:
    """The body that came, unchanged."""
    return Response(request.get_data(), mimetype=request.mimetype or "application/octet-stream")


@app.post("/upload")
def upload() -> tuple[dict[str, str], int]:
    """Store the form's ``file`` under a new name in the media folder and say where it is served."""
    sent = request.files.get("file")
    name = secure_filename(sent.filename or "") if sent else ""
    if not sent or not name:
        abort(400, "send a file in the form field 'file'")
    MEDIA.mkdir(parents=True, exist_ok=True)
    stored = f"{uuid.uuid4().hex[:12]}-{name}"
    sent.save(MEDIA / stored)
    return {"url": f"/media/{stored}"}, 201


@app.get("/slow")
def slow() -> dict[str, float]:
    """Answer after ``s`` seconds, 60 at most."""
    seconds = request.args.get("s", 1.0, type=float)
    if not 0 <= seconds <= SLOWEST:
        abort(400, "s is a number of seconds from 0 to 60")
    time.sleep(seconds)
    return {"slept": seconds}


@app.get("/env")
def env() -> dict[str, str | None]:
    """A few harmless variables, and what the site believes about the request: scheme, host, client."""
    return {name: os.environ.get(name) for name in SHOWN} | {
        "scheme": request.scheme,
        "host": request.host,
        "client": request.headers.get("X-Real-IP", request.remote_addr),
        "url": url_for("index", _external=True),
    }
