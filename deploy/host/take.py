"""Copies files of an image into a release, for Nginx to serve. Runs on hosts as root.

    take.py ROOT RELEASE IMAGE (FROM TO)...

FROM: a path in the image at ROOT, TO: in RELEASE. Nobody but root writes to ROOT. Links are left out; a path through
one is refused. At last the release says which image its files are of.
"""

import os
import shutil
import stat
import sys


def plain(root, path):
    """The path below root, where no part of it is a link; else None."""
    found = root
    for part in path.split("/"):
        if part in ("", "."):
            continue
        found = os.path.join(found, part)
        if part == ".." or not os.path.lexists(found) or stat.S_ISLNK(os.lstat(found).st_mode):
            return None
    return found


def copy(source, target):
    """A file, or a folder with all that is in it."""
    mode = os.lstat(source).st_mode
    if stat.S_ISDIR(mode):
        os.makedirs(target, mode=0o755, exist_ok=True)
        for name in sorted(os.listdir(source)):
            copy(os.path.join(source, name), os.path.join(target, name))
    elif stat.S_ISREG(mode):
        shutil.copyfile(source, f"{target}.new", follow_symlinks=False)
        os.chmod(f"{target}.new", 0o644)
        os.replace(f"{target}.new", target)


def main(root, release, image, *paths):
    os.umask(0o022)
    for source, target in zip(paths[::2], paths[1::2]):
        found = plain(root, source)
        if found is None:
            sys.exit(
                f"the image has no {source}, or only by a link; mend static: in the inventory, or the image"
            )
        os.makedirs(os.path.dirname(os.path.join(release, target)), exist_ok=True)
        copy(found, os.path.join(release, target))
    mark = os.path.join(release, ".barehost")
    os.makedirs(mark, exist_ok=True)
    with open(os.path.join(mark, "from-image"), "w", encoding="utf-8") as file:
        file.write(f"{image}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
