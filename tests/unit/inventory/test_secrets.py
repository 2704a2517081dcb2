"""Secrets: read when they are needed, exactly as they are written, and never out of what is no file."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from deploy.errors import InputError
from deploy.inventory.secrets import secret, within
from deploy.schema.marked import Map, Mark
from deploy.shell import Secret, secrets_travel
from tests.unit.inventory.conftest import Write

SITE = """
    all:
      hosts:
        a:
          apps: {{hello: {{source: site, wsgi: 'h:a', server_names: [a.example], secrets: {{KEY: {secret}}}}}}}
"""


@pytest.mark.parametrize("number", ["0012", "12:30", "0x10", "0b11", "1_000", "+5"])
@pytest.mark.parametrize("place", ["site", "sudo", "template"])
def test_a_number_that_yaml_would_write_otherwise_is_refused(write: Write, number: str, place: str):
    if place == "sudo":
        inventory = write(f"all: {{hosts: {{a: {{ansible_become_password: {number}}}}}}}")
    elif place == "site":
        inventory = write(SITE.format(secret=number))
    else:
        inventory = write(SITE.format(secret="'{{ pin }}'"), inventory__group_vars__all=f"pin: {number}")
    with pytest.raises(InputError) as caught:
        inventory.host("a").app("hello").secrets["KEY"].reveal()
    assert number not in str(caught.value)
    assert "quote it" in str(caught.value)


@pytest.mark.parametrize(("secret", "text"), [("12", "12"), ("'0012'", "0012"), ("-5", "-5"), ("x", "x")])
def test_what_is_written_is_what_arrives(write: Write, secret: str, text: str):
    assert write(SITE.format(secret=secret)).host("a").app("hello").secrets["KEY"].reveal() == text


@pytest.mark.parametrize(
    "secret",
    [
        "{env: NO_SUCH}",
        "{file: no/such}",
        "'{{ nobody }}'",
        "\"{{ lookup('env', 'NO_SUCH') }}\"",
        "{file: /dev/zero}",
    ],
)
def test_a_secret_that_cannot_be_had_stops_only_who_needs_it(write: Write, secret: str):
    host = write(SITE.format(secret=secret)).select()[0]
    kept = host.app("hello").secrets["KEY"]
    assert kept.known() is None
    assert str(kept) == "***"
    with pytest.raises(InputError, match=r"^inventory/hosts.yml:5:\d+: all.hosts.a.apps.hello.secrets.KEY: "):
        kept.reveal()


def test_a_sudo_password_that_cannot_be_had_stops_only_who_is_asked_for_it(write: Write):
    host = write("all: {hosts: {a: {ansible_become_password: {env: NO_SUCH}}}}").host("a")
    assert host.sudo_password is not None
    with pytest.raises(InputError, match="NO_SUCH is not set"):
        host.sudo_password.reveal()


def test_a_secret_is_read_when_it_is_needed(write: Write, tmp_path: Path):
    kept = write(SITE.format(secret="{file: key}")).host("a").app("hello").secrets["KEY"]
    (tmp_path / "key").write_text("later\n")
    assert kept.reveal() == "later"


def test_secrets_are_found_beside_a_variable_that_cannot_be_resolved(write: Write):
    inventory = write("all: {hosts: {a: {x: '{{ nobody }}', y: !vault 'x', z: [{u: !vault 'x'}]}}}")
    assert len(list(within(inventory.host("a").vars))) == 2


def test_a_pipe_as_a_secret_is_not_waited_for(write: Write, tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    kept = write(SITE.format(secret="{file: pipe}")).host("a").app("hello").secrets["KEY"]
    with pytest.raises(InputError, match="is a pipe"):
        kept.reveal()


def test_one_that_cannot_be_had_says_so_in_another_process_too():
    def read(ask: bool) -> str:
        raise InputError("f:1:1: the variable X is not set")

    with secrets_travel():
        there = pickle.loads(pickle.dumps(Secret.later(read, "X")))
    with pytest.raises(InputError, match="the variable X is not set"):
        there.reveal()
    with secrets_travel():
        assert pickle.loads(pickle.dumps(Secret.later(lambda ask: "x", "X"))).reveal() == "x"


def test_two_that_cannot_be_had_are_equal_when_they_come_from_one_place():
    def read(ask: bool) -> str:
        raise InputError("no")

    assert Secret.later(read, "a") == Secret.later(read, "a")
    assert Secret.later(read, "a") != Secret.later(read, "b")
    assert Secret.later(lambda ask: "x", "a") == Secret("x")


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{ lookup('env', 'NO_SUCH', default='y') }}", "y"),
        ("{{ lookup('ansible.builtin.env', 'NO_SUCH', default='') }}", ""),
        ("{{ lookup('env', 'NO_SUCH') | default('z', true) }}", "z"),
    ],
)
def test_a_lookup_of_a_variable_has_ansible_s_default(write: Write, template: str, value: str):
    assert write(f'all: {{hosts: {{a: {{x: "{template}"}}}}}}').host("a").vars["x"] == value


@pytest.mark.parametrize(
    "template",
    [
        "lookup('env', 'A', wantlist=True)",
        "lookup('file', 'x', default='y')",
        "lookup('env')",
        "lookup()",
        "lookup('env', 5)",
        "lookup('env', 'A', 'B')",
        "lookup('pipe', 'date')",
        "lookup('file', '/dev/zero')",
    ],
)
def test_a_lookup_that_is_not_understood_says_nothing_of_python(write: Write, template: str):
    variables = write(f'all: {{hosts: {{a: {{x: "{{{{ {template} }}}}"}}}}}}').host("a").vars
    with pytest.raises(InputError) as caught:
        variables["x"]
    assert "Scope" not in str(caught.value)
    assert "argument" not in str(caught.value)


@pytest.mark.parametrize(
    ("command", "given"),
    [
        ("printf 's3cret\\n'", "s3cret"),
        ("sh -c 'echo hush >&2; echo s3cret; exit 3'", "exit code 3: hush"),
        ("no-such-program-here -d x", "No such file"),
        ("echo 'open", "gave no secret"),
    ],
)
def test_a_secret_that_a_program_prints(tmp_path: Path, command: str, given: str) -> None:
    mark = Mark("hosts.yml", 3, 5, "apps.hello.secrets.KEY")
    one = secret(Map(mark, {"command": command}), mark, tmp_path)
    assert one.known() is None, "a program may ask a person, so it is not run for what is only to be hidden"
    if given == "s3cret":
        assert one.reveal() == given
        return
    with pytest.raises(InputError, match=given) as caught:
        one.reveal()
    assert str(caught.value).startswith("hosts.yml:3:5")
    assert "s3cret" not in str(caught.value).replace(repr(command), "")


def test_an_env_file_gives_secrets_that_env_and_secrets_go_before(write: Write, tmp_path: Path):
    inventory = write(
        SITE.format(secret="mine").replace("source: site", "env_file: .env, env: {OPEN: '1'}, source: site")
    )
    (tmp_path / ".env").write_text("KEY=theirs\nOPEN=theirs\nMORE='so so'\n")
    site = inventory.host("a").app("hello")
    assert {name: one.reveal() for name, one in site.secrets.items()} == {"KEY": "mine", "MORE": "so so"}
    assert site.env == {"OPEN": "1"}
    assert "so so" not in repr(site)


@pytest.mark.parametrize("text", [None, "A=1\nnot one\n"])
def test_an_env_file_that_cannot_be_read_is_said_when_it_is_needed(
    write: Write, tmp_path: Path, text: str | None
):
    inventory = write(SITE.format(secret="mine").replace("source: site", "env_file: .env, source: site"))
    if text is not None:
        (tmp_path / ".env").write_text(text)
    site = inventory.host("a").app("hello")
    with pytest.raises(InputError, match=r"env_file: .*\.env cannot be read: "):
        [one.reveal() for one in site.secrets.values()]
