"""What each way that SSH can fail reads like: one sentence, and what to do. Pure: no socket, prints nothing."""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence
from pathlib import Path

from deploy.errors import HostError
from deploy.transport.route import Hop


class Unreachable(HostError):
    """Nobody listens there, or nothing gets there."""


def unresolved(where: str, hop: Hop) -> HostError:
    """The name has no address."""
    return HostError(
        f"{where}: the name {hop.address} has no address; correct ansible_host, or the name server"
    )


def unreachable(where: str, hop: Hop, error: OSError) -> Unreachable:
    """No TCP connection came about."""
    place = f"{hop.address} port {hop.port}"
    if isinstance(error, TimeoutError):
        return Unreachable(
            f"{where}: {place} did not answer within {hop.timeout:g} s; "
            "is the host up, and does a firewall let ssh through?"
        )
    if isinstance(error, ConnectionRefusedError):
        return Unreachable(f"{where}: {place} refused the connection; is sshd running there, on that port?")
    if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        return Unreachable(f"{where}: there is no route to {place}; is this machine on the right network?")
    return Unreachable(f"{where}: cannot connect to {place}: {error.strerror or error}")


def beyond(where: str, hop: Hop, error: Exception) -> Unreachable:
    """The jump host is there, but could not reach the next hop."""
    return Unreachable(
        f"{where}: the jump host before it could not reach {hop.address} port {hop.port} ({_said(error)}); "
        "try it from there, and see AllowTcpForwarding in its sshd_config"
    )


def handshake(where: str, hop: Hop, error: Exception) -> HostError:
    """Connected, but no ssh connection came about."""
    said = _said(error)
    place = f"{hop.address} port {hop.port}"
    if re.search("banner", said, re.IGNORECASE):
        return HostError(
            f"{where}: what answers at {place} does not speak ssh, or said nothing "
            f"within {hop.timeout:g} s; is it the right port?"
        )
    if "No existing session" in said:
        return HostError(
            f"{where}: {place} did not finish the ssh handshake within {hop.timeout:g} s; is the host overloaded?"
        )
    if type(error).__name__ == "IncompatiblePeer":
        return HostError(f"{where}: {place} and this machine share no algorithm ({said}); update sshd there")
    return HostError(
        f"{where}: the ssh connection to {place} broke off while it was set up ({said}); try again"
    )


def not_let_in(where: str, hop: Hop, tried: Sequence[str], skipped: Sequence[str]) -> HostError:
    """No key was accepted."""
    keys = f"it accepted none of these keys: {', '.join(tried)}" if tried else "there is no key to try"
    also = f" ({'; '.join(skipped)})" if skipped else ""
    return HostError(
        f"{where}: {hop.address} did not let {hop.user} in, {keys}{also}; "
        "name the right one as ansible_ssh_private_key_file, or run ssh-copy-id"
    )


def cut_off(where: str, hop: Hop, tried: Sequence[str], error: Exception) -> HostError:
    """The host ended the connection while keys were tried."""
    return HostError(
        f"{where}: {hop.address} ended the connection while {hop.user} logged in ({_said(error)}) after {len(tried)} "
        f"key(s); name the right one as ansible_ssh_private_key_file, for sshd allows only a few tries"
    )


def second_factor(where: str, hop: Hop, more: Sequence[str]) -> HostError:
    """The key was accepted, and is not enough."""
    return HostError(
        f"{where}: {hop.address} accepted the key of {hop.user} but wants {' and '.join(more)} as well, which only a "
        "person can give; allow that user to log in with a key alone"
    )


def missing_key(where: str, path: Path) -> HostError:
    """A key that somebody named is not there."""
    return HostError(f"{where}: the private key {path} does not exist; correct ansible_ssh_private_key_file")


def open_key(where: str, path: Path) -> HostError:
    """A key that others can read is no secret."""
    return HostError(f"{where}: the private key {path} can be read by others; run chmod 600 {path}")


def unusable_key(where: str, path: Path, error: Exception) -> HostError:
    """A file that is no private key."""
    return HostError(f"{where}: {path} cannot be used as a private key ({_said(error)})")


def start(where: str, user: str, output: str, *, sudo: bool, asked: bool) -> HostError:
    """The far side did not come up: what sudo or the login shell said tells why.

    output: everything received, without the prompt. asked: whether a password was sent.
    """
    text = " ".join(output.split())
    if sudo and re.search(
        r"sudo\W* ([Cc]ommand not found|not found|No such file)|[Uu]nknown command:? \W*sudo", text
    ):
        return HostError(f"{where}: there is no sudo on the host; install it there, or log in as root")
    if re.search(r"not in the sudoers|may not run sudo|not allowed to (execute|run)", text):
        return HostError(
            f"{where}: {user} may not use sudo there; add the user to the group sudo, or log in as root"
        )
    if re.search(r"must have a tty|terminal is required", text) and not asked:
        return HostError(
            f"{where}: sudo wants a terminal for {user} (requiretty); "
            f"put `Defaults:{user} !requiretty` into /etc/sudoers.d"
        )
    if asked and re.search(
        r"try again|incorrect password|no password was provided|password is required", text
    ):
        return wrong_password(where, user)
    missing = re.search(r"barehost: missing (\S+)", text)
    if missing:
        return HostError(
            f"{where}: the host has no {missing[1]}; only Linux with GNU coreutils and gzip is served"
        )
    if "barehost: not root" in text:
        return HostError(
            f"{where}: {user} is not root there; set ansible_become: true so that sudo is used, or log in as root"
        )
    if "barehost: no folder" in text:
        return HostError(f"{where}: no folder could be made under /run/barehost{_reason(text)}")
    if re.search(r"\bsh\W* ([Cc]ommand not found|not found|No such file)|[Uu]nknown command:? \W*sh\b", text):
        return HostError(f"{where}: {user} finds no sh on the host; it needs a POSIX shell")
    if re.search(r"/usr/bin/env\W* ([Cc]ommand not found|not found|No such file)", text):
        return HostError(f"{where}: the host has no /usr/bin/env; only Linux with GNU coreutils is served")
    if re.search(r"This account is (currently )?not available|nologin", text):
        return HostError(
            f"{where}: {user} has no login shell there; give the user one (chsh -s /bin/sh {user})"
        )
    said = f": it said {_tail(text)!r}" if text else " without a word"
    return HostError(
        f"{where}: the host ended the session before it began{said}; see its sshd's and sudo's log"
    )


