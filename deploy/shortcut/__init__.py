"""What is bought for milliseconds: hosts are logged in to ahead, by a process of its own. Asks a host nothing.

The rest knows it through :class:`deploy.transport.connections.Connections` alone, and works without this folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deploy.transport.connections import Connections, Password


def connections(password: Password | None) -> Connections:
    """Sessions that are opened before they are asked for. password: see :func:`deploy.transport.connect`."""
    from deploy.shortcut import fork

    process = fork.start()  # first: both go on with imports of their own

    from deploy.shortcut.ahead import Ahead

    return Ahead(password, process)
