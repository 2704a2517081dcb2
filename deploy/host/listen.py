"""The socket of an activation, for servers that are started from Python. Runs on hosts in the site's account.

Bound here, so that its mode is 0660 from its first moment whichever server takes it, and a connection waits in its
queue while the site is being imported.
"""

import os
import socket

BACKLOG = 16384


def listener():
    """``app.sock`` in the unit's runtime folder, listening; an old file of that name is gone."""
    path = os.path.join(os.environ["RUNTIME_DIRECTORY"], "app.sock")
    if os.path.lexists(path):
        os.unlink(path)
    found = socket.socket(socket.AF_UNIX)
    before = os.umask(0o117)
    found.bind(path)
    os.umask(before)
    found.listen(BACKLOG)
    return found
