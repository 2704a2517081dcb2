"""Backups of one site, on its host: made, verified, kept elsewhere, tried by a drill, restored. Python's own library.

backup.py run|drill|list|state|forget CONFIG        backup.py restore CONFIG ID
backup.py pack FOLDER; check; unpack FOLDER          as the site's account: tar on stdout or stdin

CONFIG is a JSON file that only root reads: site, user, shared, keep, folder, to, environment, hours (until the newest
is too old), database (name, extensions, encoding, locale) or null. What is read from a site's folder or database, or
could do something when it is read, is read as the site's account, never as root: a dump may hold any SQL.
"""

import contextlib
import ctypes
import datetime
import errno
import fcntl
import glob
import gzip
import hashlib
import json
import os
import pwd
import re
import select
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.parse

SILENT = 600
"""Seconds without a byte after which a dump or a restore is given up; how long it takes in all is its own business."""
BLOCK = 1 << 20
STATE = "/var/lib/barehost/backups"
SQLITE = b"SQLite format 3\x00"


class Failed(Exception):
    """Why a backup, a drill or a restore failed, as a sentence."""


def say(text):
    with contextlib.suppress(OSError):  # who asked for it may have gone; the work goes on
        print(text, flush=True)


# -- as the site's account ------------------------------------------------------------------------------


class Exactly:
    """A file of ``size`` bytes, whatever happens to it while it is read: what is missing in the end is zeros."""

    def __init__(self, file, size):
        self.file, self.left = file, size

    def read(self, wanted=-1):
        wanted = self.left if wanted < 0 else min(wanted, self.left)
        data = self.file.read(wanted)
        data += bytes(wanted - len(data))
        self.left -= wanted
        return data


def pack(folder):
    """The folder as a compressed tar on stdout; SQLite databases as they are between two transactions."""
    out = gzip.GzipFile(fileobj=sys.stdout.buffer, mode="wb", compresslevel=1, mtime=0)
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for path, below, names in os.walk(folder):
            below[:] = sorted(name for name in below if name != ".cache")
            links = [name for name in below if os.path.islink(os.path.join(path, name))]
            if path != folder:
                tar.addfile(about(tar, path, folder))
            databases = [name for name in names if is_sqlite(os.path.join(path, name))]
            beside = {name + end for name in databases for end in ("-wal", "-shm", "-journal")}
            for name in sorted([*links, *names]):
                whole = os.path.join(path, name)
                try:
                    if name in databases:
                        add_sqlite(tar, whole, folder)
                    elif name not in beside:
                        add(tar, whole, folder)
                except FileNotFoundError:
                    continue  # it went while we came
    out.close()
    sys.stdout.buffer.flush()


def about(tar, path, folder):
    found = tar.gettarinfo(path, arcname=os.path.relpath(path, folder))
    found.uname = found.gname = ""
    return found


def add(tar, path, folder):
    kind = os.lstat(path).st_mode
    if stat.S_ISREG(kind):
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            found = tar.gettarinfo(fileobj=file, arcname=os.path.relpath(path, folder))
            found.uname = found.gname = ""
            if found.isreg():
                tar.addfile(found, Exactly(file, found.size))
            else:  # a second name of a file that is in the archive: as a file of its own
                found.type, found.size, found.linkname = tarfile.REGTYPE, os.fstat(file.fileno()).st_size, ""
                tar.addfile(found, Exactly(file, found.size))
    elif stat.S_ISLNK(kind):
        tar.addfile(about(tar, path, folder))


def is_sqlite(path):
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            return file.read(len(SQLITE)) == SQLITE
    except OSError:
        return False


def add_sqlite(tar, path, folder):
    with tempfile.TemporaryDirectory(dir="/var/tmp") as private:
        copy = os.path.join(private, "copy")
        source = sqlite3.connect(f"file:{urllib.parse.quote(path)}?mode=rw", uri=True, timeout=60)
        target = sqlite3.connect(copy)
        (journal,) = source.execute("PRAGMA journal_mode").fetchone()
        source.backup(target, pages=-1 if journal == "wal" else 8192)
        source.close()
        quick = target.execute("PRAGMA quick_check").fetchone()[0]
        target.close()
        if quick != "ok":
            sys.exit(f"{path} is damaged: {quick}")
        found = about(tar, path, folder)
        with open(copy, "rb") as file:
            found.type, found.linkname = tarfile.REGTYPE, ""
            found.size = os.fstat(file.fileno()).st_size
            tar.addfile(found, Exactly(file, found.size))


