"""/var/lib/barehost on a host cannot be written, or is gone: what is said then is true, and a run heals what it can."""

from __future__ import annotations

from collections.abc import Callable

from booting import Clone
from sites import Project, ask, sh

from deploy.staging import Image

READ_ONLY = "mount --bind /var/lib/barehost /var/lib/barehost && mount -o remount,ro,bind /var/lib/barehost"


def test_where_nothing_can_be_stored_the_sentence_holds_the_reason_and_no_output(
    served: Callable[[str], Image], clone: Clone, project: Project
) -> None:
    host = clone(served("trixie"))
    project.serve(host)
    sh(host, f"{READ_ONLY}; echo '# edited' >> /etc/nginx/nginx.conf")
    done = project.run("provision", "--json")
    message = done.report()["failure"]["message"]
    assert done.code == 4, done.said
    assert "(Read-only file system), nothing was changed" in message
    assert "\n" not in message
    assert len(message) < 400, message


def test_a_host_that_lost_its_records_still_says_what_serves_and_is_released_to(
    served: Callable[[str], Image], clone: Clone, project: Project
) -> None:
    host = clone(served("bookworm"))
    project.serve(host)
    before = ask(host).release
    sh(host, "rm -rf /var/lib/barehost")
    rows = [one for one in project.run("status", "--json").events if one["event"] == "row"]
    assert [(one["release"], one["state"]) for one in rows] == [(before, "running")]
    refused = project.run("restart")
    assert refused.code == 7, refused.said
    assert "lost its record" in refused.said
    assert ask(host).release == before
    released = project.run("release")
    assert released.code == 0, released.said
    assert ask(host).release not in (None, before)
    # a release reads no configuration of Nginx, so with which it was proven is for a provision to record again
    [planned] = [one for one in project.run("plan", "--json").events if one["event"] == "planned"]
    assert [one["id"] for one in planned["changes"]] == ["proof:hello"]
    project.provision()
    project.settled()

    sh(host, "rm -rf /var/lib/barehost")
    project.provision()
    project.settled()
    assert ask(host).status == 200
