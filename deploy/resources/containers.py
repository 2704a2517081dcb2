"""Images and stacks of containers: what an engine holds and runs, compared with what a Compose file says. Pure.

An image is compared by its ID, a stack by what its containers run: image, Compose's hash of their configuration, and
whether they are up. A record on the host says what was last brought up and proven; what differs from it happened
behind our back. Measured: a look at a stack of three takes 60 to 90 ms of Docker's own command line.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar, Self

from deploy.errors import InputError, LookError
from deploy.resource import Change, Phase, Resource, State, Step, Upload
from deploy.shell import Command, Script, join, key, keyed, program, sh
from deploy.site.stacks import ROOT

RECORDS = "/var/lib/barehost/stacks"
"""On the host: one folder a stack, with what its images were built of and what was last brought up and proven."""

BUILD_SECONDS = 1800
"""How long it may take to make, load or build the images of a stack."""

BLOCK = 1 << 16


@dataclass(frozen=True)
class ContainerImage(Resource):
    """The engine has an image under the name ``reference``, such as ``shop:1``.

    tar: a file of ``docker save`` on this machine, with ``image``, the ID that it has; or packages: it is made on the
    host of its own Debian (``suite``) with these, trusting whom the host trusts.
    """

    phase: ClassVar[Phase] = Phase.BUILD
    family: ClassVar[str] = "container image"

    reference: str
    tar: Path | None = None
    image: str = ""
    packages: tuple[str, ...] = ()
    suite: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/:@-]*", self.reference):
            raise InputError(f"not the name of an image: {self.reference!r}")

    @property
    def id(self) -> str:
        return f"image:{self.reference}"

    @property
    def made_of(self) -> str:
        """What an image of packages says of itself, as a label."""
        return hashlib.sha256("\0".join((self.suite, *sorted(self.packages))).encode()).hexdigest()[:16]

    def expected(self) -> State | None:
        return {"image": self.image} if self.tar else {"made of": self.made_of}

    @classmethod
    def probe(cls, resources: Sequence[Self]) -> Script:
        asked = (sh("image @{reference}", reference=one.reference) for one in resources)
        return join([Script(program("image-look")), *asked])

    @classmethod
    def parse(cls, resources: Sequence[Self], output: bytes) -> dict[str, State | None]:
        answers = output.decode(errors="replace").splitlines()
        if len(answers) != len(resources):
            raise LookError("the container engine did not tell which images it has; look again")
        states: dict[str, State | None] = {}
        for one, answer in zip(resources, answers, strict=True):
            image, _, made_of = answer.partition(" ")
            states[one.id] = {"image": image, "made of": made_of} if image else None
        return states

    @classmethod
    def steps(cls, changes: Sequence[Change[Self]]) -> Iterator[Step]:
        for change in changes:
            one = change.resource
            if one.tar is None:
                yield Command(
                    f"make the image {one.reference}",
                    sh(
                        program("image-make"),
                        reference=one.reference,
                        suite=one.suite,
                        packages=",".join(sorted({*one.packages, "ca-certificates"})),
                        made_of=one.made_of,
                    ),
                    BUILD_SECONDS,
                )
                continue
            upload = f"image-{hashlib.sha256(one.reference.encode()).hexdigest()[:16]}"
            yield Upload(upload, partial(_blocks, one.tar), 1, one.tar.stat().st_size)
            yield Command(
                f"load the image {one.reference}",
                sh(program("image-load"), upload=upload, reference=one.reference, image=one.image),
                BUILD_SECONDS,
            )


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


@dataclass(frozen=True)
class StackBuilt(Resource):
    """The stack's ``.env`` lies in its folder, Compose accepts its file, and the images it builds are built of it.

    files: digest of the folder as it should lie there, and of the images that do not come of it. env: the content of
    its env file, compared by a keyed digest and never shown. builds: whether the Compose file builds images.
    """

    phase: ClassVar[Phase] = Phase.BUILD
    family: ClassVar[str] = "stack images"

    name: str
    file: str
    files: str
    env_file: str
    env: bytes = field(repr=False)
    builds: bool = False

    def __post_init__(self) -> None:
        root(self.name)  # refuses what is no name

    @property
    def id(self) -> str:
        return f"stack images:{self.name}"

    def expected(self) -> State | None:
        return {"files": self.files, "environment": keyed(self.env)}

    @classmethod
    def probe(cls, resources: Sequence[Self]) -> Script:
        asked = (
            sh(
                "built @{record} @{env_file}",
                record=f"{RECORDS}/{one.name}/built",
                env_file=f"{folder(one.name)}/{one.env_file}",
            )
            for one in resources
        )
        return join([sh(program("stack-built"), key=key()), *asked])

    @classmethod
    def parse(cls, resources: Sequence[Self], output: bytes) -> dict[str, State | None]:
        answers = output.decode(errors="replace").splitlines()
        if len(answers) != len(resources):
            raise LookError("the host did not tell of what its stacks are built; look again")
        states: dict[str, State | None] = {}
        for one, answer in zip(resources, answers, strict=True):
            files, _, env = answer.partition(" ")
            states[one.id] = {"files": files, "environment": env} if files or env else None
        return states

    @classmethod
    def steps(cls, changes: Sequence[Change[Self]]) -> Iterator[Step]:
        for change in changes:
            one = change.resource
            upload = f"stack-{one.name}"
            yield Upload(upload, partial(_content, one.env), 1, len(one.env))
            yield Command(
                f"{'build the images of' if one.builds else 'check'} the stack {one.name}",
                sh(
                    program("stack") + program("stack-build"),
                    name=one.name,
                    folder=folder(one.name),
                    file=one.file,
                    record=f"{RECORDS}/{one.name}",
                    env_file=one.env_file,
                    upload=upload,
                    builds="yes" if one.builds else "",
                    files=one.files,
                ),
                BUILD_SECONDS,
            )


@dataclass(frozen=True)
class Stack(Resource):
    """The containers of a Compose file are up and healthy, of these files, with this environment.

    services: those that the file has. timeout: seconds for all of them to be. purge: containers of services that it has
    no more are removed too.
    """

    phase: ClassVar[Phase] = Phase.UNITS
    family: ClassVar[str] = "stack"

    name: str
    file: str
    files: str
    env_file: str
    env: bytes = field(repr=False)
    services: tuple[str, ...] = ()
    timeout: int = 120
    purge: bool = False

    def __post_init__(self) -> None:
        root(self.name)  # refuses what is no name

    @property
    def id(self) -> str:
        return f"stack:{self.name}"

    def expected(self) -> State | None:
        return {"files": self.files, "environment": keyed(self.env), "drift": ""} | (
            {"orphans": ""} if self.purge else {}
        )

    def advises(self) -> str | None:
        return (
            f"Compose has replaced containers of {self.name} before it knew whether the new ones work: mend the cause "
            "and run again, or bring the files before back and run again."
        )

    @classmethod
    def probe(cls, resources: Sequence[Self]) -> Script:
        asked = (
            sh("stack @{name} @{record}", name=one.name, record=f"{RECORDS}/{one.name}") for one in resources
        )
        return join([sh(program("stack-look"), key=key()), *asked])

    @classmethod
    def parse(cls, resources: Sequence[Self], output: bytes) -> dict[str, State | None]:
        answers = output.decode(errors="replace").split("\0")[:-1]
        if len(answers) != len(resources):
            raise LookError("the container engine did not tell what its stacks run; look again")
        return {one.id: _state(answer, one.services) for one, answer in zip(resources, answers, strict=True)}

    @classmethod
    def steps(cls, changes: Sequence[Change[Self]]) -> Iterator[Step]:
        for change in changes:
            one = change.resource
            yield Command(
                f"bring the stack {one.name} up",
                sh(
                    program("stack") + program("stack-up"),
                    name=one.name,
                    folder=folder(one.name),
                    file=one.file,
                    record=f"{RECORDS}/{one.name}",
                    env_file=one.env_file,
                    files=one.files,
                    services=" ".join(one.services),
                    timeout=one.timeout,
                    orphans=["--remove-orphans"] if one.purge else [],
                ),
                one.timeout + BUILD_SECONDS,
            )


@dataclass(frozen=True)
class StackLeft(Resource):
    """The stack is not wanted here: containers, networks and files go; with ``purge`` its volumes and images too."""

    phase: ClassVar[Phase] = Phase.LEAVE
    family: ClassVar[str] = "stack left"

    name: str
    purge: bool = False

    def __post_init__(self) -> None:
        root(self.name)  # refuses what is no name

    @property
    def id(self) -> str:
        return f"stack left:{self.name}"

    def expected(self) -> State | None:
        return None

    @classmethod
    def probe(cls, resources: Sequence[Self]) -> Script:
        asked = (
            sh(
                "left @{name} @{folder} @{record} @{purge}",
                name=one.name,
                folder=root(one.name),
                record=f"{RECORDS}/{one.name}",
                purge="purge" if one.purge else "keep",
            )
            for one in resources
        )
        return join([Script(program("stack-left")), *asked])

    @classmethod
    def parse(cls, resources: Sequence[Self], output: bytes) -> dict[str, State | None]:
        answers = output.decode(errors="replace").splitlines()
        if len(answers) != len(resources):
            raise LookError("the host did not tell what is left of its stacks; look again")
        return {
            one.id: {"left": answer} if answer else None
            for one, answer in zip(resources, answers, strict=True)
        }

    @classmethod
    def steps(cls, changes: Sequence[Change[Self]]) -> Iterator[Step]:
        for change in changes:
            one = change.resource
            yield Command(
                f"remove the stack {one.name}",
                sh(
                    program("stack-leave"),
                    name=one.name,
                    folder=root(one.name),
                    record=f"{RECORDS}/{one.name}",
                    purge="yes" if one.purge else "",
                ),
                BUILD_SECONDS,
            )


def root(name: str) -> str:
    """The folder of a stack."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise InputError(f"not the name of a stack: {name!r}")
    return f"{ROOT}/{name}"


