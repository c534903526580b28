"""What is written to results/ and read from there: one JSON file for each scenario."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.figures import Figure
from benchmarks.peers import HERE

RESULTS: Final = HERE / "results"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What it was measured on."""

    cpu: str
    cores: int
    kernel: str
    python: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What came of one load."""

    label: str
    x: float
    """What grows, where something does."""
    figures: Mapping[str, Mapping[str, Figure]]
    """By peer and metric, which have the names of `peers` and `figures.METRICS`."""
    skipped: Mapping[str, str]
    """Peers that could not carry this load, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one scenario."""

    scenario: str
    date: str
    """Of the end of the measurement: RFC 3339, in UTC."""
    machine: Machine
    rounds: int
    seconds: float
    """That each peer was measured in each round."""
    versions: Mapping[str, str]
    """Of the peers that were measured."""
    skipped: Mapping[str, str]
    """Peers that were not there, and why."""
    rows: list[Row]


def machine() -> Machine:
    """This machine."""
    return Machine(
        cpu=_cpu_model(Path("/proc/cpuinfo").read_text(encoding="utf-8")),
        cores=len(os.sched_getaffinity(0)),
        kernel=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
    )


def _cpu_model(cpuinfo: str) -> str:
    """The first model name in the text of /proc/cpuinfo; other architectures than x86 may have none."""
    for line in cpuinfo.splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def now() -> str:
    """The date of a result."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def write(result: Result, folder: Path) -> None:
    """Write `result` to its file in `folder`, in the place of an earlier one."""
    folder.mkdir(parents=True, exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(result, order="deterministic"), indent=2)
    (folder / f"{result.scenario}.json").write_bytes(text + b"\n")


def read(folder: Path) -> dict[str, Result]:
    """All results in `folder`, by the names of their scenarios.  Raises msgspec.ValidationError."""
    found = (msgspec.json.decode(path.read_bytes(), type=Result) for path in sorted(folder.glob("*.json")))
    return {result.scenario: result for result in found}
