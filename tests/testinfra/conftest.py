"""The checks of this folder look at real hosts: `invoke verify` gives them one; by itself pytest has none."""

from __future__ import annotations

import pytest

from deploy.verify.plugin import Checks


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Refuse to run without the plugin that knows the hosts."""
    if not any(isinstance(one, Checks) for one in metafunc.config.pluginmanager.get_plugins()):
        raise pytest.UsageError("these checks look at provisioned hosts: run `invoke verify --host NAME`")
