"""What a check is given: ``host``, ``site`` and what is known of them, for each host and each of its sites."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest
import testinfra.host

from deploy.facts import AppFacts, Facts
from deploy.inventory.hosts import Host
from deploy.site.app import App
from deploy.verify.backend import SessionBackend
from deploy.verify.visitor import Visitor

MARKS = (
    "role(name, ...): only for hosts that have all these roles",
    "site_with(key, ...): only for sites that set all these keys of the inventory, as in site_with('static')",
)


@dataclass(frozen=True)
class Place:
    """Where one check looks: a host, and one of its sites or None."""

    backend: SessionBackend
    site: App | None = None

    @property
    def words(self) -> str:
        """``web1``, or ``web1 hello``."""
        return f"{self.backend.hostname} {self.site.name}" if self.site else self.backend.hostname


class Checks:
    """pytest's plugin: runs a check that asks for ``site`` once a present site, any other once a host.

    only: the one site whose checks are run, and none of the hosts'; empty: all are.
    """

    def __init__(self, backends: Sequence[SessionBackend], only: str = "") -> None:
        self.backends = backends
        self.only = only

    def pytest_configure(self, config: pytest.Config) -> None:
        for mark in MARKS:
            config.addinivalue_line("markers", mark)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "place" in metafunc.fixturenames:
            places = list(self._places(metafunc))
            metafunc.parametrize(
                "place",
                places,
                ids=[place.words.replace(" ", "-") for place in places],
                indirect=True,
                scope="session",
            )

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Host by host, its sites after it; checks that concern none of these hosts go."""
        order = {place_of(item): number for number, item in enumerate(items)}
        hosts = {backend.hostname: number for number, backend in enumerate(self.backends)}

        def rank(item: pytest.Item) -> tuple[int, int]:
            place = place_of(item)
            if place is None or place.site is None:
                return (hosts[place.backend.hostname] if place else -1), -1
            return hosts[place.backend.hostname], order[place]

        items[:] = sorted((item for item in items if not _concerns_nobody(item)), key=rank)

    def _places(self, metafunc: pytest.Metafunc) -> Iterator[Place]:
        roles = _named(metafunc, "role")
        keys = _named(metafunc, "site_with")
        for backend in self.backends:
            host = backend.described
            if not roles <= set(host.roles):
                continue
            if "site" not in metafunc.fixturenames:
                if not self.only:
                    yield Place(backend)
                continue
            for app in host.apps:
                if (
                    app.state == "present"
                    and self.only in ("", app.name)
                    and all(getattr(app, key) for key in keys)
                ):
                    yield Place(backend, app)

    @pytest.fixture(scope="session")
    def place(self, request: pytest.FixtureRequest) -> Place:
        """The host, and the site, that this run of the check is for."""
        assert isinstance(request.param, Place)
        return request.param

    @pytest.fixture(scope="session")
    def host(self, place: Place) -> testinfra.host.Host:
        """testinfra's host: ``host.service("nginx").is_running``; its commands run as root."""
        return place.backend.host

    @pytest.fixture(scope="session")
    def described(self, place: Place) -> Host:
        """The host as the inventory describes it."""
        return place.backend.described

    @pytest.fixture(scope="session")
    def facts(self, place: Place) -> Facts:
        """What the host says of itself: system, versions, cores, what runs of each site."""
        return place.backend.facts

    @pytest.fixture(scope="session")
    def site(self, place: Place) -> App:
        """A site of the host as the inventory describes it; asking for it runs the check once a site."""
        assert place.site is not None
        return place.site

    @pytest.fixture(scope="session")
    def serving(self, site: App, facts: Facts) -> AppFacts:
        """What runs of the site: its activation, release and venv; the check fails where nothing does."""
        known = facts.app(site.name)
        if known.activation is None:
            pytest.fail(f"{site.name} was never deployed here: run invoke provision", pytrace=False)
        return known

    @pytest.fixture(scope="session")
    def visitor(self, place: Place) -> Visitor:
        """Asks the host's Nginx as a client would, from the host itself."""
        return Visitor(place.backend.host, place.site)


def place_of(item: pytest.Item) -> Place | None:
    """Where an item looks; None for a check that asks for no host."""
    place = item.callspec.params.get("place") if isinstance(item, pytest.Function) and _has(item) else None
    return place if isinstance(place, Place) else None


def _has(item: pytest.Function) -> bool:
    return hasattr(item, "callspec")


def _concerns_nobody(item: pytest.Item) -> bool:
    """Whether the check asks for a place and there is none: no host with its role, no site with its key."""
    return isinstance(item, pytest.Function) and "place" in item.fixturenames and place_of(item) is None


def _named(metafunc: pytest.Metafunc, mark: str) -> set[str]:
    return {str(name) for one in metafunc.definition.iter_markers(mark) for name in one.args}
