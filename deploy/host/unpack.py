"""Unpacks the layers of a container image into a folder that nobody else writes to. Runs on hosts as root.

    unpack.py TARGET GROUP USER LIMIT PATH PROGRAM MOUNT... -- DIFF_ID=FILE...

TARGET is made, and must not be there. A layer is a tar, plain or packed by gzip, whose unpacked bytes have the SHA-256
DIFF_ID. Everything becomes root's: what belongs to USER, the account in the image that the image is run as (a name or a
number), and is not for everybody can be read by GROUP. LIMIT: bytes that all files may have together. MOUNT: a path in
the image that systemd mounts something over, a folder where it ends in a slash; it is made. PROGRAM: looked for along
PATH in the image, where it is not empty; its folder is printed.

An image is another's: no name and no link of it leads out of TARGET, each path is walked part by part. Device nodes are
left out, set-user-ID bits and the right to write are taken away from all but root. What is not as it should be ends
with one sentence and exit code 1; the caller removes TARGET then.
"""

import errno
import grp
import gzip
import hashlib
import os
import resource
import shutil
import stat
import sys
import tarfile
import zlib

BLOCK = 1 << 18
LINKS = 40
"""Links that one path may lead through, as the kernel counts."""
ENTRIES = 2_000_000
MEMORY = 1 << 30
"""Bytes of memory this may take, for a name in a tar may be as long as its writer likes; 200,000 files take 150 MB."""
WHITEOUT = b".wh."
OPAQUE = b".wh..wh..opq"


class Refused(Exception):
    """What is wrong with the image, as the middle of a sentence."""


class Hashed:
    """A file to read, whose bytes are counted into a digest."""

    def __init__(self, file):
        self.file = file
        self.sha256 = hashlib.sha256()

    def read(self, size=-1):
        data = self.file.read(size)
        self.sha256.update(data)
        return data


