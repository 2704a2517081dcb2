"""The face: what `invoke --list` shows. Every task is parse → call → print, and imports only what it needs."""

from __future__ import annotations

import atexit
import gc
import sys

from invoke import Collection

sys.dont_write_bytecode = bool(sys.flags.dont_write_bytecode)
"""Invoke turns bytecode off, so that none lies beside a tasks.py. A library that nobody has compiled, as in a checkout,
would be compiled by every command: 100 ms. Who says -B or PYTHONDONTWRITEBYTECODE is still obeyed."""

from deploy.tasks import hosts, project, provision, release, services, sites, staging  # noqa: E402
from deploy.tasks.commandline import Commands  # noqa: E402

gc.set_threshold(50_000, 20, 20)
"""Collected seldom: what a command imports and reads lives to its end, and going through it again and again took a
tenth of the time of one that has nothing to do."""
atexit.register(gc.freeze)  # nor once more at the end, where Python would: 10 ms

Commands.install()

namespace = Collection(
    provision.provision,
    provision.plan,
    provision.status,
    provision.verify,
    release.release,
    release.rollback,
    release.restart,
    release.releases,
    release.history,
    sites.maintenance,
    sites.logs,
    sites.run,
    services.backup,
    services.backups,
    services.restore,
    services.db,
    project.init,
    hosts=Collection.from_module(hosts),
    staging=Collection.from_module(staging),
)

if project.is_checkout():
    namespace.add_task(project.demo)
    namespace.add_task(project.test)
    namespace.add_task(project.docs_map)
    namespace.add_task(project.bench)
    namespace.add_task(project.power_cuts)

namespace.configure({"run": {"echo": False}})
