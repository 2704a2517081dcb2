"""Bare Debian root folders, made once by mmdebstrap and shared by every host as the lowest overlay layer.

Takes mirror, proxy, certificates and pip settings from this machine; knows no name but Debian's own default.
"""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
from pathlib import Path

from deploy.errors import StagingError
from deploy.staging.machine import CACHE, digest, locked, replace, run

SUITES = ("bullseye", "bookworm", "trixie")
PACKAGES = ("systemd", "systemd-sysv", "dbus", "openssh-server", "ca-certificates", "sudo", "iproute2")
PYTHON = ("python3", "python3-venv", "python3-apt")
BUNDLE = "etc/ssl/certs/ca-certificates.crt"
PIP_KEYS = (
    "index-url",
    "extra-index-url",
    "find-links",
    "trusted-host",
    "proxy",
    "timeout",
    "default-timeout",
)
PIP_FILES = ["/etc/xdg/pip/pip.conf", "/etc/pip.conf", "~/.pip/pip.conf", "~/.config/pip/pip.conf"]
"""Where pip looks, the later ones winning; after them comes the file that PIP_CONFIG_FILE names."""
APT = Path("/etc/apt")
RECIPE = 1
"""Part of every image's name; raise it when what is done to an image changes."""


def base_image(suite: str, *, python: bool = False, more: tuple[str, ...] = ()) -> Path:
    """The root folder of a bare `suite`, made now (about 15 s) when this machine has none yet.

    python: with Debian's Python in it; a bare host has none. more: further packages, such as a kernel.
    Raises StagingError for an unknown suite, or with what mmdebstrap printed.
    """
    if suite not in SUITES:
        raise StagingError(f"no staging host of suite {suite!r}: choose one of {', '.join(SUITES)}")
    packages = (*PACKAGES, *(PYTHON if python else ()), *more)
    site = {
        "sources": sources(suite),
        "certificates": certificates(),
        "pip": pip_settings(),
        "apt": apt_proxies(),
    }
    recipe = json.dumps([RECIPE, suite, packages, site], sort_keys=True)
    folder = CACHE / f"{suite}-{digest(recipe, 12)}"
    if folder.is_dir():
        return folder
    with locked(f"base-{folder.name}", seconds=900):
        if not folder.is_dir():
            _make(folder, suite, packages, site)
    return folder


