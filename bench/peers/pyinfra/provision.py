"""The job in pyinfra. With --data release=1: ship the code and restart, no more."""

from pathlib import Path

from pyinfra import host
from pyinfra.operations import apt, files, pip, server, systemd

FILES = Path(host.data.files)

if not host.data.get("release"):
    apt.packages(
        name="Packages",
        packages=["nginx", "python3", "python3-venv"],
        update=True,
        cache_time=3600,
        no_recommends=True,
    )
    server.user(
        name="Account",
        user="shop",
        system=True,
        home="/srv/shop",
        ensure_home=False,
        shell="/usr/sbin/nologin",
    )
    files.directory(name="Folder", path="/srv/shop", mode="755")

code = files.sync(
    name="Code and static files",
    src=host.data.site,
    dest="/srv/shop/site",
    delete=True,
    exclude_dir="*/__pycache__",
)

if host.data.get("release"):
    systemd.service(name="Restart Gunicorn", service="shop", restarted=True, _if=code.did_change)
else:
    packages = pip.packages(
        name="Python environment",
        packages=["flask", "gunicorn"],
        virtualenv="/srv/shop/venv",
        virtualenv_kwargs={"venv": True, "python": "python3"},
    )
    unit = files.put(
        name="Unit", src=FILES / "shop.service", dest="/etc/systemd/system/shop.service", mode="644"
    )
    site = files.template(
        name="Nginx site",
        src=FILES / "shop.conf",
        dest="/etc/nginx/conf.d/shop.conf",
        mode="644",
        max_body=host.data.max_body,
    )
    default = files.link(name="No default site", path="/etc/nginx/sites-enabled/default", present=False)
    systemd.daemon_reload(name="Unit files are read", _if=unit.did_change)
    systemd.service(name="Gunicorn runs", service="shop", running=True, enabled=True)
    systemd.service(
        name="Restart Gunicorn",
        service="shop",
        restarted=True,
        _if=lambda: any(one.did_change() for one in (code, packages, unit)),
    )
    systemd.service(name="Nginx runs", service="nginx", running=True, enabled=True)
    systemd.service(
        name="Reload Nginx",
        service="nginx",
        reloaded=True,
        _if=lambda: any(one.did_change() for one in (site, default)),
    )
