"""The native tools of the benchmark: built from `native/` where that is needed.

Rules
    * A program is built when a source or header is newer than it is.
    * It is put in place whole: who runs the old one, or builds at the same time, is not disturbed.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SOURCES: Final = Path(__file__).parent / "native"
SHARED: Final = ("wire", "http", "process")
PROGRAMS: Final[Mapping[str, Sequence[str]]] = {
    "load": ("load", "modes", "client", "histogram", *SHARED),
    "echo": ("echo", "ticks", *SHARED),
}
"""The sources of each program."""
FLAGS: Final = ("-O2", "-Wall", "-Wextra", "-Werror")


class BuildError(Exception):
    """The tools cannot be built; the message says why, and what would help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """The programs, ready to be run."""

    load: Path
    """The downstream: puts load on a port, and measures."""
    echo: Path
    """The upstream."""


def build(into: Path) -> Tools:
    """Build what is missing or older than its sources in the folder `into`.  Raises BuildError."""
    into.mkdir(parents=True, exist_ok=True)
    for name in PROGRAMS:
        if not _is_fresh(into / name):
            _build(name, into)
    return Tools(load=into / "load", echo=into / "echo")


def _is_fresh(program: Path) -> bool:
    newest = max(path.stat().st_mtime_ns for path in SOURCES.glob("*.[ch]"))
    return program.exists() and program.stat().st_mtime_ns > newest


def _build(name: str, into: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        raise BuildError(
            "there is no C compiler (cc) to build the benchmark's tools with; "
            "install one, for instance by `apt install gcc libc6-dev`"
        )
    with tempfile.TemporaryDirectory(dir=into) as scratch:
        built = Path(scratch, name)
        sources = [SOURCES / f"{source}.c" for source in PROGRAMS[name]]
        ran = subprocess.run(
            [compiler, *FLAGS, "-o", built, *sources], capture_output=True, text=True, check=False
        )
        if ran.returncode:
            raise BuildError(f"{compiler} cannot build benchmarks/native/{name}.c:\n{ran.stderr.rstrip()}")
        built.replace(into / name)
