"""A real terminal for tests: a pty with a command in it, and an emulator for what a person sees."""

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import pyte

# The command leads a session of its own whose terminal is the pty, as a login does.
_LEAD = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


class Pty:
    """A terminal of `columns` and `rows` in which `command` runs."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        columns: int = 100,
        rows: int = 30,
    ) -> None:
        self._master, self._slave = pty.openpty()
        self.screen = pyte.HistoryScreen(columns, rows, history=10_000)
        self._stream = pyte.ByteStream(self.screen)
        self._lock = threading.Lock()
        self.raw = b""
        """All that was written."""
        self.resize(columns, rows)
        self.modes_before = self.modes
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LEAD, *command],
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            cwd=cwd,
            env={"TERM": "xterm-256color", **env},
            start_new_session=True,
        )
        self.pid = self._process.pid
        self._reading = True
        self._reader = threading.Thread(target=self._read, name="pty", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while self._reading:
            if not select.select([self._master], [], [], 0.05)[0]:
                continue
            data = os.read(self._master, 65536)
            with self._lock:
                self.raw += data
                self._stream.feed(data)

    @property
    def modes(self) -> list[Any]:
        """The terminal's settings: echo, line mode and the rest."""
        return termios.tcgetattr(self._slave)

    def resize(self, columns: int, rows: int) -> None:
        """Make the window another size."""
        with self._lock:
            self.screen.resize(rows, columns)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._master, text.encode())

    def signal(self, number: signal.Signals) -> None:
        """Send the command a signal."""
        self._process.send_signal(number)

    @property
    def rows(self) -> list[str]:
        """What stands on the screen, row by row."""
        with self._lock:
            return [row.rstrip() for row in self.screen.display]

    @property
    def text(self) -> str:
        """What has scrolled away, and what stands on the screen."""
        with self._lock:
            columns = range(self.screen.columns)
            gone = ["".join(row[at].data for at in columns) for row in self.screen.history.top]
            return "\n".join(row.rstrip() for row in [*gone, *self.screen.display])

    def wait_for(self, what: str | Callable[[], bool], seconds: float = 15) -> None:
        """Wait until a text is there, or a function says so."""
        deadline = time.monotonic() + seconds
        while not (what in self.text if isinstance(what, str) else what()):
            assert time.monotonic() < deadline, f"{what!r} did not come; the screen:\n{self.text}"
            time.sleep(0.02)

    def wait(self, seconds: float = 10) -> int:
        """Wait for the end of the command; return its exit status, once all that it wrote has been read."""
        status = self._process.wait(seconds)
        # The last bytes are in the pty by now; the reader takes them in a turn or two.
        while select.select([self._master], [], [], 0.1)[0] and self._reader.is_alive():
            time.sleep(0.01)
        return status

    def hang_up(self) -> None:
        """Take the terminal away: the command gets SIGHUP, reads the end, and cannot write."""
        self._reading = False
        self._reader.join(5)
        for end in (self._master, self._slave):
            with contextlib.suppress(OSError):
                os.close(end)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(5)
        self.hang_up()
