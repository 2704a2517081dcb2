"""Releases: built beside what serves, switched to in one rename, proven, and gone back from. Pure: never connects.

On the host, below ``/srv/<app>``: ``releases/<id>`` is code, ``venvs/<key>`` packages, ``shared`` what
survives, ``assets`` hashed static files of past releases, ``activations/<n>`` one way of running it all: links
``release``, ``venv``, ``www/…`` and ``app.sock``, the file ``env``, what the server reads in ``server/``, and the
units that run it in ``units/`` (systemd reads copies of these in /etc). ``current`` links to one activation; renaming
it is the one switch. Below ``/var/lib/barehost/apps/<app>/`` lies one record a release: what it was made of, and
whether it was ever healthy.
"""

from deploy.release.activation import Activation, Question
from deploy.release.building import Built, Migrated
from deploy.release.intact import Intact
from deploy.release.leaving import Leaving
from deploy.release.place import Place
from deploy.release.proof import Proof

__all__ = ["Activation", "Built", "Intact", "Leaving", "Migrated", "Place", "Proof", "Question"]
