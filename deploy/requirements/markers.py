"""Which markers of a lock hold on a host, as far as this side knows its Python. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

Condition = frozenset[str]
"""Markers that must all hold, and of which only the host can say whether they do; empty: nothing to ask."""


class Target:
    """The Python of a host.

    python: ``3.11`` or ``3.11.2``; without the third number a marker about it is left for pip, on the host, to decide.
    machine: as Python calls it, ``x86_64``.
    """

    def __init__(self, python: str, machine: str) -> None:
        self.python = ".".join(python.split(".")[:2])
        whole = [python] if python.count(".") == 2 else [f"{python}.0", f"{python}.99"]
        self._environments = [self._environment(full, machine) for full in whole]

    def _environment(self, full: str, machine: str) -> dict[str, str]:
        return {
            "implementation_name": "cpython",
            "implementation_version": full,
            "os_name": "posix",
            "platform_machine": machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": full,
            "python_version": self.python,
            "sys_platform": "linux",
            "extra": "",
        }

    def holds(self, marker: str | None) -> bool | None:
        """Whether ``marker`` holds; None: only the host knows. Raises ValueError for text that is no marker."""
        if not marker:
            return True
        from packaging.markers import Marker  # 12 ms that most runs do not need

        found = {Marker(marker).evaluate(one) for one in self._environments}
        return found.pop() if len(found) == 1 else None

    def listed(self, marker: str | None, groups: Collection[str]) -> bool:
        """As :meth:`holds` for a marker of a pylock, which may ask for groups and extras; in doubt it holds."""
        if not marker:
            return True
        from packaging.markers import Marker

        chosen = {"extras": frozenset[str](), "dependency_groups": frozenset(groups)}
        return any(
            Marker(marker).evaluate({**one, **chosen}, context="lock_file") for one in self._environments
        )

    def condition(self, marker: str | None) -> Condition | None:
        """What is left to ask of ``marker``; None: it does not hold."""
        held = self.holds(marker)
        if held is None:
            assert marker
            return frozenset({marker})
        return frozenset() if held else None

    def satisfies(self, specifier: str) -> bool:
        """Whether this Python is one that ``specifier`` (as ``>=3.11``) allows; ValueError for what is none."""
        from packaging.specifiers import SpecifierSet

        allowed = SpecifierSet(specifier)
        return any(allowed.contains(one["python_full_version"]) for one in self._environments)


def alternatives(conditions: Iterable[Condition]) -> str:
    """One marker for "any of these"; empty where one of them asks for nothing."""
    found = set(conditions)
    if frozenset() in found:
        return ""
    return " or ".join(
        sorted(" and ".join(f"({marker})" for marker in sorted(condition)) for condition in found)
    )
