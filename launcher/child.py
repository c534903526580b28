"""One child process → typed messages.

Strategy
    A thread for each of its two outputs reads lines, another waits for its end; all they do is put messages
    on the launcher's queue.  `Exited` comes after everything that the child has said.

Rules
    * A child lives in a process group of its own: a terminal's Ctrl-C reaches the launcher alone, which then
      stops its children in the right order.
    * Nothing piles up: a reader that is `CREDITS` messages ahead waits until the launcher has dealt with one
      (`read_on`); then the pipe fills, and the child sees that its reader is slow.
    * The working directory is not searched for modules: a user's own folder `gateway/` is not ours.
"""

import contextlib
import os
import signal
import site
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Literal

from launcher.lifeline import Lifeline

CREDITS: Final = 8
CHUNK: Final = 64 * 1024
LINE_LIMIT: Final = 16 * 1024 * 1024
"""Bytes after which a line without end is handed on as it is."""

Stream = Literal["stdout", "stderr"]


@dataclass(frozen=True, slots=True)
class Said:
    """A child has written `lines`, without their newlines."""

    child: str
    stream: Stream
    lines: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Exited:
    """A child has ended; `status` is its exit status, or minus the signal that ended it."""

    child: str
    status: int


def python(module: str, *arguments: str) -> tuple[str, ...]:
    """Return the command line that runs our `module`, whatever lies in the working directory."""
    return (sys.executable, "-P", "-m", module, *arguments)


def environment(inherited: Mapping[str, str], installed: Sequence[str] | None = None) -> dict[str, str]:
    """Return the environment in which `python` finds our modules.

    Installed, they are found without help.  In a checkout, the checkout goes ahead on PYTHONPATH; a
    site-packages folder never does, because there it would stand before the standard library.
    `installed` are the site-packages folders; this interpreter's by default.
    """
    home = str(Path(__file__).resolve().parent.parent)
    folders = [*site.getsitepackages(), site.getusersitepackages()] if installed is None else installed
    result = dict(inherited)
    result["PYTHONIOENCODING"] = "utf-8"  # on Windows a pipe would have the code page of the day
    if home not in {str(Path(folder).resolve()) for folder in folders}:
        result["PYTHONPATH"] = os.pathsep.join(filter(None, (home, inherited.get("PYTHONPATH"))))
    return result


class Child:
    """A process and its readers.  Its methods are for the launcher's main thread."""

    def __init__(
        self, name: str, command: Sequence[str], *, put: Callable[[Said | Exited], None], lifeline: Lifeline
    ) -> None:
        self.name = name
        self._put = put
        self._credits = threading.Semaphore(CREDITS)
        extra, options = lifeline.share()
        if sys.platform == "win32":
            options["creationflags"] = subprocess.CREATE_NEW_PROCESS_GROUP
        else:
            options["start_new_session"] = True
        self._process = subprocess.Popen(  # noqa: S603  (our own modules, no shell)
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env={**environment(os.environ), **extra},
            **options,
        )
        readers = [
            self._thread(self._read, "stdout", self._process.stdout),
            self._thread(self._read, "stderr", self._process.stderr),
        ]
        self._thread(self._wait, readers)

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def read_on(self) -> None:
        """One `Said` has been dealt with: its reader may go on."""
        self._credits.release()

    def ask_to_stop(self) -> None:
        """Send the stop signal; a second one means `at once`."""
        with contextlib.suppress(OSError):  # it ended at this moment, which is what was asked for
            if sys.platform == "win32":
                self._process.send_signal(signal.CTRL_BREAK_EVENT)
            else:
                self._process.terminate()

    def kill(self) -> None:
        """End it and what it may have started, at once."""
        with contextlib.suppress(OSError):  # as above
            if sys.platform == "win32":
                self._process.kill()
            elif self._process.returncode is None:
                os.killpg(self._process.pid, signal.SIGKILL)

    def wait(self, seconds: float) -> None:
        """Wait for its end, `seconds` at most."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def _thread(self, target: Callable[..., None], *arguments: object) -> threading.Thread:
        # Daemons: whatever still holds a pipe open does not keep the launcher from ending.
        name = f"{self.name} {target.__name__.strip('_')}"
        thread = threading.Thread(target=target, args=arguments, name=name, daemon=True)
        thread.start()
        return thread

    def _read(self, stream: Stream, pipe: IO[bytes]) -> None:
        pending = bytearray()
        while True:
            self._credits.acquire()
            chunk = pipe.read(CHUNK)
            if not chunk:
                break
            pending += chunk
            *lines, rest = pending.split(b"\n")
            if len(rest) > LINE_LIMIT:
                lines, rest = [*lines, rest], bytearray()
            pending = rest
            if lines:
                self._put(Said(self.name, stream, [bytes(line) for line in lines]))
            else:
                self._credits.release()
        if pending:
            self._put(Said(self.name, stream, [bytes(pending)]))
        pipe.close()

    def _wait(self, readers: Sequence[threading.Thread]) -> None:
        status = self._process.wait()
        for reader in readers:
            # A grandchild may hold the pipe, or nobody may be dealing with what was said.
            reader.join(timeout=0.5)
        self._put(Exited(self.name, status))
