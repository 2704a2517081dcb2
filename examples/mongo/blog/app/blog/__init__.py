"""A blog: posts in MongoDB, and an export of all of them as a file beside the code."""

import json
import os
from datetime import datetime, timezone
from pathlib import Path

from flask import Flask, jsonify, request
from mongoengine import DateTimeField, Document, StringField, connect

EXPORTS = Path(__file__).parents[1] / "exports"


class Post(Document):
    title = StringField(required=True, max_length=200)
    written = DateTimeField(required=True)


def create_app():
    app = Flask(__name__)
    connect(host=os.environ["MONGO_URL"])

    @app.get("/")
    def index():
        return jsonify([post.title for post in Post.objects.order_by("written")])

    @app.post("/posts")
    def write():
        Post(title=request.form["title"], written=datetime.now(timezone.utc)).save()
        return "", 201

    @app.post("/export")
    def export():
        posts = [{"title": post.title, "written": post.written.isoformat()} for post in Post.objects]
        (EXPORTS / "posts.json").write_text(json.dumps(posts))
        return jsonify(len(posts))

    @app.get("/export")
    def exported():
        return (EXPORTS / "posts.json").read_text()

    @app.get("/healthz")
    def healthz():
        return str(Post.objects.count())

    return app