def no_channel(where: str, user: str, error: Exception) -> HostError:
    """Logged in, but sshd gives no session."""
    return HostError(
        f"{where}: {user} may log in but not run commands there ({_said(error)}); see MaxSessions and ForceCommand "
        "in its sshd_config"
    )


def slow_start(where: str, user: str, *, sudo: bool) -> HostError:
    """Logged in, but neither a prompt nor the loop showed up."""
    what = "sudo did not start a shell" if sudo else "no shell started"
    also = (
        "; does the host know its own name (/etc/hosts)?"
        if sudo
        else "; does its login script wait for input?"
    )
    return HostError(f"{where}: {what} for {user} in time{also}")


def too_noisy(where: str, user: str, most: int, output: str) -> HostError:
    """The login prints and prints, and no session begins."""
    said = _printable(output.split("\n")[-2] if output.count("\n") > 1 else output)
    return HostError(
        f"{where}: the login of {user} printed more than {most >> 20} MiB and no session began "
        f"(its last words: {said!r}); see that user's login script there, and ForceCommand in sshd_config"
    )


def too_much(where: str, most: int) -> HostError:
    """A script's answer that does not end."""
    return HostError(
        f"{where}: the host answered more than {most >> 20} MiB to one question and was given up; "
        "is it the host it should be?"
    )


def wrong_password(where: str, user: str) -> HostError:
    """sudo asked a second time."""
    return HostError(f"{where}: sudo did not accept the password of {user}; correct ansible_become_password")


def no_password(where: str, user: str) -> HostError:
    """sudo asked, and nobody has an answer."""
    return HostError(
        f"{where}: sudo asks for the password of {user} and none is given; set ansible_become_password "
        "({env: NAME} reads it from the environment), or run this where somebody can be asked"
    )


def lost(where: str, doing: str, why: str) -> HostError:
    """The connection ended in the middle."""
    return HostError(
        f"{where}: the connection was lost while {doing}{f' ({why})' if why else ''}; an apply that had begun goes on "
        "there: run the same command again, it follows it"
    )


def rejected(where: str, output: str) -> HostError:
    """The far side's own last words."""
    text = re.sub(r"barehost ready \S+", "", " ".join(output.split())).strip()
    if re.search(r"No space left on device|Wrote only \d+ of \d+ bytes", text):  # the second is tar's way
        full = re.search(
            r"barehost: cannot store \S+ in (\S+)|(/[^\s:]*)/[^\s/:]+: No space left on device", text
        )
        place = f" in {full[1] or full[2]}" if full else ""
        return HostError(
            f"{where}: there is no space left on the host{place}, nothing was changed; make room and run it again"
        )
    unstored = re.search(r"barehost: cannot store (\S+) in (\S+)", text)
    if unstored:
        advice = (
            "mount it for writing, and see its kernel log: a faulty disk is made read-only"
            if "Read-only file system" in text
            else "see that folder on the host"
        )
        return HostError(
            f"{where}: {unstored[1]} could not be stored in {unstored[2]}{_reason(text)}, nothing was changed; "
            f"{advice}, then run it again"
        )
    broken = re.search(r"barehost: broken (\S+)", text)
    if broken:
        return HostError(f"{where}: {broken[1]} did not arrive as it was sent; run it again{_because(text)}")
    return HostError(f"{where}: the host ended the session: {_tail(text)}")


def too_long(where: str, seconds: float) -> HostError:
    """A script ran out of time."""
    return HostError(
        f"{where}: a script did not finish within {seconds:g} s and was ended; is the host overloaded?"
    )


def too_quiet(where: str, seconds: float) -> HostError:
    """A followed script said nothing for too long."""
    return HostError(
        f"{where}: nothing was printed for {seconds:g} s; what runs in a unit of its own goes on there"
    )


def _because(text: str) -> str:
    before = text.partition("barehost: broken")[0].strip()
    return f" ({_tail(before)})" if before else ""


def _reason(text: str) -> str:
    """What the tool that failed said, without its own name and path; it may come before or after the loop's line."""
    of_tool = re.sub(r"barehost: (cannot store \S+ in \S+|no folder)", "", text).strip()
    return f" ({_tail(of_tool.rpartition(': ')[2])})" if of_tool else ""


def _tail(text: str) -> str:
    return text if len(text) <= 200 else "…" + text[-200:]


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in text)[-100:]


def _said(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
