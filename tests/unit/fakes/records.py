"""Records of staging hosts that were never booted."""

from __future__ import annotations

from pathlib import Path

from deploy.staging.record import Record


def record(tmp_path: Path, name: str, **values: object) -> Record:
    known: dict[str, object] = {
        "name": name,
        "state": str(tmp_path),
        "suite": "bookworm",
        "python": False,
        "image": None,
        "user": "root",
        "sudo_password": None,
        "port": 22,
        "behind": None,
        "address": "10.213.0.2",
        "network": "10.213.0.0/20",
        "layers": (),
    }
    return Record(**{**known, **values})  # type: ignore[arg-type]
