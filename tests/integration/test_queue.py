"""Workers as they are used: Celery with its beat, RQ, huey and dramatiq on Redis lose no job through releases.

CI runs a few jobs; ``--jobs 1000 --releases 20`` is the whole trial, whose result stands in docs/processes.md.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from booting import Boot
from releasing import HEALTH, edit, hello, quick, ship
from sites import Project, sh, until

from deploy.staging import StagingHost

WORKERS = 4
"""How many jobs of a queue run at once, while no release is under way."""

QUEUES = ("celery", "rq", "huey", "dramatiq")

JOBS = """
import os, pathlib, time


def work(queue, number, seconds):
    note(queue, "begins", number)
    time.sleep(seconds)
    note(queue, "done", number)


def note(queue, what, number):
    line = f"{what} {number} {os.environ['BAREHOST_ACTIVATION']}\\n"
    file = os.open(f"/srv/hello/shared/{queue}.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(file, line.encode())
    os.close(file)
"""

BY = {
    "by_celery.py": """
from celery import Celery
from jobs import note, work

app = Celery(broker="redis://localhost:6379/0")
app.conf.beat_schedule = {"tick": {"task": "tick", "schedule": 1.0}}
app.conf.worker_prefetch_multiplier = 1


@app.task(name="job")
def job(number, seconds):
    work("celery", number, seconds)


@app.task(name="tick")
def tick():
    note("beat", "tick", 0)
""",
    "by_huey.py": """
from huey import RedisHuey
from jobs import work

huey = RedisHuey("hello", url="redis://localhost:6379/2")


@huey.task()
def job(number, seconds):
    work("huey", number, seconds)
""",
    "by_dramatiq.py": """
import dramatiq
from dramatiq.brokers.redis import RedisBroker
from jobs import work

dramatiq.set_broker(RedisBroker(url="redis://localhost:6379/3"))


@dramatiq.actor(max_retries=0)
def job(number, seconds):
    work("dramatiq", number, seconds)
""",
    "enqueue.py": """
import pathlib, random, sys, time
import by_celery, by_dramatiq, by_huey, jobs
from redis import Redis
from rq import Queue

least, longest, pause = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
chosen = random.Random(7)
rq = Queue(connection=Redis.from_url("redis://localhost:6379/1"))
number = 0
while number < least or not pathlib.Path("/srv/hello/shared/enough").exists():
    seconds = chosen.uniform(0.1, longest)
    by_celery.job.delay(number, seconds)
    by_huey.job(number, seconds)
    by_dramatiq.job.send(number, seconds)
    rq.enqueue(jobs.work, "rq", number, seconds)
    number += 1
    time.sleep(pause)
print(number)
""",
}

PROCESSES: dict[str, Any] = {
    "celery": {"command": "celery -A by_celery worker -c 4", "stop": {"timeout": 60}},
    "beat": {"command": "celery -A by_celery beat -s /srv/hello/shared/beat", "hosts": "first"},
    "rq": {
        "command": "rq worker --url redis://localhost:6379/1 default",
        "count": 4,
        "stop": {"timeout": 60},
    },
    "huey": {
        "command": "huey_consumer by_huey.huey -k process -w 4",
        "stop": {"signal": "INT", "timeout": 60},
    },
    "dramatiq": {"command": "dramatiq by_dramatiq -p 1 -t 4", "stop": {"timeout": 60}},
}

REDIS = """
yield Package("redis-server")
    yield Unit("redis-server.service")
"""

WATCH = """
most=0
while [ ! -e /root/over ]; do
  n=$(systemctl list-units --plain --no-legend --state=active,activating,deactivating 'hello-beat@*' | wc -l)
  [ "$n" -le "$most" ] || most=$n
done
echo "$most" > /root/most
"""


def test_no_job_is_lost_or_run_twice_through_releases_and_there_is_one_beat(
    bare: Boot, project: Project, pytestconfig: pytest.Config
) -> None:
    least, releases = pytestconfig.getoption("--jobs"), pytestconfig.getoption("--releases")
    host = bare("bookworm")
    project.role("queue", REDIS.strip())
    site = project.folder / "site"
    for name, text in {"jobs.py": JOBS, **BY}.items():
        (site / name).write_text(text)
    needs = (site / "requirements.txt").read_text()
    (site / "requirements.txt").write_text(f"{needs}\ncelery\nredis\npackaging\nrq\nhuey\ndramatiq[redis]\n")
    roles = ["base", "python", "nginx", "static", "queue", "app"]
    project.serve(host, hello(health=HEALTH, processes=PROCESSES), roles=roles)
    project.provision("-v")
    sh(host, f"cat > /root/watch <<'WATCH'\n{WATCH}\nWATCH\nnohup sh /root/watch >/dev/null 2>&1 &")
    longest = 5 if least > 100 else 2
    words = (str(least), str(longest), str(longest / 2 / WORKERS * 1.2))
    process = project.start("run", "--host", host.name, "--", "python", "enqueue.py", *words)
    with quick(host):
        for number in range(releases):
            edit(project, f"# release {number}")
            ship(project)
    sh(host, "touch /srv/hello/shared/enough")
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, out + err
    count = int(out)
    until(lambda: all(len(done(host, one)) >= count for one in QUEUES), seconds=900, what="jobs were lost")
    for queue in QUEUES:
        assert Counter(done(host, queue)) == Counter(range(count)), queue
        assert Counter(done(host, queue, "begins")) == Counter(range(count)), queue
    used = {
        line.split()[2]
        for one in QUEUES
        for line in sh(host, f"cat /srv/hello/shared/{one}.log").splitlines()
    }
    assert len(used) > releases, "no job ran in one of the releases"
    print(f"{count} jobs of each of {', '.join(QUEUES)} through {releases} releases")
    sh(host, "touch /root/over")
    assert until(lambda: sh(host, "cat /root/most 2>/dev/null; true").strip()) == "1", "two beats at once"
    assert sh(host, "grep -c tick /srv/hello/shared/beat.log").strip() != "0"
    project.settled()


def done(host: StagingHost, queue: str, what: str = "done") -> list[int]:
    """The jobs of a queue that have ended, or begun."""
    log = sh(host, f"cat /srv/hello/shared/{queue}.log 2>/dev/null; true")
    return [int(line.split()[1]) for line in log.splitlines() if line.startswith(what)]
