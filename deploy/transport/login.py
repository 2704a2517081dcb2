"""Which keys a login tries, and in which order: named files, the agent, the usual files. Keys only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from paramiko import Agent, PKey, Transport
from paramiko.ssh_exception import AuthenticationException, PasswordRequiredException, SSHException

from deploy.errors import HostError
from deploy.transport import refusals
from deploy.transport.route import IDENTITIES, Hop


class Login:
    """paramiko's strategy for logging in: keys only, the named ones first; keeps count of what it tried."""

    def __init__(self, where: str, hop: Hop) -> None:
        self._where, self._hop = where, hop
        self._tried: list[str] = []
        self._skipped: list[str] = []

    def authenticate(self, transport: Transport) -> None:
        """Try one key after the other; HostError says who, and which keys, when none was accepted."""
        agent = _Agent()
        try:
            for label, key in self._keys(agent):
                self._tried.append(label)
                try:
                    more = transport.auth_publickey(self._hop.user, key)
                except AuthenticationException:
                    continue
                except (SSHException, EOFError, OSError) as error:
                    raise refusals.cut_off(self._where, self._hop, self._tried, error) from error
                if more:
                    raise refusals.second_factor(self._where, self._hop, more)
                return
        finally:
            agent.close()
        raise refusals.not_let_in(self._where, self._hop, self._tried, self._skipped)

    def _keys(self, agent: _Agent) -> Iterator[tuple[str, PKey]]:
        seen: set[bytes] = set()
        for label, key in self._candidates(agent):
            if key.asbytes() not in seen:
                seen.add(key.asbytes())
                yield label, key

    def _candidates(self, agent: _Agent) -> Iterator[tuple[str, PKey]]:
        for path in self._hop.keys:
            key = self._load(path, agent, named=True)
            if key is not None:
                yield str(path), key
        if self._hop.agent:
            for key in agent.held():
                yield f"{getattr(key, 'comment', '') or 'a key'} (agent)", key
        if self._hop.usual:
            for name in IDENTITIES:
                path = Path("~/.ssh").expanduser() / name
                key = self._load(path, agent, named=False) if path.exists() else None
                if key is not None:
                    yield str(path), key

    def _load(self, path: Path, agent: _Agent, *, named: bool) -> PKey | None:
        """The private key in a file, or the agent's for it when the file is encrypted; None: cannot be used."""
        try:
            if path.stat().st_mode & 0o077:
                raise refusals.open_key(self._where, path)
            return PKey.from_path(path)
        except (PasswordRequiredException, TypeError):
            held = agent.holding(path)
            if held is None:
                self._skipped.append(f"{path} is encrypted and the agent does not hold it (ssh-add {path})")
            return held
        except FileNotFoundError as error:
            if named:
                raise refusals.missing_key(self._where, path) from error
        except HostError:
            if named:
                raise
            self._skipped.append(f"{path} can be read by others (chmod 600 {path})")
        except Exception as error:
            if named:
                raise refusals.unusable_key(self._where, path, error) from error
            self._skipped.append(f"{path} is no private key")
        return None


class _Agent:
    """The user's ssh agent, asked only when somebody wants one of its keys."""

    def __init__(self) -> None:
        self._agent: Agent | None = None

    def held(self) -> tuple[PKey, ...]:
        if self._agent is None:
            try:
                self._agent = Agent()
            except SSHException:  # a socket that nobody listens on is no agent
                return ()
        return tuple(self._agent.get_keys())

    def holding(self, path: Path) -> PKey | None:
        """The agent's key whose public half lies beside the private one."""
        public = path.with_name(path.name + ".pub")
        if not public.exists():
            return None
        words = public.read_text(encoding="utf-8").split()
        return next((key for key in self.held() if len(words) > 1 and key.get_base64() == words[1]), None)

    def close(self) -> None:
        if self._agent is not None:
            self._agent.close()
