"""Barehost's face: `invoke --list` shows what it can do; deploy/tasks/ holds it."""

from deploy.tasks import namespace

__all__ = ["namespace"]
