"""What getent says about users and groups, and what is done about it."""

from __future__ import annotations

import pytest

from deploy.errors import InputError, LookError
from deploy.resource import Change, Resource, State
from deploy.resources.account import Group, User
from tests.unit.fakes import local

SHOP = "shop:x:999:998::/srv/shop:/usr/sbin/nologin\n"
GROUPS = "shop:x:998:\nwww-data:x:33:shop,other\nadm:x:4:other\n"


def parse(resource: Resource, passwd: str = "", group: str = "") -> State | None:
    users = f"look passwd\n{passwd}end\n" if isinstance(resource, User) else ""
    return type(resource).parse([resource], f"{users}look group\n{group}end\n".encode())[resource.id]


@pytest.mark.parametrize(
    ("user", "passwd", "group", "keys"),
    [
        (User("shop", home="/srv/shop"), SHOP, GROUPS, ()),
        (User("shop", home="/srv/shop", groups=("www-data",)), SHOP, GROUPS, ()),
        (User("shop", home="/srv/shop", groups=("www-data", "adm")), SHOP, GROUPS, ("groups",)),
        (User("shop", home="/srv/other"), SHOP, GROUPS, ("home",)),
        (User("shop", home="/srv/shop", shell="/bin/sh"), SHOP, GROUPS, ("shell",)),
        (User("shop", home="/srv/shop", group="adm"), SHOP, GROUPS, ("group",)),
        (User("shop", home="/srv/shop", groups=("shop",)), SHOP, GROUPS, ()),
        (User("nobody"), SHOP, GROUPS, ("group", "groups", "home", "shell")),
    ],
)
def test_what_differs_of_a_user(user: User, passwd: str, group: str, keys: tuple[str, ...]) -> None:
    assert Change(user, parse(user, passwd, group), user.expected()).keys == keys


def test_memberships_that_nobody_declared_are_left_alone() -> None:
    state = parse(User("shop", groups=("adm",)), SHOP, GROUPS)
    assert state is not None
    assert state["groups"] == ""


def test_an_unwanted_user_that_is_there_is_a_removal() -> None:
    user = User("shop", state="absent")
    change = Change(user, parse(user, SHOP, GROUPS), user.expected())
    assert change.action == "remove"
    assert [step.label for step in User.steps([change])] == ["remove user shop"]  # type: ignore[union-attr]


@pytest.mark.parametrize(("group", "state"), [("web:x:33:\n", {"present": True, "gid": 33}), ("", None)])
def test_a_group_is_read(group: str, state: State | None) -> None:
    assert parse(Group("web"), group=group) == state


@pytest.mark.parametrize("output", [b"", b"look group\nweb:x:33:\n"])
def test_output_that_ends_early_is_an_error_and_not_absent(output: bytes) -> None:
    with pytest.raises(LookError, match="getent ended before"):
        Group.parse([Group("web")], output)


def test_this_machine_has_root_and_not_what_nobody_made() -> None:
    root, nobody = User("root", home="/root", shell="/bin/sh"), User("barehost-none")
    states = local.look(root, nobody)
    assert states[nobody.id] is None
    assert (states[root.id] or {}).items() >= {"uid": 0, "group": "root", "home": "/root"}.items()
    assert local.look(Group("root"), Group("barehost-none")) == {
        "group:root": {"present": True, "gid": 0},
        "group:barehost-none": None,
    }


@pytest.mark.parametrize("own", [User("shop"), User("shop", group="shop")])
def test_an_own_group_is_made_first_and_a_given_one_is_not(own: User) -> None:
    given = User("shop", group="www-data")
    (script,) = [step.script for step in User.steps([Change(own, None, own.expected())])]  # type: ignore[union-attr]
    assert script.index("groupadd --system -- shop") < script.index("useradd --system --gid shop")
    (script,) = [step.script for step in User.steps([Change(given, None, given.expected())])]  # type: ignore[union-attr]
    assert "groupadd" not in script


@pytest.mark.parametrize("name", ["", "-x", "a:b", "a b", "a\n", "1000", "x" * 33, "$(id)"])
def test_a_name_that_is_none_is_an_error(name: str) -> None:
    for make in (User, Group):
        with pytest.raises(InputError, match="name"):
            make(name)


@pytest.mark.parametrize("home", ["relative", "/a:b", "/a\nb"])
def test_a_home_that_passwd_cannot_hold_is_an_error(home: str) -> None:
    with pytest.raises(InputError, match="home of user shop"):
        User("shop", home=home)


def test_the_account_of_a_person_is_never_taken_over() -> None:
    person = {"uid": 1000, "group": "alice", "home": "/home/alice", "shell": "/bin/bash", "groups": ""}
    wanted = User("alice", home="/srv/alice/shared")
    change = Change(wanted, person, wanted.expected())
    with pytest.raises(InputError, match=r"alice \(uid 1000, home /home/alice\) is a person's"):
        list(User.steps([change]))
