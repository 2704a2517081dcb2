"""Names of sites, of their users, and of servers."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.site.names import NAME, TAKEN, check_name


@pytest.mark.parametrize("name", ["hello", "a", "shop-2", "a" * 31])
def test_a_plain_name_is_accepted(name: str):
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "Hello", "2a", "a_b", "a" * 32, "-a", "a.b", "a\n", None, 7])
def test_a_name_is_short_lower_case_and_starts_with_a_letter(name: Any):
    with pytest.raises(ValueError, match="expected a name of 1 to 31 lower-case letters"):
        check_name(name)


@pytest.mark.parametrize("name", [*sorted(TAKEN), "systemd-x", "barehost", "a-"])
def test_a_name_that_a_debian_has_is_refused(name: str):
    with pytest.raises(ValueError, match="choose another"):
        check_name(name)


def test_the_users_and_groups_of_a_fresh_debian_are_taken():
    base = (
        "root",
        "daemon",
        "www-data",
        "nobody",
        "sshd",
        "shadow",
        "sudo",
        "adm",
        "backup",
        "mail",
        "users",
        "staff",
    )
    assert TAKEN.issuperset(base)


def test_the_longest_name_still_fits_a_socket_path():
    longest = "a" * 31
    assert NAME.fullmatch(longest)
    for path in (f"/srv/{longest}/current/app.sock", f"/run/{longest}/999999999/app.sock"):
        assert len(path) < 108
