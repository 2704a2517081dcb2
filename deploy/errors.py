"""Every error a user can meet, each one sentence with its exit code; nothing here prints or exits."""

from __future__ import annotations

from typing import ClassVar


class BarehostError(Exception):
    """Something went wrong that a user can understand: what, where, what to do, in one clear sentence.

    The exit code is the process's; docs/exit-codes.md lists them and a test keeps the two equal.
    """

    exit_code: ClassVar[int] = 1


class InputError(BarehostError):
    """The inventory, an option or a template is wrong; nothing was contacted."""

    exit_code = 3


class HostError(BarehostError):
    """A host cannot be reached or refused us: name resolution, refused, timeout, host key, login, sudo."""

    exit_code = 4


class LockedError(BarehostError):
    """Another run holds the host; the message says who, since when."""

    exit_code = 5


class LookError(BarehostError):
    """Looking at a host failed, so its state is unknown: never read as "absent"."""

    exit_code = 6


class ApplyError(BarehostError):
    """A step on a host failed, or what it did could not be proven; the report says what stands now."""

    exit_code = 7


class UnsettledError(BarehostError):
    """After the last pass something still differs; the message names the resource and both states."""

    exit_code = 8


class DriftError(BarehostError):
    """The host, the inventory or the source is no longer what a saved plan was made of; nothing was changed."""

    exit_code = 10


class CertificateError(BarehostError):
    """A certificate was not issued; the site serves with what it had, and the host tries again by itself."""

    exit_code = 11


class LockoutError(BarehostError):
    """Nobody could log in after a change of what lets people in, so the host has put the old state back."""

    exit_code = 12


class AlarmError(BarehostError):
    """A host is not well, as ``status`` shows it: a failed unit, a full disk, a certificate that nobody renews."""

    exit_code = 13


class StagingError(BarehostError):
    """A staging host cannot be made on this machine, or not found."""

    exit_code = 9