def folder(name: str) -> str:
    """Where the files of a stack lie: where its Compose commands run."""
    return f"{root(name)}/files"


def _content(content: bytes) -> Iterator[bytes]:
    yield content


def _state(answer: str, services: Sequence[str]) -> State | None:
    """What a look says of one stack: lines ``was …`` of the record, ``is …`` of what runs, ``now …`` of image names."""
    told: dict[str, str] = {}
    was: dict[str, Container] = {}
    runs: dict[str, Container] = {}
    names: dict[str, str] = {}
    for line in answer.splitlines():
        word, _, rest = line.partition(" ")
        if word in ("was", "is"):
            one = Container.read(rest)
            (was if word == "was" else runs)[one.name] = one
        elif word == "now":
            image, _, reference = rest.partition(" ")
            names[reference] = image
        else:
            told[word] = rest
    if not was and not runs and not told.get("files"):
        return None
    engine = told.get("engine")
    orphans = [name for name in runs if runs[name].service not in services]
    drift = ["the container engine does not run"] if engine == "stopped" else list(_drift(was, runs, names))
    return {
        "files": told.get("files", ""),
        "environment": told.get("env", ""),
        "drift": "; ".join(drift),
        "orphans": ", ".join(sorted(orphans)),
    }


@dataclass(frozen=True)
class Container:
    """One container of a stack, as a look or the record tells of it.

    image: the ID of what it runs; reference: the name that the Compose file gives it. configuration: Compose's hash.
    status: as the engine says, such as ``running``; health: ``-`` where it is not asked for.
    """

    name: str
    service: str
    image: str
    configuration: str
    status: str
    exit: str
    health: str
    reference: str

    @classmethod
    def read(cls, line: str) -> Self:
        """One line; LookError for one that is cut off."""
        words = line.split(" ")
        if len(words) != 8:
            raise LookError("the container engine did not tell all of what its stacks run; look again")
        return cls(words[0].removeprefix("/"), *words[1:])


def _drift(was: dict[str, Container], runs: dict[str, Container], names: dict[str, str]) -> Iterator[str]:
    """What is otherwise than it was when the stack was last proven, a clause a container."""
    for name, before in sorted(was.items()):
        now = runs.get(name)
        if now is None:
            yield f"{name} is gone"
        elif now.status != before.status and not (before.status == "exited" and now.status == "running"):
            yield f"{name} is {now.status}"
        elif now.health == "unhealthy":
            yield f"{name} is unhealthy"
        elif now.image != before.image:
            yield f"{name} runs another image"
        elif now.configuration != before.configuration:
            yield f"{name} has another configuration"
        elif "@" not in before.reference and names.get(tagged(before.reference), "") != before.image:
            yield f"{before.reference} names another image than {name} runs"


def tagged(reference: str) -> str:
    """An image's name as the engine lists it."""
    short = reference.removeprefix("docker.io/").removeprefix("library/")
    return short if ":" in short.rpartition("/")[2] else f"{short}:latest"
