"""Makes a release's static files ready for Nginx: compressed siblings, copies in the pool. Runs on the host as root.

served.py RELEASE POOL BEFORE BROTLI DAYS HASHED URL FOLDER...: FOLDER, in the release, is what Nginx serves at URL.
Refuses a link in such a folder that leads out of the release: Nginx would serve what lies there.
BEFORE is the release that serves: what it has of an equal file is linked. BROTLI: yes or no. Files whose name matches
the expression HASHED get a copy in POOL, where Nginx finds what only an older release had, for DAYS after the last
release that has them: a copy's age is its ctime, and every release copies anew, beside its place, and renames.

By now everything is root's (own.py): no account that writes to it is left. Even so, no file is opened or made through
a link. Siblings get their names when what they stand for is on the disk, so none is empty after a power cut.
"""

import os
import re
import stat
import subprocess
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

release, pool, before, brotli, days, hashed, *folders = sys.argv[1:]
HASHED = re.compile(hashed)
TEXTS = (".css", ".js", ".mjs", ".svg", ".html", ".json", ".map", ".txt", ".xml", ".wasm", ".ico")
"""What shrinks."""
SMALLEST = 1024
"""Bytes; what is not larger fits into a packet anyway."""
NEW = ".barehost"
"""The end of a name whose file is not finished."""


def check(url, folder):
    """No link in a folder that is served leads out of the release, nor does the folder's own path."""
    top = os.path.join(release, folder)
    whole = os.path.realpath(release)
    seen, pending = set(), [(top, top)]
    while pending:
        path, shown = pending.pop()
        real = os.path.realpath(path)
        if real != whole and not real.startswith(whole + "/"):
            name = os.path.relpath(shown, release)
            sys.exit(
                f"{name} leads out of the release, to {real}: Nginx would serve it at /{url}. "
                "Put a copy there instead of a link (Django: collectstatic without --link)"
            )
        if real in seen or not os.path.isdir(real):
            continue
        seen.add(real)
        with os.scandir(real) as entries:
            pending += [
                (entry.path, os.path.join(shown, entry.name))
                for entry in entries
                if entry.is_symlink() or entry.is_dir(follow_symlinks=False)
            ]


def files(top):
    """Every regular file below, as its path and its status; no link is followed."""
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            if stat.S_ISREG(status.st_mode):
                yield path, status


def source(path):
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW)


def fresh(path, status):
    """A new file at this name, with the mode and, once it is written, the time of what it is made of."""
    if os.path.lexists(path):
        os.unlink(path)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, stat.S_IMODE(status.st_mode))


def dated(handle, status):
    os.utime(handle, ns=(status.st_mtime_ns, status.st_mtime_ns))


def equal(one, other):
    with open(source(one), "rb") as left, open(source(other), "rb") as right:
        while True:
            piece = left.read(1 << 20)
            if piece != right.read(1 << 20):
                return False
            if not piece:
                return True


def taken_over(path, status, name, earlier):
    """Whether the release that serves has the sibling of an equal file: it is linked, for neither ever changes."""
    try:
        there = os.lstat(earlier)
        if (there.st_size, there.st_mtime_ns) != (status.st_size, status.st_mtime_ns) or not equal(
            path, earlier
        ):
            return False
        sibling = os.lstat(f"{earlier}.{name}")
        if not stat.S_ISREG(sibling.st_mode) or stat.S_IMODE(sibling.st_mode) != stat.S_IMODE(status.st_mode):
            return False
        os.link(f"{earlier}.{name}", f"{path}.{name}", follow_symlinks=False)
    except OSError:
        return False
    return True


def gzip(handle, out):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    with open(handle, "rb", closefd=False) as file:
        while piece := file.read(1 << 20):
            out.write(packer.compress(piece))
    out.write(packer.flush())


def squeeze(path, status, earlier):
    """The siblings of one file, by the names that they get when they are on the disk."""
    made = []
    for name in ("gz", "br") if brotli == "yes" else ("gz",):
        if os.path.lexists(f"{path}.{name}") or taken_over(path, status, name, earlier):
            continue
        handle = source(path)
        with open(fresh(f"{path}.{name}{NEW}", status), "wb") as out:
            if name == "gz":
                gzip(handle, out)
            else:
                subprocess.run(["brotli", "-q", "9", "-c", "-"], stdin=handle, stdout=out, check=True)
            out.flush()
            dated(out.fileno(), status)
        os.close(handle)
        made.append(f"{path}.{name}")
    return made


def compress(top, folder):
    texts = [
        (path, status, os.path.join(before, folder, os.path.relpath(path, top)))
        for path, status in files(top)
        if path.endswith(TEXTS) and status.st_size > SMALLEST
    ]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        return [name for names in threads.map(squeeze, *zip(*texts)) for name in names] if texts else []


def copy(handle, out):
    """All of a file; its blocks are shared where the file system can do that."""
    try:
        while os.copy_file_range(handle, out, 1 << 30):
            pass
    except OSError:  # not within one file system, say
        while os.sendfile(out, handle, None, 1 << 20):
            pass


def publish(top, url):
    """Copies of hashed names, beside the pool and then renamed into it; what is too old there goes."""
    stage, place = os.path.join(pool, ".new"), os.path.join(pool, url)
    moves = []
    for path, status in files(top):
        if not HASHED.search(os.path.basename(path)):
            continue
        name = os.path.relpath(path, top)
        os.makedirs(os.path.dirname(os.path.join(stage, name)), exist_ok=True)
        handle = source(path)
        out = fresh(os.path.join(stage, name), status)
        copy(handle, out)
        dated(out, status)
        os.close(handle)
        os.close(out)
        moves.append(name)
    on_disk(pool)
    os.makedirs(place, exist_ok=True)
    for name in moves:
        os.makedirs(os.path.dirname(os.path.join(place, name)), exist_ok=True)
        os.replace(os.path.join(stage, name), os.path.join(place, name))
    now = time.time()
    for path, status in files(place):
        if (now - status.st_ctime) // 86400 > int(days):
            os.unlink(path)


def on_disk(path):
    subprocess.run(["sync", "-f", path], check=True)


def main():
    os.umask(0o022)
    served = [(url.strip("/"), folder) for url, folder in zip(folders[::2], folders[1::2])]
    for url, folder in served:
        if not os.path.isdir(os.path.join(release, folder)):
            sys.exit(f"there is no folder {release}/{folder} to serve static files from")
        check(url, folder)
    made = [name for _, folder in served for name in compress(os.path.join(release, folder), folder)]
    on_disk(release)
    for name in made:
        os.rename(name + NEW, name)
    for url, folder in served:
        subprocess.run(["rm", "-rf", os.path.join(pool, ".new")], check=True)
        publish(os.path.join(release, folder), url)
    subprocess.run(["rm", "-rf", os.path.join(pool, ".new")], check=True)


try:
    main()
except (OSError, subprocess.CalledProcessError) as error:
    sys.exit(f"the static files of {release} could not be made ready: {error}")
