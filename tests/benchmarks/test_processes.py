"""Processes that are measured."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from benchmarks.processes import Process, StartError, on_cores, pss, ran, tree

FAMILY = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
print(child.pid, flush=True)
child.wait()
"""
"""A process that does nothing, with a child that works."""


@pytest.fixture
def family(tmp_path: Path) -> Iterator[tuple[Process, int]]:
    """That process, and the number of its child."""
    with Process([sys.executable, "-c", FAMILY], folder=tmp_path, cores=os.sched_getaffinity(0)) as process:
        said = tmp_path / "stdout.txt"
        process.wait_until(lambda: said.read_bytes().endswith(b"\n"))
        yield process, int(said.read_bytes())


def test_the_first_field_of_schedstat_is_the_time_on_a_processor() -> None:
    """The others are time spent waiting, and how often."""
    assert ran("42670353 11392866 130\n") == 42_670_353


def test_the_share_of_memory_is_found_among_its_parts() -> None:
    """Pss is another line than Pss_Anon, and counts KiB."""
    text = (
        "563a3494b000-7ffe2fd9c000 ---p 00000000 00:00 0    [rollup]\n"
        "Rss:                1804 kB\nPss:                 523 kB\nPss_Anon:            112 kB\n"
    )
    assert pss(text) == 523 * 1024


def test_memory_without_a_share_is_an_error() -> None:
    """Rather than nothing."""
    with pytest.raises(ValueError, match="Pss"):
        pss("Rss:    1804 kB\n")


def test_descendants_count(family: tuple[Process, int]) -> None:
    """The child's work is the process's, and so is its memory."""
    process, child = family
    assert list(tree(process.pid)) == [process.pid, child]
    before = process.cpu()
    process.wait_until(lambda: process.cpu() > before + 0.05)
    own = pss(Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii"))
    assert process.memory() > own


def test_a_stop_takes_the_descendants_along(family: tuple[Process, int]) -> None:
    """Nobody is left behind, and nothing is left of what is read of them."""
    process, child = family
    process.stop()
    _wait_for_the_end_of(child)
    assert process.cpu() == 0


def test_a_process_that_ignores_the_request_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After some patience."""
    monkeypatch.setattr("benchmarks.processes.GRACE", 0.1)
    code = "from signal import *; signal(SIGTERM, SIG_IGN); print(1, flush=True); pause()"
    with Process([sys.executable, "-c", code], folder=tmp_path, cores=os.sched_getaffinity(0)) as process:
        process.wait_until(lambda: (tmp_path / "stdout.txt").read_bytes() != b"")
    _wait_for_the_end_of(process.pid)


def test_a_process_that_ends_early_is_quoted(tmp_path: Path) -> None:
    """With its status and its last line."""
    code = "import sys; sys.exit('no such luck')"
    with (
        Process([sys.executable, "-c", code], folder=tmp_path, cores=os.sched_getaffinity(0)) as process,
        pytest.raises(StartError, match=r"^ended with status 1: no such luck$"),
    ):
        process.wait_until(lambda: False)


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Rather than a traceback."""
    with pytest.raises(StartError, match=r"^/nowhere/at-all: No such file"):
        Process(["/nowhere/at-all"], folder=tmp_path, cores=os.sched_getaffinity(0))


def test_a_terminal_is_one(tmp_path: Path) -> None:
    """A program can draw on it: it is a terminal, it controls the session, has a size, and is read from."""
    code = (
        "import os, sys; sys.stdout.write('x' * 1_000_000); sys.stdout.flush()\n"
        "fine = os.isatty(0) and os.tcgetpgrp(1) == os.getpgrp()\n"
        "sys.exit(f'{fine} {os.get_terminal_size(1).columns}')"
    )
    with (
        Process(
            [sys.executable, "-c", code],
            folder=tmp_path,
            cores=os.sched_getaffinity(0),
            output="terminal",
        ) as process,
        pytest.raises(StartError, match=r"True 120$"),
    ):
        process.wait_until(lambda: False)


def test_processes_start_on_the_cores_that_they_are_given() -> None:
    """And this one goes back to its own."""
    mine = os.sched_getaffinity(0)
    with on_cores({min(mine)}):
        said = subprocess.run(
            [sys.executable, "-c", "import os; print(*os.sched_getaffinity(0))"],
            capture_output=True,
            text=True,
            check=True,
        )
    assert said.stdout.split() == [str(min(mine))]
    assert os.sched_getaffinity(0) == mine


def _wait_for_the_end_of(pid: int) -> None:
    """Return when there is no process `pid` any more, or only what its parent has yet to take notice of."""
    deadline = time.monotonic() + 10
    with suppress(FileNotFoundError, ProcessLookupError):
        while ") Z " not in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8"):
            assert time.monotonic() < deadline, f"process {pid} still lives"
            time.sleep(0.01)
