"""Results in files."""

from pathlib import Path

import msgspec
import pytest

from benchmarks.results import machine, read, write
from tests.benchmarks.samples import result, sample


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """All of it, from a folder that need not be there before."""
    folder = tmp_path / "new" / "results"
    written = result("S1", [{"nginx": sample(10), "aileron": sample(12)}], skipped={"go": "not here"})
    write(written, folder)
    assert read(folder) == {"S1": written}


def test_a_run_replaces_what_it_measured_and_nothing_else(tmp_path: Path) -> None:
    """Other scenarios keep their results."""
    for cost in (10, 20):
        write(result("S1", [{"nginx": sample(cost)}]), tmp_path)
    write(result("S3", [{"nginx": sample(30)}]), tmp_path)
    found = read(tmp_path)
    assert set(found) == {"S1", "S3"}
    assert found["S1"].rows[0].figures["nginx"]["cpu_us"].median == 20


def test_a_broken_file_is_an_error(tmp_path: Path) -> None:
    """Rather than half a result."""
    (tmp_path / "S1.json").write_text('{"scenario": "S1"}', encoding="utf-8")
    with pytest.raises(msgspec.ValidationError, match="missing required field"):
        read(tmp_path)


def test_the_machine_is_known() -> None:
    """All of its data have a value."""
    found = machine()
    assert found.cores > 0
    assert all((found.cpu, found.kernel.startswith("Linux "), found.python))
