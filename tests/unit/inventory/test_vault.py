"""Ansible Vault: what ansible-vault itself has written is read, with the passwords that Ansible would take."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent

import pytest

from deploy.errors import InputError
from deploy.inventory.inventory import Inventory
from deploy.inventory.vault import Vault
from deploy.schema.marked import Mark
from deploy.shell import Secret
from tests.unit.inventory.conftest import Write

HERE = Mark("f", 1, 1, "")

VALUE = """\
$ANSIBLE_VAULT;1.1;AES256
36363366366234666637336661323632376366363735383462623337343435656538643834636164
3139363466343638383239616237323834663063373763350a653730643033636136646336313536
62313564633465356465663438393839356563306364626165653966663136633337393366363837
3462376662656438650a663333333564623934343666633861326261653334613165373432353135
6561
"""
"""s3cret-välue, with the password hunter2"""

LABELLED = """\
$ANSIBLE_VAULT;1.2;AES256;prod
62666135363836343836326562363135376333633262393964356336666163613562393264353061
6433643935666639613732636431653439313835313662330a383837356164323437333638383630
38623730303931383635303466366139623131323535623331646437653734653434353738663061
3862666566373363300a343738373561623739666631633835663739646435663236663230666361
3261
"""
"""from prod, with the password other and the vault id prod"""

FILE = """\
$ANSIBLE_VAULT;1.1;AES256
63613836353136336332626662663162343561613735646338386132303263616131303739613833
3132383163376634303734326163633061353864383034650a313933643630666438306530326230
36373431636637373539303438633566356264353031363065633965343138656237373531383338
3062616231353439370a643165393634353464373365323934653032396336323833626536303031
35376337633238373364316231373532313431343336613265356461313761313732356135643336
38386465633833343565303132653338303561626532393438646363366133376162323337336436
30333766636438353439313165336666363434346431623738626439386238303765613066643031
37353534623638336463303761626432303266393663623166393263666232383464363564303431
6632
"""
"""vault_db: s3cret-db, vault_port: 2222, nested: {a: [s3cret-deep, 5]}, copy: "{{ vault_db }}!"; with hunter2"""

APPS = """
apps:
  hello:
    source: site
    wsgi: h:a
    server_names: [a.example]
    secrets: {KEY: "{{ vault_key }}", URL: "db://u:{{ vault_key }}@db"}
