"""What sites depend on beside their code: databases, caches and their backups, on their own host. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from deploy.errors import InputError
from deploy.facts import Facts
from deploy.inventory.hosts import Host
from deploy.resource import Fact, Phase, Resource
from deploy.roles.backups import backups
from deploy.roles.postgresql import postgresql, refuse_upgrade
from deploy.roles.redis import redis
from deploy.site.release import Delivery


def services(host: Host, facts: Facts, delivery: Delivery) -> Iterator[Resource]:
    """The services of every site of the inventory. A release looks at them, and installs and changes nothing."""
    refuse_many(host)
    if delivery.services:
        refuse_upgrade(host, facts)
    for one in _all(host, facts):
        if delivery.services or one.when is Phase.SERVICES or isinstance(one, Fact):
            yield one


def refuse_many(host: Host) -> None:
    """Raise InputError for a site on several hosts with a database on each: every host would have data of its own."""
    for app in host.apps:
        others = [one.name for one in host.sharing.get(app.name, ()) if one.name != host.name]
        if app.state == "present" and app.database is not None and others:
            raise InputError(
                f"{host.name}: {app.name}: database: is a database on the site's own host, and {', '.join(others)} has "
                "the site as well; give all of them one database, with DATABASE_URL under secrets"
            )


def _all(host: Host, facts: Facts) -> Iterator[Resource]:
    yield from postgresql(host, facts)
    yield from redis(host, facts)
    yield from backups(host, facts)
