"""Stacks of containers by Docker and Compose, Debian's own. Pure: connects to nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from deploy.compose import read
from deploy.errors import InputError
from deploy.facts import Facts
from deploy.inventory.hosts import Host
from deploy.oci import read as image_of
from deploy.render.dotenv import dotenv
from deploy.resource import Deferred, Fact, Phase, Remark, Resource
from deploy.resources.containers import ContainerImage, Stack, StackBuilt, StackLeft, folder, root
from deploy.resources.package import Package
from deploy.resources.path import Directory
from deploy.resources.tree import EXCLUDE, Tree
from deploy.resources.unit import Unit
from deploy.roles import NOTHING
from deploy.schema.marked import path_from
from deploy.shell import Script, sh
from deploy.site import stacks
from deploy.site.release import Delivery

VERSION = Fact(
    "compose",
    sh(
        "if [ -e /usr/libexec/docker/cli-plugins/docker-compose ]; then echo 2; "
        "elif [ -e /usr/bin/docker-compose ]; then echo 1; fi"
    ),
)
"""The major version of Compose, which decides how it reads an env file; nothing where it is not installed."""


def compose(host: Host, facts: Facts, delivery: Delivery = NOTHING) -> Iterator[Resource]:
    """The engine, and each stack of the inventory: a present one is up and healthy, an absent one leaves."""
    if not host.stacks:
        return
    present = [stack for stack in host.stacks if stack.state == "present"]
    if present:
        yield from engine(
            facts, debian=any(made.debian is not None for one in present for made in one.images.values())
        )
        yield VERSION
        yield Directory(stacks.ROOT, mode=0o711)
    for stack in host.stacks:
        if stack.state == "absent":
            yield StackLeft(stack.name, purge=delivery.purge, scope=stack.name)
        elif "compose" not in facts.own:
            yield Deferred(what=f"the stack {stack.name}", until="package:docker-compose", scope=stack.name)
        else:
            yield from running(stack, facts, purge=delivery.purge)


def engine(facts: Facts, *, debian: bool) -> Iterator[Resource]:
    """Docker and Compose; debian: and what makes images of Debian's packages."""
    yield Package("docker.io")
    if facts.version is not None and facts.version.isdigit() and int(facts.version) >= 13:
        yield Package("docker-cli")  # a part of docker.io before
    yield Package("docker-compose")
    if debian:
        yield Package("mmdebstrap")
    yield Unit("docker.service", when=Phase.SERVICES)  # what is built needs it


def running(stack: stacks.Stack, facts: Facts, *, purge: bool) -> Iterator[Resource]:
    """The files of a stack, its images, and its containers."""
    file = read(stack.path, stack.file)
    tree = Tree(
        folder(stack.name),
        source=stack.path,
        delete=False,  # containers may keep data in folders of it
        exclude=(*EXCLUDE, stack.env_file),
        scope=stack.name,
    )
    values = dict(stack.env) | {name: secret.reveal() for name, secret in stack.secrets.items()}
    env = dotenv(values, int(facts.own["compose"])).encode()
    yield Directory(root(stack.name), scope=stack.name)
    yield tree
    images = [image(stack, reference, made, facts) for reference, made in stack.images.items()]
    yield from images
    given = [f"{one.reference} {one.image or one.made_of}" for one in images]
    files = hashlib.sha256("\0".join((tree.manifest, *given)).encode()).hexdigest()
    services = tuple(sorted(file.services))
    yield StackBuilt(
        stack.name,
        file.name,
        files,
        stack.env_file,
        env,
        builds=file.builds,
        scope=stack.name,
    )
    yield Stack(
        stack.name,
        file.name,
        files,
        stack.env_file,
        env,
        services=services,
        timeout=stack.timeout,
        purge=purge,
        scope=stack.name,
    )
    others = Fact(f"orphans-{stack.name}", orphans(stack.name, services))
    yield others
    if found := facts.own.get(others.name):
        yield Remark(
            f"{stack.name}: containers of services that its file has no more still run: {found}; "
            "provision --purge removes them",
            scope=stack.name,
        )


def orphans(name: str, services: Sequence[str]) -> Script:
    """Prints the services whose containers Docker has for the stack, and that are none of these."""
    return sh(
        "[ ! -x /usr/bin/docker ] || docker ps -a --filter label=com.docker.compose.project=@{name} "
        "--filter label=com.docker.compose.oneoff=False "
        "--format '{{.Label \"com.docker.compose.service\"}}' 2>/dev/null | sort -u | while read -r one; do\n"
        '  case " "@{services}" " in *" $one "*) ;; *) printf "%s " "$one" ;; esac\ndone | sed "s/ $//"',
        name=name,
        services=" ".join(services),
    )


def image(stack: stacks.Stack, reference: str, made: stacks.Made, facts: Facts) -> ContainerImage:
    """An image that comes from a file of this machine, or from Debian's packages."""
    if made.tar is None:
        assert made.debian is not None
        return ContainerImage(reference, packages=made.debian, suite=facts.codename or "", scope=stack.name)
    tar = path_from(stack.project, made.tar)
    found = image_of(tar)
    if facts.arch is not None and found.arch != facts.arch:
        raise InputError(f"{stack.name}: {tar} is an image for {found.arch}, and the host is {facts.arch}")
    return ContainerImage(reference, tar=tar, image=found.id, scope=stack.name)
