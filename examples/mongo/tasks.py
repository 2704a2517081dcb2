"""This project's tasks: `invoke --list` shows them. Add your own below."""

from deploy.tasks import namespace

__all__ = ["namespace"]
