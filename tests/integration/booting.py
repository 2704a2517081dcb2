"""The types of the fixtures that boot staging hosts, for the signatures of tests. Boots nothing itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from deploy.staging import Image, StagingHost

Prepare = Callable[[StagingHost], object]
Clone = Callable[[Image], StagingHost]


class Freeze(Protocol):
    """Gives the image of a suite as `prepare` left it, made once a run."""

    def __call__(self, name: str, suite: str, prepare: Prepare, *, containers: bool = ...) -> Image: ...


class Boot(Protocol):
    """Boots one more host under a fresh name; takes what `staging.up` takes, `name` for a name of one's own."""

    def __call__(
        self,
        suite: str = ...,
        *,
        name: str | None = ...,
        image: str | None = ...,
        python: bool = ...,
        user: str = ...,
        sudo_password: str | None = ...,
        port: int = ...,
        behind: str | None = ...,
        containers: bool = ...,
    ) -> StagingHost: ...