def check():
    """Read a whole archive from stdin: its files are counted, each SQLite database is checked. JSON on stdout."""
    files, databases = 0, []
    whole = gzip.GzipFile(fileobj=sys.stdin.buffer)
    with tarfile.open(fileobj=whole, mode="r|") as tar:
        for member in tar:
            files += 1
            if not member.isreg():
                continue
            file = tar.extractfile(member)
            head = file.read(len(SQLITE))
            if head == SQLITE:
                check_sqlite(member.name, head, file)
                databases.append(member.name)
            while file.read(BLOCK):
                pass
    while whole.read(BLOCK):  # to the checksum, which is at the end of the stream
        pass
    print(json.dumps({"files": files, "sqlite": databases}))


def check_sqlite(name, head, file):
    with tempfile.TemporaryDirectory(dir="/var/tmp") as private:
        copy = os.path.join(private, "copy")
        with open(copy, "wb") as out:
            out.write(head)
            shutil.copyfileobj(file, out, BLOCK)
        database = sqlite3.connect(copy)
        quick = database.execute("PRAGMA quick_check").fetchone()[0]
        database.close()
        if quick != "ok":
            sys.exit(f"{name} is damaged: {quick}")


def unpack(folder):
    """What a site's folder held, into an empty one; a name that would lead out of it is refused."""
    os.chdir(folder)
    with tarfile.open(fileobj=gzip.GzipFile(fileobj=sys.stdin.buffer), mode="r|") as tar:
        for member in tar:
            parts = member.name.split("/")
            if (
                member.name.startswith("/")
                or ".." in parts
                or not (member.isreg() or member.isdir() or member.issym())
            ):
                sys.exit(f"the archive holds {member.name!r}, which no backup of ours has")
            if os.path.realpath(os.path.dirname(member.name) or ".") != os.path.normpath(
                os.path.join(os.getcwd(), os.path.dirname(member.name))
            ):
                sys.exit(f"the archive leads out of the folder at {member.name!r}")
            member.uid, member.gid = os.getuid(), os.getgid()
            tar.extract(member, set_attrs=True, numeric_owner=True)


# -- one site's backups ---------------------------------------------------------------------------------


