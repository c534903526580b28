"""Processes that are measured: started on the cores they are given, observed from outside, stopped for good.

Strategy
    What a proxy costs is read from /proc: the processor time of each thread of the process and of its
    descendants (`schedstat`, in nanoseconds), and their share of memory (`Pss` in `smaps_rollup`).  Nothing
    is asked of the process itself.

Rules
    * A process leads a session of its own: the terminal's Ctrl-C reaches this program alone, which stops all
      it has started, descendants included.
    * What a process writes goes to a file in its folder, so that one that fails can be quoted.
"""

import contextlib
import fcntl
import http.client
import os
import pty
import resource
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Final, Literal, Self

Output = Literal["file", "slow reader", "terminal"]
"""Where standard output goes: into a file, to a reader that takes 40 KB a second, to a terminal."""

PATIENCE: Final = 20.0
"""Seconds that a process may take until it answers."""
PAUSE: Final = 0.01
"""Seconds between two questions whether it does."""
GRACE: Final = 5.0
"""Seconds between SIGTERM and SIGKILL."""
SLOW_READ: Final = 4096
"""Bytes that the slow reader takes each `SLOW_PAUSE` seconds."""
SLOW_PAUSE: Final = 0.1
COLUMNS: Final = 120
ROWS: Final = 40
"""The terminal, in cells."""


class StartError(Exception):
    """A process has ended, or does not answer, where it should be running; the message quotes it."""


def ran(schedstat: str) -> int:
    """Nanoseconds on a processor, from the text of a `schedstat` (the kernel's sched-stats.rst)."""
    return int(schedstat.split(maxsplit=1)[0])


def pss(smaps_rollup: str) -> int:
    """Bytes of memory from the text of a `smaps_rollup`; shared pages are divided by those who share them."""
    for line in smaps_rollup.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise ValueError("smaps_rollup without a line that begins with Pss:")


def tree(pid: int) -> Iterator[int]:
    """The process `pid` and its living descendants."""
    yield pid
    for thread in _read_all(f"/proc/{pid}/task", "children"):
        for child in thread.split():
            yield from tree(int(child))


def _read_all(tasks: str, name: str) -> Iterator[str]:
    """The file `name` of each thread under `tasks`; threads that have ended have none."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(tasks).iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                yield (task / name).read_text(encoding="ascii")


@contextlib.contextmanager
def on_cores(cores: Collection[int]) -> Iterator[None]:
    """Start processes on `cores`: they have those of the thread that starts them."""
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, mine)


class Process:
    """A process and its descendants, from its start to the end of the `with` block."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        cores: Collection[int],
        output: Output = "file",
    ) -> None:
        """Start `command` in `folder` on `cores`.

        Raises StartError where the program cannot be run.
        """
        self._words = folder / "stderr.txt"
        self._ended = threading.Event()
        with contextlib.ExitStack() as stack:
            words = stack.enter_context(self._words.open("wb"))
            stdin, stdout, reader = self._ends(output, folder, stack)
            stack.enter_context(on_cores(cores))
            try:
                self._process = subprocess.Popen(
                    # setsid, since a program draws only on a terminal that controls its session.
                    ["setsid", "--ctty", *command] if output == "terminal" else command,
                    cwd=folder,
                    env={**os.environ, "TERM": "xterm-256color"},
                    stdin=stdin,
                    stdout=stdout,
                    stderr=words,
                    start_new_session=output != "terminal",
                )
            except OSError as error:
                raise StartError(f"{command[0]}: {error.strerror}") from error
        self._started: Final = time.monotonic()
        self.answered_after = 0.0
        """Seconds from the start to the answer that `wait_until` waited for."""
        if reader:
            reader.start()
        self.pid: Final = self._process.pid

    def _ends(
        self, output: Output, folder: Path, stack: contextlib.ExitStack
    ) -> tuple[int, int, threading.Thread | None]:
        """Standard input and output for the child, which `stack` closes here, and who reads from it."""
        if output == "file":
            file = stack.enter_context((folder / "stdout.txt").open("wb"))
            return subprocess.DEVNULL, file.fileno(), None
        if output == "terminal":
            ours, theirs = pty.openpty()
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
            read = self._read_at_once
        else:
            ours, theirs = os.pipe()
            read = self._read_slowly
        stack.callback(os.close, theirs)
        reader = threading.Thread(target=read, args=(ours,), name=output, daemon=True)
        return (theirs if output == "terminal" else subprocess.DEVNULL), theirs, reader

    def _read_at_once(self, descriptor: int) -> None:
        # A terminal whose last process has gone is an error to read from.
        with contextlib.suppress(OSError):
            while os.read(descriptor, 65536):
                pass
        os.close(descriptor)

    def _read_slowly(self, descriptor: int) -> None:
        while os.read(descriptor, SLOW_READ):
            if self._ended.wait(SLOW_PAUSE):
                break
        os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def cpu(self) -> float:
        """Seconds of processor time that the living threads of the process and its descendants have used."""
        threads = (_read_all(f"/proc/{pid}/task", "schedstat") for pid in tree(self.pid))
        return sum(ran(text) for texts in threads for text in texts) / 1e9

    def memory(self) -> int:
        """Bytes of memory that the process and its descendants account for."""
        return sum(
            pss(Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")) for pid in tree(self.pid)
        )

    def wait_until(self, answers: Callable[[], bool], patience: float = PATIENCE) -> None:
        """Return once `answers` says so.  Raises StartError if that lasts too long."""
        deadline = self._started + patience
        while not answers():
            if self._process.poll() is not None:
                raise StartError(f"ended with status {self._process.returncode}{self._last_words()}")
            if time.monotonic() > deadline:
                raise StartError(f"does not answer within {patience:g} s{self._last_words()}")
            time.sleep(PAUSE)
        self.answered_after = time.monotonic() - self._started

    def _last_words(self) -> str:
        """What the process wrote last, as the end of a message."""
        lines = self._words.read_text(encoding="utf-8", errors="replace").splitlines()
        return f": {lines[-1]}" if lines else ""

    def stop(self) -> None:
        """End the process and all of its group: SIGTERM, then SIGKILL for what is left."""
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self._signal(signal.SIGKILL)
            self._process.wait()
            self._ended.set()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)


def serves(port: int) -> bool:
    """Whether GET /small on `port` brings what the echo server has there: the way to it is open."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/small", headers={"Connection": "close"})
        return connection.getresponse().read() == b"Hello, world!"
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def raise_file_limit() -> None:
    """Let this process, and all that it starts, have as many open files as the system grants."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
