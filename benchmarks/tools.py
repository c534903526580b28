"""The load generator and the echo server: run, and listened to.

They are the two ends of every measurement, written in C (native/, built by native.py) so that they cost less
than any proxy does.
"""

import select
import subprocess
from collections.abc import Collection
from pathlib import Path
from typing import Final, Self, TypeVar

import msgspec

from benchmarks.peers import BUILD
from benchmarks.processes import Process, on_cores
from benchmarks.scenarios import Load

PATIENCE: Final = 60.0
"""Seconds that the load generator may take beyond what it was told: to open its connections, most of all."""


class LoadError(Exception):
    """A load could not be put on a proxy; the message says why."""


class Start(msgspec.Struct, tag_field="event", tag="start"):
    """The measured window begins."""


class Open(msgspec.Struct, tag_field="event", tag="open"):
    """All idle connections are open."""

    connections: int


class End(msgspec.Struct, tag_field="event", tag="end"):
    """The measured window has ended; what happened in it."""

    messages: int
    seconds: float
    p50_us: float
    p99_us: float
    p999_us: float
    max_us: float
    cpu_seconds: float
    errors: int
    reconnects: int


Said = TypeVar("Said", Start, Open, End)

_decode = msgspec.json.Decoder(Start | Open | End).decode


def echo(folder: Path, cores: Collection[int]) -> tuple[Process, int]:
    """Start the echo server; return it and its port."""
    process = Process([str(BUILD / "echo"), "0"], folder=folder, cores=cores)
    try:
        said = folder / "stdout.txt"
        process.wait_until(lambda: said.read_bytes().endswith(b"\n"))
        return process, int(msgspec.json.decode(said.read_bytes())["port"])
    except BaseException:
        process.stop()
        raise


class Generator:
    """The load generator at work, until the end of the `with` block."""

    def __init__(
        self, load: Load, port: int, *, warmup: float, seconds: float, cores: Collection[int]
    ) -> None:
        """Put `load` on what listens on `port`: `seconds` of it after `warmup` seconds."""
        self._patience: Final = warmup + seconds + PATIENCE
        command = [str(BUILD / "load"), load.mode, "--port", str(port)]
        for option, value in _options(load, warmup, seconds).items():
            command += [f"--{option}", str(value)]
        with on_cores(cores):
            self._process = subprocess.Popen(
                command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def wait_for(self, kind: type[Said]) -> Said:
        """What the generator says next.  Raises LoadError where it is not a `kind`, or does not come."""
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], self._patience)
        if not ready:
            raise LoadError(f"too slow: no load within {self._patience:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            _, words = self._process.communicate()
            raise LoadError(words.decode(errors="replace").strip() or "the load generator has ended")
        said = _decode(line)
        assert isinstance(said, kind), said
        return said

    def finish(self) -> None:
        """Wait until the generator has closed its connections.  Raises LoadError where it does not."""
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise LoadError("too slow: connections are not closed") from None


def _options(load: Load, warmup: float, seconds: float) -> dict[str, float | str]:
    """The options that `load` takes (benchmarks/native/load.c)."""
    options: dict[str, float | str] = {"connections": load.connections}
    if load.mode != "idle":
        options |= {"warmup": warmup, "seconds": seconds}
    if load.mode == "echo":
        options |= {"size": load.size, "batch": load.batch}
    if load.mode == "http":
        options["path"] = load.path
    return options
