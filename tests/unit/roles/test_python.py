"""Python and the packages that sites name."""

from __future__ import annotations

from deploy.facts import Facts
from deploy.inventory.hosts import Host
from deploy.roles.python import python
from tests.unit.fakes.saying import app, said

MACHINE = Facts(own={"nginx": "1.22.1"}, hostname="web1", cores=2, ipv6=True, clock="none")


def test_a_site_gets_the_python_and_the_packages_it_names() -> None:
    host = Host(
        "web1", apps=(app(python="python3.12", packages=["libpq5"]), app(name="gone", state="absent"))
    )
    assert set(said(host, MACHINE, python)) == {
        f"package:{name}" for name in ("python3", "python3-venv", "python3.12", "python3.12-venv", "libpq5")
    }
