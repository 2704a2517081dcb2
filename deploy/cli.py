"""The command `barehost`: Invoke's program with our tasks in it, for folders that hold no tasks.py yet."""

from __future__ import annotations

import os


def main() -> None:
    """Run the tasks named on the command line; ends the process with their exit code."""
    try:
        from importlib.metadata import version  # all of it within the try: ^C comes when it comes

        from invoke import Program

        from deploy.tasks import namespace

        Program(name="Barehost", binary="barehost", namespace=namespace, version=version("barehost")).run()
    except KeyboardInterrupt:
        os._exit(130)