"""
ENCRYPTED = "vault_key: !vault |\n" + indent(VALUE, "  ")


@pytest.fixture
def password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Write) -> Path:
    """The file of the right password, named as Ansible takes it."""
    file = tmp_path / "password"
    file.write_text("hunter2\n")
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(file))
    return file


def test_a_value_is_read_with_the_password_in_a_file(password: Path, tmp_path: Path):
    assert Vault(tmp_path).open(VALUE, HERE) == "s3cret-välue"
    assert Vault(tmp_path).open(VALUE.replace("\n", "\n    "), HERE) == "s3cret-välue"


def test_a_program_prints_the_password(tmp_path: Path, password: Path):
    password.write_text("#!/bin/sh\necho hunter2\n")
    password.chmod(0o700)
    assert Vault(tmp_path).open(VALUE, HERE) == "s3cret-välue"
    password.write_text("#!/bin/sh\necho no >&2\nexit 3\n")
    with pytest.raises(InputError, match="ended with 3"):
        Vault(tmp_path).open(VALUE, HERE)


def test_a_client_is_told_which_vault_id_it_is_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Write
):
    client = tmp_path / "keys-client"
    client.write_text('#!/bin/sh\n[ "$*" = "--vault-id prod" ] && echo other\n')
    client.chmod(0o700)
    monkeypatch.setenv("ANSIBLE_VAULT_IDENTITY_LIST", "prod@keys-client")
    assert Vault(tmp_path).open(LABELLED, HERE) == "from prod"


def test_of_several_passwords_the_one_of_the_vault_id_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, password: Path
):
    (tmp_path / "prod").write_text("other\n")
    monkeypatch.setenv("ANSIBLE_VAULT_IDENTITY_LIST", "dev@no-such-file,prod@prod")
    assert Vault(tmp_path).open(LABELLED, HERE) == "from prod", "another id's file was asked for"


def test_the_project_s_ansible_cfg_names_the_password(tmp_path: Path, write: Write):
    (tmp_path / ".pass").write_text("hunter2")
    (tmp_path / "ansible.cfg").write_text("[defaults]\nvault_password_file = .pass\ninventory = x%y\n")
    assert Vault(tmp_path).open(VALUE, HERE) == "s3cret-välue"


def test_without_a_name_a_person_is_asked_once(tmp_path: Path, write: Write):
    asked = []

    def ask(sentence: str) -> Secret:
        asked.append(sentence)
        return Secret("hunter2")

    vault = Vault(tmp_path, ask)
    assert vault.open(VALUE, HERE) == "s3cret-välue"
    assert vault.open(FILE, HERE).startswith("vault_db")
    assert len(asked) == 1


def test_a_password_that_was_mistyped_is_asked_for_again(tmp_path: Path, write: Write):
    answers = [Secret("hunter"), Secret("hunter2")]
    vault = Vault(tmp_path, lambda sentence: answers.pop(0))
    with pytest.raises(InputError):
        vault.open(VALUE, HERE)
    assert vault.open(VALUE, HERE) == "s3cret-välue"


@pytest.mark.parametrize(
    "envelope",
    [
        "$ANSIBLE_VAULT;1.1;AES256\n6166\n",
        "$ANSIBLE_VAULT;1.1;AES256\n",
        "$ANSIBLE_VAULT;1.1;AES256\nnot hex\n",
        "$ANSIBLE_VAULT;1.0;AES\n6166\n",
        "$ANSIBLE_VAULT\n",
        "plain text",
        "",
        VALUE.replace("663333333564", "663333333565"),
        VALUE[: VALUE.rindex("a663333")],
    ],
)
def test_what_is_broken_or_changed_is_never_read(password: Path, tmp_path: Path, envelope: str):
    with pytest.raises(InputError, match=r"^f:1:1: "):
        Vault(tmp_path).open(envelope, HERE)


@pytest.mark.parametrize("content", ["wrong", "", None])
def test_without_the_right_password_it_is_one_sentence(password: Path, tmp_path: Path, content: str | None):
    password.unlink()
    if content is not None:
        password.write_text(content)
    with pytest.raises(InputError) as caught:
        Vault(tmp_path).open(VALUE, HERE)
    assert "\n" not in str(caught.value)


# -- in an inventory -------------------------------------------------------------------------------------


def test_a_value_that_nobody_uses_needs_no_password(write: Write):
    inventory = write("all: {hosts: {a: {x: plain}}}", inventory__group_vars__all=ENCRYPTED + APPS)
    (host,) = inventory.select()
    assert host.vars["x"] == "plain"
    with pytest.raises(InputError, match="ANSIBLE_VAULT_PASSWORD_FILE"):
        host.app("hello").secrets["KEY"].reveal()
    with pytest.raises(InputError, match="ANSIBLE_VAULT_PASSWORD_FILE"):
        host.vars["vault_key"].reveal()


def test_a_site_s_secrets_come_out_of_the_vault(password: Path, write: Write):
    inventory = write("all: {hosts: {a: }}", inventory__group_vars__all=ENCRYPTED + APPS)
    secrets = inventory.host("a").app("hello").secrets
    assert secrets["KEY"].reveal() == "s3cret-välue"
    assert secrets["URL"].reveal() == "db://u:s3cret-välue@db"


def test_a_whole_file_is_read_and_stays_secret(password: Path, write: Write):
    inventory = write(
        "all: {hosts: {a: {ansible_port: '{{ vault_port }}', mine: 'x{{ vault_db }}', plain: y}}}",
        inventory__group_vars__all__vault=FILE,
        inventory__group_vars__all__main=APPS.replace("vault_key", "vault_db"),
    )
    host = inventory.host("a")
    assert host.port == 2222
    assert host.app("hello").secrets["KEY"].reveal() == "s3cret-db"
    assert "s3cret" not in repr(host.vars)
    assert (host.vars["plain"], host.vars["mine"].reveal(), host.vars["copy"].reveal()) == (
        "y",
        "xs3cret-db",
        "s3cret-db!",
    )
    assert [str(one) for one in host.vars["nested"]["a"]] == ["***", "***"]


def test_a_whole_file_without_its_password_names_the_file_and_what_to_do(write: Write):
    inventory = write("web: {hosts: {a: }}\ndb: {hosts: {b: }}", inventory__group_vars__web=FILE)
    assert inventory.host("b").name == "b"
    with pytest.raises(InputError, match=r"^inventory/group_vars/web.yml:1:1: .*ANSIBLE_VAULT_PASSWORD_FILE"):
        inventory.host("a")


def test_a_whole_file_may_be_asked_for(write: Write, tmp_path: Path):
    write("all: {hosts: {a: }}", inventory__group_vars__all=FILE)
    inventory = Inventory.load(ask=lambda sentence: Secret("hunter2"))
    assert inventory.host("a").vars["vault_db"].reveal() == "s3cret-db"


@pytest.mark.parametrize("key", ["env: {X: '{{ vault_key }}'}", "server_names: ['{{ vault_key }}']"])
def test_what_plans_show_is_never_out_of_the_vault(password: Path, write: Write, key: str):
    site = f"apps: {{hello: {{source: site, wsgi: 'h:a', server_names: [a.example], {key}}}}}\n"
    site = site.replace("server_names: [a.example], server_names", "server_names")
    inventory = write("all: {hosts: {a: }}", inventory__group_vars__all=ENCRYPTED + site)
    with pytest.raises(InputError, match="put it under secrets") as caught:
        inventory.host("a")
    assert "s3cret" not in str(caught.value)


def test_a_template_that_fails_does_not_say_what_was_encrypted(password: Path, write: Write):
    inventory = write(
        "all: {hosts: {a: {x: '{{ vault_key.no_such(vault_key) }}', y: '{{ [vault_key] + vault_key }}'}}}",
        inventory__group_vars__all=ENCRYPTED,
    )
    for name in ("x", "y"):
        with pytest.raises(InputError) as caught:
            inventory.host("a").vars[name]
        assert "s3cret" not in str(caught.value)
