"""What a site may be called: a name that is free on a Debian, and the names that visitors ask for. Pure."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from deploy.schema.marked import describe

NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
"""A site's name is also a user (32 characters at most), a unit and a folder."""

_DEBIAN = """
    root daemon bin sys sync games man lp mail news uucp proxy www-data backup list irc gnats nobody nogroup adm
    tty disk kmem dialout fax voice cdrom floppy tape sudo audio dip operator src shadow utmp video sasl plugdev
    staff users input kvm render sgx crontab messagebus sshd ssl-cert tcpdump tss landscape pollinate lxd ubuntu
    debian admin postgres mysql redis memcache mongodb rabbitmq docker git ftp ntp bind postfix dovecot clock

    ssh nginx gunicorn cron dbus getty autovt container-getty serial-getty console-getty user user-runtime-dir
    modprobe ifup apache2 rsyslog networking network apt dpkg polkit udev emergency rescue reboot poweroff halt
    postgresql openvpn wg-quick chrony exim4 haproxy certbot fail2ban ufw

    lock log mount shm initctl screen uuidd sendsigs tmpfiles initramfs credentials www tftp stacks
"""
TAKEN = frozenset(_DEBIAN.split())
"""Names that mean something else on a Debian or Ubuntu: users and groups; units; folders below /run and /srv."""

_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")


def check_name(name: Any) -> str:
    """A site's name. It becomes a user, a unit and folders: one that a Debian has already is a ValueError."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(
            f"expected a name of 1 to 31 lower-case letters, digits and '-' that starts with a letter,"
            f" found {describe(name)}"
        )
    if name in TAKEN or name.startswith(("systemd-", "barehost")) or name.endswith("-"):
        raise ValueError(f"the name {name!r} is in use on Debian as a user, unit or folder; choose another")
    return name


def check_unit(site: str, name: str) -> None:
    """Raise ValueError for a process or timer whose unit ``<site>-<name>`` a Debian may have already."""
    unit = f"{site}-{name}"
    if unit in TAKEN or unit.startswith(("systemd-", "barehost")):
        raise ValueError(f"the unit {unit} is in use on Debian; choose another name than {name!r}")


def server_name(value: Any) -> str:
    """A name Nginx may listen to, in the one form it is compared in: lower case, IDNA, IPv6 in brackets.

    Raises ValueError for anything that is not a DNS name, ``*.`` and a DNS name, or an IP address.
    """
    wrong = ValueError(f"expected a DNS name, '*.' and a DNS name, or an IP address, found {describe(value)}")
    if not isinstance(value, str):
        raise wrong
    if address := _address(value):
        return address
    star, name = ("*.", value[2:]) if value.startswith("*.") else ("", value)
    try:
        name = name.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise wrong from None
    labels = name.split(".")
    if len(name) > 253 or labels[-1].isdigit() or not all(map(_LABEL.fullmatch, labels)):
        raise wrong
    return star + name


def is_address(name: str) -> bool:
    """Whether a server's name is an IP address, which nobody names in a TLS handshake."""
    return _address(name) is not None


def _address(text: str) -> str | None:
    """An IP address as a Host header writes it; None: it is none. A zone (fe80::1%eth0) is nobody's name."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return None
    if "%" in text or (bare is not text and address.version == 4):
        return None
    return f"[{address}]" if address.version == 6 else str(address)
