"""The command `barehost`: Invoke's program with our tasks in it, for folders that hold no tasks.py yet."""

from __future__ import annotations

from importlib.metadata import version

from invoke import Program

from deploy.tasks import namespace


def main() -> None:
    """Run the tasks named on the command line; ends the process with their exit code."""
    Program(name="Barehost", binary="barehost", namespace=namespace, version=version("barehost")).run()
