"""The job that all peers do: the same files in every run."""

from __future__ import annotations

from pathlib import Path

from bench.job import FOLDERS, STATIC, STATIC_BYTES, Job


def test_the_job_is_500_static_files_of_8_mb_and_the_same_in_every_run(tmp_path: Path) -> None:
    one, other = Job(tmp_path / "one"), Job(tmp_path / "other")
    for job in (one, other):
        job.write()
    files = [path for path in sorted((one.site / "static").rglob("*")) if path.is_file()]
    assert len(files) == STATIC == 500
    assert STATIC_BYTES - 500 < sum(path.stat().st_size for path in files) <= STATIC_BYTES == 8 << 20
    for path in files:
        assert path.read_bytes() == (other.site / path.relative_to(one.site)).read_bytes()


def test_a_changed_static_file_is_one_of_the_same_length(tmp_path: Path) -> None:
    job = Job(tmp_path)
    job.write()
    before = {path: path.read_bytes() for path in (job.site / "static").rglob("*.bin")}
    job.change_static(7)
    changed = [path for path, content in before.items() if path.read_bytes() != content]
    assert [path.stat().st_size for path in changed] == [len(before[changed[0]])]


def test_the_folders_of_many_files_are_what_their_cases_say() -> None:
    assert {name: (count, count * size) for name, (count, size, _) in FOLDERS.items()} == {
        "5000": (5_000, 10_240_000),
        "50000": (50_000, 51_200_000),
        "200MB": (2_000, 200_000_000),
    }
