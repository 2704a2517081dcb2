"""A command line that is run in this process."""

from __future__ import annotations

import sys

import pytest
from invoke import Program

from deploy.tasks import namespace


class Face:
    """Runs a command line in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch, self.capsys = monkeypatch, capsys

    def __call__(self, *words: str) -> tuple[int, str, str]:
        self.monkeypatch.setattr(sys, "argv", ["invoke", *words])
        code = 0
        try:
            Program(namespace=namespace, name="invoke", binary="invoke").run(["invoke", *words], exit=True)
        except SystemExit as ended:
            code = int(ended.code or 0)
        told = self.capsys.readouterr()
        return code, told.out, told.err


INVENTORY = """
all:
  hosts:
    web1: {ansible_host: 127.0.0.1, ansible_user: root, ansible_port: 9, roles: [tiny]}
    web2: {ansible_host: 127.0.0.1, ansible_user: root, ansible_port: 19, roles: [tiny]}
"""


ROLE = """
from deploy.resources.path import File

def tiny(host, facts):
    yield File(host.vars["where"] + "/x", "new\\n")
"""