class Site:
    def __init__(self, file):
        self.file = file
        with open(file, encoding="utf-8") as handle:
            self.__dict__.update(json.load(handle))
        self.own = os.path.join(STATE, self.site)
        os.makedirs(self.own, mode=0o700, exist_ok=True)
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        self.lock = os.open(os.path.join(self.own, "lock"), os.O_RDWR | os.O_CREAT, 0o600)

    def alone(self):
        """Wait until no other backup, drill or restore of the site runs."""
        fcntl.flock(self.lock, fcntl.LOCK_EX)

    # how programs are run

    def as_site(self, *argv):
        return self.account(self.user, *argv)

    def account(self, user, *argv, **environment):
        words = [
            "setpriv",
            "--reuid",
            user,
            "--regid",
            user,
            "--init-groups",
            "--reset-env",
            "--",
            "env",
            "LC_ALL=C",
        ]
        words += ["PATH=/usr/local/bin:/usr/bin:/bin", "PGCONNECT_TIMEOUT=30"]
        return [*words, *("{}={}".format(*pair) for pair in environment.items()), *argv]

    def server(self, user, *argv):
        """A program of PostgreSQL; the database's name goes by the environment, where it is a name and nothing else."""
        return self.account(
            user, *argv, PGDATABASE=self.database["name"], PGOPTIONS="-c client_min_messages=warning"
        )

    def sql(self, text, database="postgres", user="postgres", **values):
        """Rows that SQL gives, as text; values: psql's variables, which :'name' quotes."""
        words = ["psql", "-X", "-A", "-t", "-q", "-w", "-v", "ON_ERROR_STOP=1", "-F", "\x1f"]
        for name, value in values.items():
            words += ["-v", f"{name}={value}"]
        done = subprocess.run(
            self.account(user, *words, PGDATABASE=database, PGOPTIONS="-c client_min_messages=warning"),
            input=text,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise Failed(f"PostgreSQL: {last(done.stderr)}")
        return [line.split("\x1f") for line in done.stdout.splitlines()]

    # what is remembered

    def remember(self, **known):
        state = {**self.state(), **known}
        write(os.path.join(self.own, "state"), json.dumps(state))
        good = state.get("good")
        until = good["at"] + self.hours * 3600 if good else int(time.time()) + self.hours * 3600
        write(
            os.path.join(self.own, "standing"),
            "{}\n{}\n".format(until, " ".join((self.wrong() or "").split())),
        )

    def state(self):
        try:
            with open(os.path.join(self.own, "state"), encoding="utf-8") as handle:
                return json.load(handle)
        except (FileNotFoundError, ValueError):
            return {}

    def ids(self):
        """The whole backups that lie in the folder, newest first."""
        return sorted(
            (name for name in os.listdir(self.folder) if re.fullmatch(r"\d{8}-\d{6}", name)), reverse=True
        )

    def manifest(self, id):
        with open(os.path.join(self.folder, id, "manifest"), encoding="utf-8") as handle:
            return json.load(handle)

    # making one

    def run(self):
        for left in glob.glob(os.path.join(self.folder, ".new-*")):
            shutil.rmtree(left)
        id = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%d-%H%M%S")
        while os.path.exists(os.path.join(self.folder, id)):
            time.sleep(1)
            id = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%d-%H%M%S")
        new = os.path.join(self.folder, ".new-" + id)
        os.mkdir(new, 0o700)
        try:
            made = {"id": id, "site": self.site, "host": os.uname().nodename, "release": self.release()}
            if self.database:
                made["database"] = self.dump(os.path.join(new, "database.dump"))
            made["shared"] = self.archive(os.path.join(new, "shared.tar.gz"))
            write(os.path.join(new, "manifest"), json.dumps(made))
            sync(new)
            os.rename(new, os.path.join(self.folder, id))
            sync(self.folder)
        except OSError as error:
            raise Failed(full(error, self.folder)) from error
        finally:
            shutil.rmtree(new, ignore_errors=True)
        if self.to:
            remote(self).store(id)
        self.prune()
        size = sum(made[part]["size"] for part in ("database", "shared") if part in made)
        say(f"backup {id} of {self.site}: {human(size)}")
        return id, size

    def release(self):
        try:
            return os.path.basename(os.readlink(f"/srv/{self.site}/current/release"))
        except OSError:
            return ""

    def dump(self, path):
        """The database, with the number of rows of each table as they are in the dump's own snapshot."""
        session = subprocess.Popen(
            self.server(
                self.user, "psql", "-X", "-A", "-t", "-q", "-w", "-v", "ON_ERROR_STOP=1", "-F", "\x1f"
            ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            session.stdin.write(
                "SET idle_in_transaction_session_timeout = 0; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;\n"
                "SELECT pg_export_snapshot();\n"
            )
            session.stdin.flush()
            snapshot = session.stdout.readline().strip()
            if not snapshot:
                raise Failed(f"PostgreSQL: {last(session.communicate()[1])}")
            argv = [
                "pg_dump",
                "-Fc",
                "-Z1",
                "-w",
                "--lock-wait-timeout=%d" % (SILENT * 1000),
                "--snapshot=" + snapshot,
            ]
            found = self.receive(self.server(self.user, *argv), path, "pg_dump")
            session.stdin.write(TABLES + "\n\\q\n")
            out, error = session.communicate()
            if session.returncode:
                raise Failed(f"the rows of the tables could not be counted: {last(error)}")
        finally:
            session.kill()
            session.wait()
        found["tables"] = {
            row[0]: int(row[1]) for row in (line.split("\x1f") for line in out.splitlines()) if len(row) == 2
        }
        self.readable(path)
        return found

    def readable(self, path):
        """Whether pg_restore can read a dump to its end: its list, and then all that is in it."""
        for argv in (["--list"], ["--file=/dev/null"]):
            with open(path, "rb") as file:
                done = subprocess.run(
                    self.as_site("pg_restore", *argv),
                    stdin=file,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            if done.returncode:
                raise Failed(f"the dump cannot be read again: {last(done.stderr)}")

    def archive(self, path):
        found = self.receive(
            self.as_site("/usr/bin/python3", "-I", __file__, "pack", self.shared),
            path,
            "the archive of shared/",
        )
        return {**found, **self.counted(path)}

    def counted(self, path):
        with open(path, "rb") as file:
            done = subprocess.run(
                self.as_site("/usr/bin/python3", "-I", __file__, "check"),
                stdin=file,
                capture_output=True,
                text=True,
            )
        if done.returncode:
            raise Failed(f"the archive of shared/ cannot be read again: {last(done.stderr)}")
        return json.loads(done.stdout)

    def receive(self, argv, path, what):
        """A program's output in a file, on the disk, with its digest; given up where nothing comes for long."""
        digest, size, told = hashlib.sha256(), 0, time.monotonic()
        with tempfile.TemporaryFile() as errors, open(path, "wb") as out:
            process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=errors, start_new_session=True)
            try:
                while True:
                    if not select.select([process.stdout], [], [], SILENT)[0]:
                        raise Failed(f"{what}: not a byte for {SILENT // 60} minutes; it was ended")
                    data = os.read(process.stdout.fileno(), BLOCK)
                    if not data:
                        break
                    out.write(data)
                    digest.update(data)
                    size += len(data)
                    if time.monotonic() - told > 60:
                        told = time.monotonic()
                        say(f"{what}: {human(size)}")
                out.flush()
                os.fsync(out.fileno())
            finally:
                if process.poll() is None:
                    try:
                        process.wait(1)
                    except subprocess.TimeoutExpired:
                        os.killpg(process.pid, signal.SIGKILL)
                code = process.wait()
                process.stdout.close()
            if code:
                errors.seek(0)
                raise Failed(
                    "{}: {}".format(
                        what, last(errors.read().decode(errors="replace")) or "exit code %d" % code
                    )
                )
        return {"size": size, "sha256": digest.hexdigest()}

    def prune(self):
        """The oldest go, only now that a new one is whole; where they lie elsewhere as well, one stays here."""
        for id in self.ids()[1 if self.to else self.keep :]:
            shutil.rmtree(os.path.join(self.folder, id))

    # trying one

    def fetched(self, id):
        """The backup is in the folder and is what was made: fetched where it lies elsewhere alone."""
        if id not in self.ids():
            if not self.to or id not in remote(self).ids():
                raise Failed(f"there is no backup {id} of {self.site}; invoke backups lists them")
            remote(self).fetch(id)
        made = self.manifest(id)
        for part, name in (("database", "database.dump"), ("shared", "shared.tar.gz")):
            if part in made and digest_of(os.path.join(self.folder, id, name)) != made[part]["sha256"]:
                raise Failed(f"{name} of backup {id} is not what was written: it was changed, or cut off")
        return made

    def fill(self, database, made):
        """A new database with what the backup holds, each table compared with what the dump had."""
        self.drop(database)
        wanted = self.database
        values = {
            "name": database,
            "owner": self.user,
            "encoding": wanted["encoding"],
            "locale": wanted["locale"],
        }
        self.sql(CREATE, **values)
        if wanted["extensions"]:
            self.sql(EXTEND, database, extensions="\x1f".join(wanted["extensions"]))
        path = os.path.join(self.folder, made["id"], "database.dump")
        with open(path, "rb") as file:
            listed = subprocess.run(
                self.as_site("pg_restore", "--list"),
                stdin=file,
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
        kept = [
            line
            for line in listed.stdout.splitlines()
            if not re.match(r"\d+; \d+ \d+ (COMMENT - )?EXTENSION ", line)
        ]
        with (
            tempfile.NamedTemporaryFile("w", dir="/var/tmp", encoding="utf-8") as names,
            open(path, "rb") as file,
        ):
            os.fchmod(names.fileno(), 0o644)
            names.write("\n".join(kept) + "\n")
            names.flush()
            argv = self.account(
                self.user,
                "pg_restore",
                "--no-owner",
                "--no-acl",
                "--exit-on-error",
                "-w",
                "-L",
                names.name,
                "-d",
                "",
                PGDATABASE=database,
                PGOPTIONS="-c client_min_messages=warning -c statement_timeout=0",
            )
            argv[-2:] = ["-d", "dbname=" + conninfo(database)]
            done = subprocess.run(
                argv, stdin=file, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            )
        if done.returncode:
            raise Failed(f"pg_restore: {last(done.stderr)}")
        there = {name: int(count) for name, count in self.sql(TABLES, database, self.user)}
        if there != made["database"]["tables"]:
            differs = sorted(set(there.items()) ^ set(made["database"]["tables"].items()))
            raise Failed(
                "what was restored is not what was dumped: {}".format(
                    ", ".join("%s %d" % pair for pair in differs[:4])
                )
            )
        return len(there), sum(there.values())

    def drop(self, database):
        self.sql("SELECT format('DROP DATABASE IF EXISTS %I', :'name') \\gexec\n", name=database)

    def drill(self):
        """The newest, restored into a scratch database that goes again; the archive of shared/ is read through."""
        there = remote(self).ids() if self.to else self.ids()
        if not there:
            raise Failed(f"there is no backup of {self.site} yet")
        if self.to and there[0] in self.ids():  # what lies elsewhere is what is to be tried
            shutil.rmtree(os.path.join(self.folder, there[0]))
        made, began, said = self.fetched(there[0]), time.monotonic(), []
        if "database" in made:
            scratch = "barehost_drill_" + self.site
            try:
                said.append("%d tables with %d rows" % self.fill(scratch, made))
            finally:
                self.drop(scratch)
        counted = self.counted(os.path.join(self.folder, made["id"], "shared.tar.gz"))
        if counted != {key: made["shared"][key] for key in counted}:
            raise Failed("the archive of shared/ does not hold what it was made with")
        said.append("%d files, %d of them SQLite" % (counted["files"], len(counted["sqlite"])))
        say(
            "drill of backup {}: {} in {:.0f} s".format(made["id"], ", ".join(said), time.monotonic() - began)
        )
        return made["id"]

    # going back to one

    def restore(self, id):
        made = self.fetched(id)
        stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%d%H%M%S")
        new = f"/srv/{self.site}/shared.restored"
        shutil.rmtree(new, ignore_errors=True)
        owner = pwd.getpwnam(self.user)
        os.mkdir(new, 0o750)
        os.chmod(new, stat.S_IMODE(os.stat(self.shared).st_mode))
        os.chown(new, owner.pw_uid, owner.pw_gid)
        with open(os.path.join(self.folder, id, "shared.tar.gz"), "rb") as file:
            done = subprocess.run(
                self.as_site("/usr/bin/python3", "-I", __file__, "unpack", new),
                stdin=file,
                stderr=subprocess.PIPE,
                text=True,
            )
        if done.returncode:
            raise Failed(f"the archive of shared/: {last(done.stderr)}")
        database = made.get("database") and self.database and self.database["name"]
        if database:
            say(
                "%d tables with %d rows are restored beside the database that serves"
                % self.fill(database + "_restored", made)
            )
        self.remember(restoring={"id": id, "at": int(time.time())})
        stopped = self.stop()
        try:
            if database:
                old = database[:40] + "_before_" + stamp
                self.sql(SWAP, name=database, new=database + "_restored", old=old)
                say(f"the database before it is kept as {old}")
            kept = f"/srv/{self.site}/shared.before-{stamp}"
            exchange(new, f"/srv/{self.site}/shared", kept)
            say(f"the shared folder before it is kept as {kept}")
        finally:
            self.start(stopped)
        self.remember(restoring=None, restored={"id": id, "at": int(time.time())})
        say(f"{self.site} has the data of backup {id}")

    def stop(self):
        """The site's units that run, timers among them; they are not started before the data has been switched."""
        shown = subprocess.run(
            [
                "systemctl",
                "list-units",
                "--plain",
                "--no-legend",
                "--full",
                "--state=active,activating,reloading",
                f"{self.site}@*",
                f"{self.site}-*@*",
                f"{self.site}-*.timer",
            ],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
        own = re.compile(
            re.escape(self.site) + r"(?:-[a-z0-9.-]+)?(?:@\d+(?:-\d+)?)?\.(?:service|timer|socket)"
        )
        others = [name for name in os.listdir("/var/lib/barehost/apps") if name.startswith(self.site + "-")]
        names = [
            name
            for name in (line.split()[0] for line in shown.splitlines() if line.split())
            if own.fullmatch(name) and not any(re.match(re.escape(one) + "[@-]", name) for one in others)
        ]
        if names:
            subprocess.run(["systemctl", "stop", *names], check=True)
        return names

    def start(self, names):
        if names:
            subprocess.run(["systemctl", "start", *names], check=True)

    def forget(self):
        """What restores have kept aside goes; nothing else is ever dropped."""
        gone = []
        if self.database:
            for (name,) in self.sql("SELECT datname FROM pg_database;\n"):
                if re.fullmatch(re.escape(self.database["name"][:40]) + r"_before_\d{14}", name):
                    self.drop(name)
                    gone.append(name)
        for path in glob.glob(f"/srv/{glob.escape(self.site)}/shared.before-*"):
            shutil.rmtree(path)
            gone.append(path)
        say("gone: {}".format(", ".join(gone)) if gone else "no restore has kept anything aside")

    def list(self):
        """A JSON object a backup: id, size, where it lies."""
        here, there = self.ids(), remote(self).ids() if self.to else []
        for id in sorted({*here, *there}, reverse=True):
            made = self.manifest(id) if id in here else {}
            size = (
                sum(made[part]["size"] for part in ("database", "shared") if part in made) if made else None
            )
            where = [
                name for name, ids in (("host", here), (self.to and self.to["kind"], there)) if id in ids
            ]
            say(json.dumps({"id": id, "size": size, "release": made.get("release"), "where": where}))

    def wrong(self):
        """A sentence where somebody has to do something; None: all is well."""
        state, now = self.state(), time.time()
        ran, good, drill = state.get("last"), state.get("good"), state.get("drill")
        if state.get("restoring"):
            id = state["restoring"]["id"]
            return f"a restore of backup {id} was cut short: invoke restore --to {id} does it again"
        if ran and not ran["ok"]:
            return "the last backup failed: {}".format(ran["error"])
        if good and now - good["at"] > self.hours * 3600:
            return f"the newest backup is too old: journalctl -u barehost-backup-{self.site}"
        if not good and now - os.stat(self.file).st_mtime > self.hours * 3600:
            return "there has been no backup"
        if drill and not drill["ok"]:
            return "the last drill failed: {}".format(drill["error"])
        return None

    def standing(self):
        """What is remembered, and what is wrong, as a JSON object."""
        state = self.state()
        told = {key: state.get(key) for key in ("good", "drill", "restored")}
        say(json.dumps({"site": self.site, **told, "wrong": self.wrong()}))


# -- where backups lie besides --------------------------------------------------------------------------


def remote(site):
    return {"folder": Folder, "ssh": Ssh, "restic": Restic}[site.to["kind"]](site)


class Folder:
    """A folder of the host, such as a disk that is mounted there."""

    def __init__(self, site):
        self.site, self.place = site, os.path.join(site.to["folder"], site.site)
        if not os.path.isdir(site.to["folder"]):
            raise Failed("{} is not there: is it mounted?".format(site.to["folder"]))

    def store(self, id):
        os.makedirs(self.place, mode=0o700, exist_ok=True)
        new = os.path.join(self.place, ".new-" + id)
        shutil.rmtree(new, ignore_errors=True)
        try:
            shutil.copytree(os.path.join(self.site.folder, id), new)
            made = self.site.manifest(id)
            for part, name in (("database", "database.dump"), ("shared", "shared.tar.gz")):
                if part in made and digest_of(os.path.join(new, name)) != made[part]["sha256"]:
                    raise Failed(f"{name} was not copied as it is")
            sync(new)
            os.rename(new, os.path.join(self.place, id))
            sync(self.place)
        except (OSError, shutil.Error) as error:
            raise Failed(full(error, self.place)) from error
        finally:
            shutil.rmtree(new, ignore_errors=True)
        for old in self.ids()[self.site.keep :]:
            shutil.rmtree(os.path.join(self.place, old))

    def ids(self):
        there = os.listdir(self.place) if os.path.isdir(self.place) else []
        return sorted((name for name in there if re.fullmatch(r"\d{8}-\d{6}", name)), reverse=True)

    def fetch(self, id):
        new = os.path.join(self.site.folder, ".new-" + id)
        shutil.copytree(os.path.join(self.place, id), new)
        os.rename(new, os.path.join(self.site.folder, id))


class Ssh:
    """A folder of another host, over ssh with a key of its own and a host key that was named."""

    def __init__(self, site):
        self.site, to = site, site.to
        base = os.path.splitext(site.file)[0]
        self.argv = [
            "ssh",
            "-T",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=yes",
            "-o",
            "ConnectTimeout=20",
        ]
        self.argv += [
            "-o",
            "UserKnownHostsFile=" + base + ".known_hosts",
            "-o",
            "ServerAliveInterval=30",
            "-o",
            "IdentitiesOnly=yes",
        ]
        self.argv += ["-i", base + ".key", "-p", str(to["port"]), "-l", to["user"], "--", to["host"]]
        self.place = to["folder"].rstrip("/") + "/" + site.site

    def there(self, script, *words, **streams):
        text = "set -e; umask 077; set -- {}; {}".format(" ".join(map(quoted, (self.place, *words))), script)
        done = subprocess.run([*self.argv, text], stderr=subprocess.PIPE, **streams)
        if done.returncode:
            raise Failed(
                "{}: {}".format(
                    self.site.to["host"],
                    last(done.stderr.decode(errors="replace")) or "exit code %d" % done.returncode,
                )
            )
        return done.stdout

    def store(self, id):
        made = self.site.manifest(id)
        sums = "".join(
            "{}  {}\n".format(made[part]["sha256"], name)
            for part, name in (("database", "database.dump"), ("shared", "shared.tar.gz"))
            if part in made
        )
        with subprocess.Popen(
            ["tar", "-c", "-C", os.path.join(self.site.folder, id), "."], stdout=subprocess.PIPE
        ) as tar:
            self.there(
                'mkdir -p "$1"; cd "$1"; rm -rf .new-*; mkdir ".new-$2"; tar -x -C ".new-$2" -f -;'
                ' (cd ".new-$2"; printf %s "$3" | sha256sum -c --quiet);'
                ' sync -f ".new-$2"; mv ".new-$2" "$2"; sync -f .',
                id,
                sums,
                stdin=tar.stdout,
            )
        for old in self.ids()[self.site.keep :]:
            self.there('cd "$1"; rm -rf "./$2"', old)

    def ids(self):
        names = self.there('[ ! -d "$1" ] || ls "$1"', stdout=subprocess.PIPE).decode().split()
        return sorted((name for name in names if re.fullmatch(r"\d{8}-\d{6}", name)), reverse=True)

    def fetch(self, id):
        new = os.path.join(self.site.folder, ".new-" + id)
        shutil.rmtree(new, ignore_errors=True)
        os.mkdir(new, 0o700)
        with subprocess.Popen(
            ["tar", "-x", "--no-same-owner", "-C", new, "-f", "-"], stdin=subprocess.PIPE
        ) as tar:
            self.there(
                'cd "$1/$2"; tar -c manifest $(ls | grep -x -e database.dump -e shared.tar.gz)',
                id,
                stdout=tar.stdin,
            )
            tar.stdin.close()
        if tar.returncode:
            raise Failed(f"backup {id} could not be fetched")
        os.rename(new, os.path.join(self.site.folder, id))


class Restic:
    """A repository of restic's: any of the places that it knows, encrypted, with one snapshot a backup."""

    def __init__(self, site):
        self.site = site
        self.environment = {
            **{"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"},
            **{"RESTIC_CACHE_DIR": "/var/cache/barehost/restic", "GOGC": "20"},
            **site.environment,
            "RESTIC_REPOSITORY": site.to["repository"],
        }

    def restic(self, *words):
        done = subprocess.run(
            ["restic", "--quiet", *words],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise Failed(f"restic: {last(done.stderr)}")
        return done.stdout

    def store(self, id):
        self.repository()
        place = os.path.join(self.site.folder, id)
        mark = ["--tag", "barehost-" + self.site.site, "--host", self.site.site]
        self.restic("backup", *mark, "--tag", id, place)
        self.restic(
            "forget",
            *mark[:2],
            "--group-by",
            "host",
            "--keep-last",
            str(self.site.keep),
            "--prune",
        )

    def repository(self):
        """Made where there is none; a password that opens it not is an error, never a reason to make another."""
        try:
            self.restic("cat", "config")
        except Failed as error:
            if "unable to open config file" not in str(error) and "does not exist" not in str(error):
                raise
            self.restic("init")

    def snapshots(self):
        self.repository()
        found = (
            json.loads(self.restic("snapshots", "--json", "--tag", "barehost-" + self.site.site) or "[]")
            or []
        )
        return {
            tag: one["short_id"] for one in found for tag in one["tags"] if re.fullmatch(r"\d{8}-\d{6}", tag)
        }

    def ids(self):
        return sorted(self.snapshots(), reverse=True)

    def fetch(self, id):
        new = os.path.join(self.site.folder, ".new-" + id)
        shutil.rmtree(new, ignore_errors=True)
        self.restic("restore", self.snapshots()[id], "--target", new)
        os.rename(new + os.path.join(self.site.folder, id), os.path.join(self.site.folder, id))
        shutil.rmtree(new)


# -- small things ---------------------------------------------------------------------------------------


def quoted(word):
    return "'" + word.replace("'", "'\\''") + "'"


def conninfo(value):
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def last(text):
    """What a program complained of, its last three lines as one."""
    return "; ".join(line.strip() for line in text.strip().splitlines()[-3:])


def full(error, folder):
    inner = error.args[0] if isinstance(error, shutil.Error) else error
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(inner):
        return f"the disk of {folder} is full: the backup was not made, and those before it are still there"
    return str(error)


def human(size):
    return (
        "%d B" % size if size < 1000 else "%.1f kB" % (size / 1e3) if size < 1e6 else "%.1f MB" % (size / 1e6)
    )


def digest_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()


def sync(folder):
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write(path, text):
    """A whole new file in the place of the old one, on the disk."""
    with open(path + ".new", "w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    os.rename(path + ".new", path)
    sync(os.path.dirname(path))


def exchange(new, place, kept):
    """``new`` takes the place of ``place``, which is kept: by one rename where the file system can exchange two."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(-100, os.fsencode(new), -100, os.fsencode(place), 2) == 0:
        os.rename(new, kept)
        return
    shutil.move(place, kept)  # a file system of layers: what lies in a lower one is copied
    os.rename(new, place)


CREATE = """SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING %L LC_COLLATE %L LC_CTYPE %L',
  :'name', :'owner', :'encoding', :'locale', :'locale') \\gexec
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', :'name') \\gexec
"""

EXTEND = """SELECT format('CREATE EXTENSION IF NOT EXISTS %I', wanted)
  FROM unnest(string_to_array(:'extensions', E'\\x1f')) AS wanted \\gexec
"""

SWAP = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE datname IN (:'name', :'new') AND pid <> pg_backend_pid() \\g /dev/null
BEGIN;
SELECT format('ALTER DATABASE %I RENAME TO %I', :'name', :'old') \\gexec
SELECT format('ALTER DATABASE %I RENAME TO %I', :'new', :'name') \\gexec
COMMIT;
"""

TABLES = """SELECT format('%I.%I', n.nspname, c.relname), (xpath('/row/c/text()',
  query_to_xml(format('SELECT count(*) AS c FROM %I.%I', n.nspname, c.relname), false, true, '')))[1]
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e') ORDER BY 1;
"""


def main(what, *words):
    os.umask(0o077)
    if what in ("pack", "check", "unpack"):
        os.umask(0o027)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        return {"pack": pack, "check": check, "unpack": unpack}[what](*words)
    site = Site(words[0])
    if what in ("state", "list"):
        return site.standing() if what == "state" else site.list()
    site.alone()
    now = int(time.time())
    try:
        if what == "run":
            id, size = site.run()
            site.remember(last={"ok": True, "at": now}, good={"id": id, "at": now, "size": size})
            if len(words) > 1:  # the mark of who wanted it
                write(words[1], id)
        elif what == "drill":
            site.remember(drill={"ok": True, "at": now, "id": site.drill()})
        elif what == "restore":
            site.restore(words[1])
        elif what == "forget":
            site.forget()
    except (Failed, OSError, subprocess.CalledProcessError) as error:
        if what in ("run", "drill"):
            key = "last" if what == "run" else "drill"
            site.remember(**{key: {"ok": False, "at": now, "error": str(error)}})
        sys.exit("{} of {}: {}".format({"run": "backup"}.get(what, what), site.site, error))
    return None


if __name__ == "__main__":
    main(*sys.argv[1:])
