"""A site that hands work to a worker. Its queue is a file in the site's shared data, so it needs no other service."""

from __future__ import annotations

import os
import time
from pathlib import Path

from flask import Flask, redirect, request
from huey import SqliteHuey

SHARED = Path(os.environ.get("DATA", "."))

huey = SqliteHuey("jobs", filename=str(SHARED / "queue.db"))
app = Flask(__name__)


@huey.task()
def shout(word: str) -> None:
    """The work: it takes a while, and a release meanwhile does not cut it off."""
    time.sleep(1)
    with (SHARED / "done.txt").open("a") as file:
        file.write(f"{word.upper()}\n")


@app.get("/")
def index() -> str:
    """What was done, and a form to ask for more."""
    done = SHARED / "done.txt"
    lines = done.read_text() if done.exists() else ""
    return f"<pre>{lines}</pre><form method=post><input name=word><button>shout</button></form>"


@app.post("/")
def ask() -> object:
    """Hand a word to the worker."""
    word = request.form.get("word", "")
    if not word.isalnum():
        return "letters and digits only", 400
    shout(word)
    return redirect("/")


def tidy() -> None:
    """What the timer runs: keep the newest hundred lines."""
    done = SHARED / "done.txt"
    if done.exists():
        done.write_text("".join(done.read_text().splitlines(keepends=True)[-100:]))
    print("tidied")
