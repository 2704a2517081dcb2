"""A host as the inventory describes it, out of its variables. Reads no inventory, contacts no host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from deploy.errors import InputError
from deploy.inventory.dotenv import variables
from deploy.inventory.edge import Alerts, FirewallRules, Ssh, Updates
from deploy.inventory.groups import mapping
from deploy.inventory.scope import Scope
from deploy.inventory.secrets import FORMS, secret, within
from deploy.inventory.ssh_vars import (
    DEFAULT_ROLES,
    SECRET_VARS,
    Connection,
    claimed,
    connection,
    jump,
    ssh_options,
)
from deploy.inventory.vault import Vault, quietly
from deploy.schema.marked import List, Map, Mark, nearest, path_from, shown
from deploy.schema.model import Frozen, keys, validated
from deploy.schema.text import SECRET, text_of
from deploy.shell import Secret
from deploy.site.app import App
from deploy.site.checks import beside
from deploy.site.names import check_name
from deploy.site.stacks import Stack
from deploy.transport.endpoint import Endpoint

SECRET_INSIDE = {
    "auth": {"users": "secrets"},
    "tls": {"certificate": "a path or a secret", "key": "a path or a secret"},
}
"""Keys of a site whose mappings hold secrets among what is none."""

Named = TypeVar("Named", App, Stack)


@dataclass(frozen=True)
class Host(Endpoint):
    """One host as the inventory describes it: an endpoint and what it should be; holds no connection.

    groups: every group it is in but ``all``, the most general first.
    defined: by site, the groups (``all`` among them) whose variables define it; none where only the host's own do.
    vars: its variables, the connection's, ``apps`` and ``stacks`` included only as far as they hold no secret.
    roles: names of roles, in the order they are evaluated. firewall, ssh, updates, alerts: None: left alone.
    sharing: by site of which something runs on one host alone, the hosts that share it, the one that it is for first.
    """

    groups: tuple[str, ...] = ()
    defined: Mapping[str, tuple[str, ...]] = field(default_factory=Frozen, repr=False)
    vars: Mapping[str, Any] = field(default_factory=Frozen, repr=False)
    apps: tuple[App, ...] = ()
    stacks: tuple[Stack, ...] = ()
    roles: tuple[str, ...] = DEFAULT_ROLES
    firewall: FirewallRules | None = None
    ssh: Ssh | None = None
    updates: Updates | None = None
    alerts: Alerts | None = None
    sharing: Mapping[str, tuple[Host, ...]] = field(default_factory=Frozen, repr=False, compare=False)

    def is_first(self, site: str) -> bool:
        """Whether it runs what one host alone runs of those that share the site."""
        return site not in self.sharing or self.sharing[site][0].name == self.name

    def app(self, name: str) -> App:
        """The site of that name; an InputError names the nearest when there is none."""
        for app in self.apps:
            if app.name == name:
                return app
        known = [app.name for app in self.apps]
        raise InputError(f"{self.name} has no site {name!r}{nearest(name, known)}")


SECRETS = ("secrets", "backup_secrets")
"""The keys of a site whose values are secret."""


class Building:
    """Makes a :class:`Host` of the variables of one.

    groups, defined: as the host has them. magic: the variables that Ansible sets itself.
    """

    def __init__(
        self,
        name: str,
        raw: Map,
        groups: tuple[str, ...],
        defined: Mapping[str, tuple[str, ...]],
        magic: Mapping[str, Any],
        project: Path,
        vault: Vault,
    ) -> None:
        self._name = name
        self._raw = raw
        self._groups = groups
        self._defined = defined
        self._project = project
        self._vault = vault
        self._scope = Scope(raw, magic, project, vault)

    def host(self) -> Host:
        """The host, its values checked; InputError, with its place, for the first that is wrong.

        Secrets are not read yet: each is an InputError where it is revealed and cannot be had.
        """
        reached, given = connection(self._raw, self._scope, self._secret)
        options = ssh_options(self._raw, self._scope)
        with quietly():
            variables = self._scope.frozen(without=SECRET_VARS | {"apps", "stacks", "alerts"})
        return Host(
            name=self._name,
            address=reached.ansible_host or (None if reached.barehost_staging else self._name),
            port=(reached.ssh and reached.ssh.port) or reached.ansible_port,
            moved_from=(reached.ansible_port or 22) if reached.ssh and reached.ssh.port else None,
            user=reached.ansible_user,
            key=self._key(reached, given),
            sudo=reached.ansible_user != "root" if reached.ansible_become is None else reached.ansible_become,
            sudo_password=reached.ansible_become_password,
            jump=jump(self._raw, options),
            known_hosts=self._known_hosts(reached, options),
            groups=self._groups,
            defined=self._defined,
            vars=variables,
            apps=self._apps(),
            stacks=self._stacks(),
            roles=reached.roles,
            firewall=reached.firewall,
            ssh=self._ssh(reached, given),
            updates=reached.updates,
            alerts=reached.alerts,
            project=self._project,
            connect_timeout=reached.connect_timeout,
        )

    def _secret(self, value: Any, mark: Mark) -> Secret:
        return secret(value, mark, self._project)

    def _key(self, reached: Connection, given: Map) -> Path | None:
        if reached.ansible_ssh_private_key_file is None:
            return None
        key = path_from(self._project, reached.ansible_ssh_private_key_file)
        if not key.is_file():
            mark = given.marks["ansible_ssh_private_key_file"]
            raise mark.error(f"expected a private key, found no file {shown(key)}")
        return key

    def _ssh(self, reached: Connection, given: Map) -> Ssh | None:
        """What would keep out the user that logs in is refused here, before the host would have to."""
        ssh, user = reached.ssh, reached.ansible_user
        if ssh is not None and user is not None:
            mark = given.marks["ssh"]
            if ssh.allow_users and user not in ssh.allow_users:
                raise mark.error(
                    f"allow_users leaves out {user}, who logs in here; add it, or change ansible_user first"
                )
            if user == "root" and ssh.root_login is False:
                raise mark.error(
                    "root logs in here, and root_login: false would end that; change ansible_user first"
                )
        return ssh

    def _known_hosts(self, reached: Connection, options: Mapping[str, str]) -> Path | None:
        """The file of pinned keys; the null device, as some write to skip the check, names none."""
        named = reached.barehost_known_hosts or options.get("userknownhostsfile", "/dev/null")
        return None if named == "/dev/null" else path_from(self._project, named)

    # -- its sites and stacks -----------------------------------------------------------------------------

    def _apps(self) -> tuple[App, ...]:
        """The sites of the host, checked one by one and against each other."""
        declared = self._declared("apps", "a mapping of sites")
        apps = tuple(self._made(App, "apps", "site", name, declared) for name in declared)
        for app in apps:
            if app.state == "present":
                self._check_paths(app, declared[app.name], declared.marks[app.name])
        try:
            beside(apps)
        except ValueError as error:
            raise declared.marks[error.args[1]].error(f"{error.args[0]} on {self._name}") from None
        return apps

    def _stacks(self) -> tuple[Stack, ...]:
        """The stacks of the host."""
        declared = self._declared("stacks", "a mapping of stacks")
        stacks = tuple(self._made(Stack, "stacks", "stack", name, declared) for name in declared)
        for stack in stacks:
            if stack.state == "present" and not stack.path.is_dir():
                mark = declared[stack.name].marks["folder"]
                raise mark.error(
                    f"expected a folder with a Compose file, found no folder {shown(stack.path)}"
                )
        return stacks

    def _declared(self, variable: str, expects: str) -> Map:
        """What the variable names: a mapping by name, with its places; empty where the host has no such variable."""
        if variable not in self._raw:
            return Map(self._raw.mark)
        mark = self._raw.marks[variable]
        written = self._raw[variable]
        written = written if isinstance(written, Map | None) else self._scope[variable]
        try:
            return mapping(written, mark, expects)
        except InputError as error:
            raise InputError(f"{error}{claimed(variable)}") from None

    def _made(self, model: type[Named], variable: str, what: str, name: Any, declared: Map) -> Named:
        """One site or stack, checked by itself."""
        mark = declared.marks[name]
        try:
            check_name(name)
        except ValueError as error:
            raise mark.error(str(error)) from None
        written = mapping(declared[name], mark, f"a mapping of the {what}'s keys")
        if written and not keys(model).keys() & written.keys():
            key = next(iter(written))
            raise written.marks[key].error(f"this is no key of a {what}{claimed(variable)}")
        raw = Map(mark)
        for key, value in written.items():
            place = written.marks[key]
            raw.put(key, self._value(key, value, place), place)
        if model is App and "env_file" in raw:
            self._add_env_file(raw)
        return validated(model, raw, {"name": name, "project": self._project})

    def _value(self, key: str, value: Any, mark: Mark) -> Any:
        """What one key of a site holds: secrets where they belong, and nowhere else."""
        if key in SECRETS:
            return self._secrets(value, mark)
        inside = SECRET_INSIDE.get(key, {})
        if isinstance(value, Map) and inside.keys() & value.keys():
            found = Map(value.mark)
            for name, one in value.items():
                place = value.marks[name]
                kind = inside.get(name)
                read = self._inside(kind, one, place) if kind else self._value("", one, place)
                found.put(name, read, place)
            return found
        found = self._scope.resolved(value, mark)
        self._refuse_secrets(found, mark)
        return found

    def _inside(self, kind: str, value: Any, mark: Mark) -> Any:
        """Secrets by name; or one that may be a path of the host in its place, which is none."""
        if kind == "secrets":
            return self._secrets(value, mark)
        if isinstance(value, str) and not self._vault.holds(mark) and not value.startswith("-----BEGIN "):
            found = self._scope.resolved(value, mark)
            if not any(within(found)):
                return found
        return self._secret(self._scope.later(value, mark), mark)

    def _secrets(self, value: Any, mark: Mark) -> Map:
        """The secrets of a site, none of them read yet."""
        value = self._scope.resolved(value, mark) if isinstance(value, str) else value
        if not isinstance(value, Map):
            raise mark.error(f"expected a mapping of names to {FORMS}")
        known = {
            key: self._secret(self._scope.later(one, value.marks[key]), value.marks[key])
            for key, one in value.items()
        }
        return Map(value.mark, known, value.marks)

    def _add_env_file(self, raw: Map) -> None:
        """The variables of a site's ``env_file:`` among its secrets; what stands under env and secrets wins.

        Where it cannot be read, that is said when the secrets are needed, and not before.
        """
        mark, named = raw.marks["env_file"], raw["env_file"]
        if not isinstance(named, str) or not named:
            return  # the model says what is wrong with it
        path = path_from(self._project, named)

        def refused(ask: bool) -> str:
            raise mark.error(problem)

        try:
            found = {name: Secret(value) for name, value in variables(text_of(path, SECRET)).items()}
        except ValueError as error:  # Unreadable is one
            problem = f"{shown(path)} cannot be read: {error}"
            found = {"env_file": Secret.later(refused, str(mark))}
        known = raw["secrets"] if isinstance(raw.get("secrets"), Map) else Map(mark)
        env = raw["env"] if isinstance(raw.get("env"), Map) else {}
        merged = Map(known.mark, dict(known), known.marks)
        for name, value in found.items():
            if name not in known and name not in env:
                merged.put(name, value, mark)
        raw.put("secrets", merged, raw.marks.get("secrets", mark))

    def _refuse_secrets(self, value: Any, mark: Mark) -> None:
        """Everything of a site but its secrets is seen in plans, and by others on the host."""
        if isinstance(value, Map | List):
            for key, one in value.items() if isinstance(value, Map) else enumerate(value):
                self._refuse_secrets(one, value.marks[key])
        elif any(within(value)) or (self._vault.holds(mark) and ".env." in mark.key):
            raise mark.error(
                "this is encrypted with Ansible Vault and would be shown here; put it under secrets:"
            )

    def _check_paths(self, app: App, written: Any, mark: Mark) -> None:
        """What a site names on this machine must be there."""
        raw = mapping(written, mark, "a mapping of the site's keys")
        if app.wheels_folder and not app.wheels_folder.is_dir():
            raise raw.marks["wheels"].error(
                f"expected a folder of wheels, found no folder {shown(app.wheels_folder)}"
            )
        if app.is_git or app.image is not None:
            return
        if not app.source_folder.is_dir():
            raise raw.marks["source"].error(
                f"expected a folder or a git URL, found no folder {shown(app.source_folder)}"
            )
        folder = app.source_folder / app.folder if app.folder else app.source_folder
        if not folder.is_dir():
            raise raw.marks["folder"].error(
                f"expected a folder in the source, found no folder {shown(folder)}"
            )
        named = app.requirements
        if named and named != "auto" and not (folder / named).is_file():
            raise raw.marks["requirements"].error(
                f"expected a file in the source, found no file {shown(folder / named)}"
            )
