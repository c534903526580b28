"""Kits of the real servers, in a folder and on ports of their own."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

import launcher
from tests.launcher.ptys import Pty
from tests.servers import reserved_port

CHECKOUT = Path(launcher.__file__).parent.parent
CONFIG = CHECKOUT / "config.yaml"


@dataclass(frozen=True)
class Site:
    """A folder with a config.yaml; the gateway takes any port, the upstream `upstream_port`."""

    folder: Path
    upstream_port: int

    def config(self, gateway_addr: str) -> None:
        """Write a config.yaml whose server listens on `gateway_addr`."""
        text = CONFIG.read_text().replace('":8080"', f'"{gateway_addr}"')
        (self.folder / "config.yaml").write_text(
            text.replace("localhost:9090", f"127.0.0.1:{self.upstream_port}")
        )

    def up(self, *options: str) -> list[str]:
        """The command line of `aileron-demo up` here."""
        addr = f"127.0.0.1:{self.upstream_port}"
        return [sys.executable, "-m", "launcher", "up", "--upstream-addr", addr, *options]

    def free_port(self) -> int:
        """A port that was free a moment ago."""
        with reserved_port() as port:
            return port

    @property
    def env(self) -> dict[str, str]:
        """An environment in which the checkout is found, and nothing of the developer's terminal."""
        hidden = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TERM", "COLORTERM", "BROWSER")
        kept = {name: value for name, value in os.environ.items() if name not in hidden}
        return {**kept, "PYTHONPATH": str(CHECKOUT)}

    def terminal(self, *options: str, columns: int = 100, rows: int = 30, **env: str) -> Pty:
        """`aileron-demo up` in a terminal."""
        return Pty(self.up(*options), cwd=self.folder, env={**self.env, **env}, columns=columns, rows=rows)

    @contextmanager
    def piped(self, *options: str, **env: str) -> Iterator["subprocess.Popen[bytes]"]:
        """`aileron-demo up` with pipes."""
        process = subprocess.Popen(
            self.up(*options),
            cwd=self.folder,
            env={**self.env, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


@contextmanager
def make_site(folder: Path) -> Iterator[Site]:
    """A site in `folder`."""
    with reserved_port() as port:
        made = Site(folder, port)
        made.config("localhost:0")
        yield made


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site of the test's own."""
    with make_site(tmp_path) as made:
        yield made


def children_of(pid: int) -> dict[str, int]:
    """The processes that `pid` has started, by the module that they run."""
    found = {}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        if b"-m" in words:
            found[words[words.index(b"-m") + 1].decode()] = int(child)
    return found


def wait_until_gone(pids: Sequence[int], seconds: float) -> float:
    """Wait until none of `pids` runs; return how long it took."""
    began = time.monotonic()
    left = set(pids)
    while left:
        left = {pid for pid in left if _runs(pid)}
        assert time.monotonic() - began < seconds, f"still running: {left}"
        time.sleep(0.02)
    return time.monotonic() - began


def _runs(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    # A process that nobody has reaped yet is no longer running.
    return ") Z " not in stat
