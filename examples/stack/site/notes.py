"""A site of notes that are kept in a database of MongoDB's protocol: enough to see that a stack works."""

from __future__ import annotations

import os

from flask import Flask, redirect, render_template_string, request
from pymongo import MongoClient
from werkzeug.wrappers import Response

PAGE = """<!doctype html>
<title>{{ title }}</title>
<link rel="stylesheet" href="/static/notes.css">
<h1>{{ title }}</h1>
<ul>{% for note in notes %}<li>{{ note.text }}</li>{% endfor %}</ul>
<form method="post"><input name="text" required> <button>Keep</button></form>
"""

app = Flask(__name__)
database = MongoClient(os.environ.get("MONGODB_URL", "mongodb://127.0.0.1:27017/notes"), connect=False)


@app.get("/")
def index() -> str:
    """All notes, the oldest first."""
    notes = list(database.get_default_database().notes.find({}, {"_id": 0}))
    return render_template_string(PAGE, title=os.environ.get("TITLE", "Notes"), notes=notes)


@app.post("/")
def keep() -> Response:
    """Keep one more."""
    database.get_default_database().notes.insert_one({"text": request.form["text"]})
    return redirect("/")


@app.get("/healthz")
def healthz() -> str:
    """Whether the site runs; it says so without its database too."""
    return "ok\n"
