"""One folder to /srv/assets, by the SHA-1 of every file."""

from pyinfra import host
from pyinfra.operations import files

files.sync(name="Folder of files", src=host.data.folder, dest="/srv/assets", delete=True)