class Tree:
    """The folder that an image is unpacked into. All paths are bytes, below it, without a part that is a link."""

    def __init__(self, root, limit):
        self.root = os.fsencode(root)
        self.left = limit
        self.entries = 0
        self.private = {}  # path → (uid, gid, mode) of what is not for everybody
        self._known = {}

    def at(self, path):
        return os.path.join(self.root, path) if path else self.root

    def lstat(self, path):
        try:
            return os.lstat(self.at(path))
        except FileNotFoundError:
            return None

    def resolved(self, path, make=False):
        """``path`` as it is within the root, every link on the way followed as if the root were /; folders are made.

        None: a part is not there, or is no folder, and none is made.
        """
        known = self._known.get(path)
        if known is not None:
            return known
        done, todo, links = [], [one for one in path.split(b"/") if one not in (b"", b".")][::-1], 0
        while todo:
            part = todo.pop()
            if part == b"..":
                done = done[:-1]
                continue
            here = b"/".join([*done, part])
            found = self.lstat(here)
            if found is None:
                if not make:
                    return None
                os.mkdir(self.at(here), 0o755)
            elif stat.S_ISLNK(found.st_mode):
                links += 1
                if links > LINKS:
                    raise Refused(f"links of {os.fsdecode(path)!r} lead in a circle")
                target = os.readlink(self.at(here))
                if target.startswith(b"/"):
                    done = []
                todo += [one for one in target.split(b"/") if one not in (b"", b".")][::-1]
                continue
            elif not stat.S_ISDIR(found.st_mode):
                if not make:
                    return None
                self.remove(here)
                os.mkdir(self.at(here), 0o755)
            done.append(part)
        if make:
            self._known[path] = b"/".join(done)
        return b"/".join(done)

    def remove(self, path):
        found = self.lstat(path)
        if found is None:
            return
        self._known.clear()
        if stat.S_ISDIR(found.st_mode):
            shutil.rmtree(self.at(path))
            for one in [one for one in self.private if one == path or one.startswith(path + b"/")]:
                del self.private[one]
        else:
            os.unlink(self.at(path))
            self.private.pop(path, None)

    def place(self, name):
        """Where an entry of a layer goes: its folder, made and resolved, and its own name."""
        parts = [one for one in name.split(b"/") if one not in (b"", b".")]
        if b".." in parts:
            raise Refused(f"{os.fsdecode(name)!r} leads out of it")
        if not parts:
            return b"", b""
        return self.resolved(b"/".join(parts[:-1]), make=True), parts[-1]

    def whiteout(self, folder, name, ours):
        """An entry that says that something of the layers below is gone."""
        if name == OPAQUE:
            for one in os.listdir(self.at(folder)):
                path = os.path.join(folder, one) if folder else one
                if path not in ours:
                    self.remove(path)
            return
        if name.startswith(b".wh..wh."):
            return  # notes of an old storage driver
        gone = name[len(WHITEOUT) :]
        if gone in (b"", b".", b".."):
            raise Refused(f"{os.fsdecode(name)!r} leads out of it")
        self.remove(os.path.join(folder, gone) if folder else gone)

    def mode(self, path, member):
        """What everybody may: never more than to read and to run it."""
        kept = member.mode & 0o755
        os.chmod(self.at(path), kept)
        self.private.pop(path, None)
        if (member.mode >> 6 & 5) & ~(member.mode & 5):
            self.private[path] = (member.uid, member.gid, member.mode)

    def add(self, layer, member, ours):
        """One entry of a layer."""
        self.entries += 1
        if self.entries > ENTRIES:
            raise Refused(f"it has more than {ENTRIES} entries")
        folder, name = self.place(os.fsencode(member.name))
        if name.startswith(WHITEOUT):
            self.whiteout(folder, name, ours)
            return
        path = os.path.join(folder, name) if folder else name
        if member.isdir():
            found = self.lstat(path)
            if found is not None and not stat.S_ISDIR(found.st_mode):
                self.remove(path)
                found = None
            if found is None:
                os.mkdir(self.at(path), 0o755)
            if path:
                self.mode(path, member)
        elif member.isreg():
            self.remove(path)
            self.fill(path, layer, member)
            self.mode(path, member)
        elif member.islnk():
            parent, linked = self.place(os.fsencode(member.linkname))
            source = os.path.join(parent, linked) if parent else linked
            found = self.lstat(source)
            if found is None or not stat.S_ISREG(found.st_mode):
                raise Refused(f"{member.name!r} is a link to {member.linkname!r}, which is no file of it")
            if source != path:
                self.remove(path)
                os.link(self.at(source), self.at(path), follow_symlinks=False)
                if source in self.private:
                    self.private[path] = self.private[source]
        elif member.issym():
            self.remove(path)
            os.symlink(os.fsencode(member.linkname), self.at(path))
            self._known.clear()
        else:
            return  # a device, a pipe: nobody needs those of an image
        ours.add(path)
        while folder and folder not in ours:
            ours.add(folder)
            folder = os.path.dirname(folder)

    def fill(self, path, layer, member):
        self.left -= member.size
        if self.left < 0:
            raise Refused("its files are larger than the host has room for")
        data = layer.extractfile(member)
        out = os.open(
            self.at(path), os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        try:
            while True:
                block = data.read(BLOCK)
                if not block:
                    break
                if block.count(0) == len(block):  # nothing but zeros takes no room
                    os.lseek(out, len(block), os.SEEK_CUR)
                else:
                    view = memoryview(block)
                    while view:
                        view = view[os.write(out, view) :]
            os.ftruncate(out, member.size)
        finally:
            os.close(out)

    def account(self, named):
        """The numbers of the account in the image that it is run as: user and group; root's where it names none."""
        user, _, group = named.partition(":")
        uid, gid = self._look(user or "0", "etc/passwd", 3)
        if group:
            gid = self._look(group, "etc/group", 2)[0]
        return uid, gid

    def _look(self, word, file, column):
        if word.isdigit():
            return int(word), -1
        folder = self.resolved(os.fsencode(os.path.dirname(file)))
        path = None if folder is None else os.path.join(folder, os.fsencode(os.path.basename(file)))
        found = path and self.lstat(path)
        if found and stat.S_ISREG(found.st_mode):
            with open(self.at(path), encoding="utf-8", errors="replace") as lines:
                for line in lines:
                    fields = line.rstrip("\n").split(":")
                    if fields[0] == word and len(fields) > 3:
                        return int(fields[2]), int(fields[column])
        raise Refused(f"it runs as {word!r}, and its {file} knows none of that name")

    def mount(self, path):
        """Make a folder, or a file, for systemd to mount something over: of no link, for it would follow one."""
        parts = [one for one in path.split(b"/") if one]
        last = parts.pop() if not path.endswith(b"/") else None
        here = b""
        for part in parts:
            here = os.path.join(here, part) if here else part
            found = self.lstat(here)
            if found is None:
                os.mkdir(self.at(here), 0o755)
            elif not stat.S_ISDIR(found.st_mode):
                raise Refused(f"its /{os.fsdecode(here)} is no folder, and systemd mounts something there")
            else:
                os.chmod(self.at(here), 0o755)
        if last is not None:
            self.remove(os.path.join(here, last))
            os.close(os.open(self.at(os.path.join(here, last)), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))

    def program(self, path, name):
        """The folder of the image's PATH that has the program."""
        for folder in path.split(":"):
            found, word = self.resolved(os.fsencode(folder)) if folder.startswith("/") else None, name
            for _ in range(LINKS):
                here = None if found is None else os.path.join(found, os.fsencode(word))
                status = here and self.lstat(here)
                if status and stat.S_ISREG(status.st_mode) and status.st_mode & 0o111:
                    return folder
                if not status or not stat.S_ISLNK(status.st_mode):
                    break
                target = os.readlink(self.at(here))
                whole = target if target.startswith(b"/") else os.path.join(found, target)
                found, word = self.resolved(os.path.dirname(whole)), os.fsdecode(os.path.basename(whole))
        raise Refused(
            f"it has no {name} in its PATH ({path}); install it in the image, or name another server"
        )

    def share(self, named, group):
        """What belongs to the account that the image is run as can be read by the group."""
        uid, gid = self.account(named)
        number = grp.getgrnam(group).gr_gid
        for path, (owner, owners, mode) in self.private.items():
            if owner == uid:
                granted = mode >> 6 & 5
            elif owners == gid:
                granted = mode >> 3 & 5
            else:
                continue
            os.chown(self.at(path), 0, number, follow_symlinks=False)
            os.chmod(self.at(path), mode & 0o705 | granted << 3)


def layer_of(tree, diff_id, file):
    with open(file, "rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        plain = Hashed(gzip.GzipFile(fileobj=raw) if packed else raw)
        ours = set()
        with tarfile.open(fileobj=plain, mode="r|", bufsize=BLOCK, encoding="utf-8") as layer:
            for member in layer:
                layer.members = []  # else it keeps all of them
                tree.add(layer, member, ours)
        while plain.read(BLOCK):
            pass
    if plain.sha256.hexdigest() != diff_id:
        os.unlink(file)  # so that it is sent again
        raise Refused(f"a layer of it is not what its configuration says ({diff_id[:12]})")


def main(target, group, user, limit, path, program, *rest):
    mounts, layers = rest[: rest.index("--")], rest[rest.index("--") + 1 :]
    os.umask(0o022)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    os.mkdir(target, 0o755)
    tree = Tree(target, int(limit))
    for one in layers:
        layer_of(tree, *one.split("=", 1))
    tree.share(user, group)
    for one in mounts:
        tree.mount(os.fsencode(one))
    if program:
        print(tree.program(path, program))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Refused as error:
        sys.exit(f"this image cannot be used: {error}")
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        sys.exit(f"this image cannot be used: a layer of it is broken or cut off ({error})")
    except MemoryError:
        sys.exit("this image cannot be used: it takes more than 1 GiB of memory to unpack")
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            sys.exit("there is no room left on the disk to unpack the image; make room, and run again")
        sys.exit(f"the image cannot be unpacked: {error}")