def _make(folder: Path, suite: str, packages: tuple[str, ...], site: dict[str, str]) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    beside = folder.with_name(f".{folder.name}")
    shutil.rmtree(beside, ignore_errors=True)
    included = ",".join(packages)
    run(
        ["mmdebstrap", "--variant=minbase", f"--include={included}", suite, str(beside), "-"],
        stdin=site["sources"],
        timeout=900,
    )
    for key in (beside / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    for name in ("etc/hostname", "etc/resolv.conf"):
        (beside / name).unlink(missing_ok=True)
    replace(beside / "etc/hosts", "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n")
    if site["certificates"]:
        authorities = re.findall(r"-----BEGIN.+?-----END[^\n]+", site["certificates"], re.DOTALL)
        for number, authority in enumerate(authorities, start=1):
            path = beside / f"usr/local/share/ca-certificates/site-{number}.crt"
            replace(path, f"{authority}\n")
        run(["chroot", str(beside), "update-ca-certificates"])
    if site["pip"]:
        replace(beside / "etc/pip.conf", site["pip"])
    if site["apt"]:
        replace(beside / "etc/apt/apt.conf.d/80proxy", site["apt"])
    beside.rename(folder)


def sources(suite: str) -> str:
    """One-line apt sources for `suite`: this machine's own Debian mirrors.

    Only `main` of the release, its updates and its security suite; third-party sources stay out. Raises
    StagingError where the machine names none.
    """
    found: list[str] = []
    for path in _source_files():
        text = path.read_text(encoding="utf-8")
        found += _deb822(text) if path.suffix == ".sources" else _one_line(text)
    here = codename()
    own = re.compile(
        rf"(?:{re.escape(here)}|stable|oldstable|testing)(-updates|-security)?" if here else "(?!)"
    )
    lines: list[str] = []
    for entry in found:
        uri, name, *components = entry.split()
        if (match := own.fullmatch(name)) and "main" in components:
            lines.append(f"deb {uri} {suite}{match[1] or ''} main")
    if not any(line.split()[2] == suite for line in lines):
        raise StagingError(
            f"this machine's apt names no Debian source from which {suite} could come; "
            "add one to /etc/apt/sources.list.d, or point the inventory at any host you can reach by SSH"
        )
    return "".join(f"{line}\n" for line in dict.fromkeys(lines))


def _source_files() -> list[Path]:
    parts = sorted((APT / "sources.list.d").glob("*"))
    return [
        path
        for path in (APT / "sources.list", *parts)
        if path.is_file() and path.suffix in (".list", ".sources")
    ]


def codename() -> str | None:
    """This machine's Debian release; None on any other system."""
    values = dict(
        line.split("=", 1)
        for line in Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
        if "=" in line
    )
    return values.get("VERSION_CODENAME", "").strip('"') or None if values.get("ID") == "debian" else None


def _one_line(text: str) -> list[str]:
    """`uri suite component...` of each `deb` line, options left out."""
    matches = re.finditer(r"^\s*deb\s+(?:\[[^\]]*\]\s+)?([^#\n]+)", text, re.MULTILINE)
    return [match[1].strip() for match in matches]


def _deb822(text: str) -> list[str]:
    """The same for deb822 stanzas: one for each pair of URI and suite."""
    entries: list[str] = []
    bare = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", bare):
        joined = re.sub(r"\n[ \t]+", " ", stanza)
        fields = {
            key.strip().lower(): value.split()
            for key, colon, value in (line.partition(":") for line in joined.splitlines())
            if colon
        }
        if "deb" not in fields.get("types", []) or fields.get("enabled") == ["no"]:
            continue
        rest = " ".join(fields.get("components", []))
        entries += [
            f"{uri} {suite} {rest}" for uri in fields.get("uris", []) for suite in fields.get("suites", [])
        ]
    return entries


def certificates() -> str:
    """Authorities this machine trusts beyond Debian's own: local ones and pip's, in PEM; empty for none."""
    paths = sorted(Path("/usr/local/share/ca-certificates").rglob("*.crt"))
    chosen = _pip_values().get("cert", "")
    if chosen and not chosen.endswith(BUNDLE):
        paths.append(Path(chosen))
    return "".join(path.read_text(encoding="utf-8").strip() + "\n" for path in paths if path.is_file())


def pip_settings() -> str:
    """A pip.conf for the hosts from this machine's, without entries that are local paths; empty for none."""
    values = _pip_values()
    lines = [f"{key} = {values[key]}" for key in PIP_KEYS if key in values]
    if "cert" in values:
        lines.append(f"cert = /{BUNDLE}")
    return "\n".join(["[global]", *lines, ""]) if lines else ""


def _pip_values() -> dict[str, str]:
    """pip's settings on this machine by key, read where pip reads them: its files, then the environment."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read([*map(os.path.expanduser, PIP_FILES), os.environ.get("PIP_CONFIG_FILE", os.devnull)])
    found = dict(parser["global"]) if parser.has_section("global") else {}
    found |= {
        name.removeprefix("PIP_").lower().replace("_", "-"): value
        for name, value in os.environ.items()
        if name.startswith("PIP_") and name != "PIP_CONFIG_FILE"
    }
    local = ("/", ".", "file:")
    kept = {
        key: " ".join(word for word in value.split() if key == "cert" or not word.startswith(local))
        for key, value in found.items()
    }
    return {key: value for key, value in kept.items() if value}


def apt_proxies() -> str:
    """apt's proxy settings of this machine as an apt.conf; empty when it goes straight out."""
    dumped = run(["apt-config", "dump", "Acquire"], check=False).stdout
    proxies = dict(re.findall(r'^Acquire::(https?)::Proxy "([^"]+)";$', dumped, re.MULTILINE | re.IGNORECASE))
    for scheme in ("http", "https"):
        value = os.environ.get(f"{scheme}_proxy")
        if value and scheme not in proxies:
            proxies[scheme] = value
    return "".join(f'Acquire::{scheme}::Proxy "{value}";\n' for scheme, value in sorted(proxies.items()))
