"""Sources together: which hosts there are, their variables in layers, and which of them patterns choose.

Reads files. Contacts no host, prints nothing.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Self

from msgspec import structs

from deploy.errors import InputError
from deploy.inventory.files import (
    folder_of,
    inventory_files,
    is_program,
    is_yaml,
    looks_like_yaml,
    project_of,
    staging_file,
    vars_files,
)
from deploy.inventory.groups import Groups, mapping, merge
from deploy.inventory.hosts import Building, Host
from deploy.inventory.ini import add_ini
from deploy.inventory.vault import Ask, Vault
from deploy.schema.marked import Map, Mark, nearest, shown
from deploy.schema.model import Frozen
from deploy.schema.text import Unreadable, text_of
from deploy.site.app import App


class Inventory:
    """The hosts of one or several sources. Reading checks the layout; a host's own values are checked by select.

    warnings: a sentence for each file in a folder of inventories that was passed over.
    """

    def __init__(self, project: Path, sources: Sequence[Path], ask: Ask | None = None) -> None:
        self.project = project
        self.sources = tuple(sources)
        self.warnings: list[str] = []
        self._vault = Vault(project, ask)
        self._tree = Groups()
        self._built: dict[str, Host] = {}
        self._complete: dict[str, Host] = {}
        self._files: dict[Path, tuple[Map, ...]] = {}

    @classmethod
    def load(cls, *sources: Path, project: Path | None = None, ask: Ask | None = None) -> Self:
        """The inventory in ``sources`` (files or folders, later ones winning), with the staging hosts that are up.

        Where sources were chosen, only those staging hosts that they name: a run on one's own hosts must not
        touch what happens to be up.

        sources: none means what BAREHOST_INVENTORY names (separated by commas), else the project's inventory/.
        project: None means the nearest folder, from the first source upwards, that holds a tasks.py.
        ask: asks a person for a password of Ansible Vault; None: nobody can be asked.
        """
        if not sources:
            variable = os.environ.get("BAREHOST_INVENTORY")
            named = [one.strip() for one in (variable or "").split(",") if one.strip()]
            if variable is not None and not named:
                raise InputError("BAREHOST_INVENTORY is set and empty; name an inventory in it, or unset it")
            sources = tuple(map(Path, named))
        chosen = bool(sources)
        if not sources:
            project = project or project_of(Path.cwd())
            sources = (project / "inventory",)
        absolute = [Path(one).expanduser().absolute() for one in sources]
        project = project.absolute() if project else project_of(absolute[0])
        staging = staging_file(project)
        inventory = cls(project, absolute, ask)
        for source in absolute:
            inventory._add_source(source)
        if staging.is_file() and staging not in absolute:
            ours = set(inventory._tree.hosts)
            inventory.sources += (staging,)
            inventory._add_file(staging)
            if chosen:
                inventory._tree.keep(ours)
        inventory._tree.finish()
        return inventory

    # -- reading ------------------------------------------------------------------------------------------

    def _add_source(self, source: Path) -> None:
        """All files of a source. In a folder, a file that is no inventory is passed over where Ansible does so too."""
        files = inventory_files(source)
        passed = [file for file in files if not self._added(file, source)]
        if len(passed) == len(files):
            raise InputError(f"the inventory {shown(source)} holds no file of hosts; write hosts.yml there")

    def _added(self, file: Path, source: Path) -> bool:
        """Add a file of a source. False, and a warning, for one that neither its name nor its text makes an inventory.

        One that Ansible would read is added, or an InputError: its hosts must not be lost.
        """
        certain = file == source or is_yaml(file) or file.suffix in (".ini", ".toml") or is_program(file)
        if not certain:
            try:
                Inventory(self.project, self.sources)._add_file(file)  # no part of it may stay where it fails
            except InputError as error:
                self.warnings.append(f"{shown(file)} is passed over, it is no inventory: {error}")
                return False
        self._add_file(file)
        return True

    def _add_file(self, file: Path) -> None:
        """One file, in YAML or in Ansible's INI form."""
        try:
            text = text_of(file)
        except Unreadable as error:
            raise InputError(f"{shown(file)}: cannot be read: {error}") from None
        if file.suffix == ".toml":
            raise InputError(f"{shown(file)}: inventories in TOML are not read; write it in YAML")
        if is_program(file):
            raise InputError(
                f"{shown(file)}: it is a program, and inventories that programs print are not read; keep what"
                f" ansible-inventory -i {shown(file)} --list --export --yaml prints in a file"
            )
        if is_yaml(file) or (not file.suffix and looks_like_yaml(text)):
            self._tree.add_yaml(self._vault.read(file), shown(file))
        else:
            add_ini(self._tree, text, shown(file))

    # -- choosing -----------------------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """Every host's name, in the order of the files."""
        return tuple(self._tree.hosts)

    @cached_property
    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """Every group with the names of all hosts in it and below it."""
        return Frozen({name: tuple(self._tree.members(name)) for name in self._tree.groups})

    def match(self, *patterns: str) -> tuple[str, ...]:
        """The names of the hosts that patterns choose, in the order of the files; no pattern chooses all.

        A pattern is a host, a group or a glob, several of them separated by commas. ``&x`` keeps only what is
        also in x, ``!x`` takes x away, wherever they stand. A part that matches nothing is an InputError.
        """
        parts = [part.strip() for pattern in patterns for part in pattern.split(",") if part.strip()]
        if any(not pattern.strip(" ,") for pattern in patterns):
            raise InputError("an empty pattern chooses no host; for every host say all, or give no pattern")
        chosen = set().union(*(self._matching(part) for part in parts if part[0] not in "!&"))
        if all(part[0] in "!&" for part in parts):
            chosen = set(self._tree.hosts)
        for part in parts:
            if part[0] == "&":
                chosen &= self._matching(part[1:])
        for part in parts:
            if part[0] == "!":
                chosen -= self._matching(part[1:])
        if not chosen:
            where = ", ".join(shown(source) for source in self.sources)
            raise InputError(f"no host in {where} matches {','.join(parts) or 'all'!r}")
        return tuple(name for name in self._tree.hosts if name in chosen)

    def _matching(self, part: str) -> set[str]:
        """The hosts one part of a pattern matches, by their own name or a group's; an InputError when none does."""
        if part in ("all", "*"):
            return set(self._tree.hosts)
        known = [*self._tree.hosts, *self._tree.groups]
        found = {name for name in known if name == part or fnmatch.fnmatchcase(name, part)}
        if not found:
            where = ", ".join(shown(source) for source in self.sources)
            known.remove("ungrouped")
            raise InputError(f"no host or group in {where} matches {part!r}{nearest(part, known)}")
        hosts: set[str] = set()
        for name in found:
            hosts |= set(self._tree.members(name)) if name in self._tree.groups else {name}
        return hosts

    def select(self, *patterns: str) -> tuple[Host, ...]:
        """The hosts that patterns choose (see :meth:`match`), their values resolved and checked.

        Secrets are not read yet. Two chosen hosts with one address and port are an InputError: they would be one
        machine, changed by two runs at once.
        """
        hosts = tuple(self.host(name) for name in self.match(*patterns))
        seen: dict[tuple[str, int], Host] = {}
        for host in hosts:
            if host.address is not None:
                other = seen.setdefault((host.address, host.port or 22), host)
                if other is not host:
                    place = f"{host.address} port {host.port or 22}"
                    sentence = f"{host.name} and {other.name} are both {place}; choose one of them"
                    raise self._tree.hosts[host.name].mark.error(sentence)
        return hosts

    def host(self, name: str) -> Host:
        """One host by its name, resolved and checked; InputError when there is none or a value is wrong."""
        if name not in self._tree.hosts:
            raise InputError(f"there is no host {name!r}{nearest(name, self._tree.hosts)}")
        host = self._plain(name)
        if name not in self._complete:
            alone = [app for app in host.apps if app.state == "present" and app.runs_alone]
            sharing = Frozen({app.name: self._sharing(host, app) for app in alone})
            self._complete[name] = replace(host, sharing=sharing) if alone else host
        return self._complete[name]

    def _plain(self, name: str) -> Host:
        """The host, without those that it shares a site with."""
        if name not in self._built:
            self._built[name] = self._build(name)
        return self._built[name]

    def _sharing(self, host: Host, app: App) -> tuple[Host, ...]:
        """The hosts of the groups that define the site, in the order of the inventory, those first that are to have it.

        Where only hosts define it, those share it that define it alike, their secrets aside.
        """
        groups = host.defined.get(app.name, ())
        found = []
        for name in self._tree.hosts:
            declared = self.variables(name).get("apps")
            if isinstance(declared, Map) and app.name not in declared:
                continue
            if name != host.name and self._defined(name).get(app.name, ()) != groups:
                continue
            other = self._plain(name)
            theirs = next((one for one in other.apps if one.name == app.name), None)
            if theirs is not None and (groups or theirs.state == "absent" or _alike(theirs, app)):
                found.append((theirs.state == "absent", other))
        return tuple(other for _, other in sorted(found, key=lambda pair: pair[0]))

    # -- a host's variables -------------------------------------------------------------------------------

    def groups_of(self, name: str) -> tuple[str, ...]:
        """Every group a host is in but ``all``, the most general first."""
        return tuple(group for group in self._tree.ancestors(name) if group != "all")

    def _build(self, name: str) -> Host:
        groups = self.groups_of(name)
        magic = {
            "inventory_hostname": name,
            "inventory_hostname_short": name.split(".")[0],
            "inventory_dir": str(folder_of(self.sources[0])),
            "playbook_dir": str(self.project),
            "group_names": sorted(groups),
            "groups": self.groups,
        }
        defined = self._defined(name)
        return Building(name, self.variables(name), groups, defined, magic, self.project, self._vault).host()

    def variables(self, name: str) -> Map:
        """A host's variables as they are written, each from the layer that wins.

        Ansible's order: inline all, inline groups, group_vars/all, group_vars, inline host, host_vars.
        """
        layers = [layer for _, layer in self._group_layers(name)]
        layers.append(self._tree.hosts[name])
        layers += [one for folder in self._folders for one in self._read(folder / "host_vars" / name)]
        merged = Map(self._tree.hosts[name].mark)
        for layer in layers:
            merge(merged, layer)
        return merged

    @property
    def _folders(self) -> list[Path]:
        """Where files of variables lie."""
        return list(dict.fromkeys([*map(folder_of, self.sources), self.project]))

    def _group_layers(self, name: str) -> Iterator[tuple[str, Map]]:
        """What the groups of a host set, each with the group's name, lowest precedence first."""
        groups = self._tree.ancestors(name)
        yield from ((group, self._tree.groups[group].variables()) for group in groups)
        for stage in (groups[:1], groups[1:]):
            for folder in self._folders:
                for group in stage:
                    yield from ((group, one) for one in self._read(folder / "group_vars" / group))

    def _defined(self, name: str) -> Mapping[str, tuple[str, ...]]:
        """The groups of a host that define each site, sorted."""
        found: dict[str, set[str]] = {}
        for group, layer in self._group_layers(name):
            sites = layer.get("apps")
            for site in sites if isinstance(sites, Map) else ():
                found.setdefault(site, set()).add(group)
        return Frozen({site: tuple(sorted(groups)) for site, groups in found.items()})

    def _read(self, stem: Path) -> tuple[Map, ...]:
        """The files of variables a group or host has in one folder, in order; empty when it has none."""
        if stem not in self._files:
            self._files[stem] = tuple(
                mapping(self._vault.read(file), Mark(shown(file), 1, 1, ""), "a mapping of variables")
                for file in vars_files(stem)
            )
        return self._files[stem]


def _alike(one: App, other: App) -> bool:
    """Whether two hosts define a site alike; secrets are not read for this, and left aside."""
    return structs.replace(one, secrets=Frozen()) == structs.replace(other, secrets=Frozen())
