"""Standard output: records on their last way, as lines for people or for programs.

Rules
    * A lost or closed output is no error: what comes later is dropped.
    * A disk that is full may have room again: what finds none is counted, and told as soon as there is some,
      on a line of its own, whatever piece of one stands before it.
"""

import errno
import os
import sys
import time
from typing import Final, Literal

from gateway import text
from gateway.events import Error, Event, encode, rfc3339

Form = Literal["text", "json"]

_PAUSE: Final = 0.01
"""Seconds until a descriptor that takes nothing for now is tried again."""


_NEWLINE: Final = ord("\n")

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""There is no room for more: on the disk, for this user, or in the file."""


class Output:
    """Writes records to the file descriptor `descriptor`, in one of two forms; None: to nowhere.

    For one thread at a time.
    """

    def __init__(self, descriptor: int | None, form: Form) -> None:
        self.form: Final = form
        self._descriptor = descriptor
        self._missing = 0
        """Lines that have found no room."""
        self._why = ""
        self._torn = False
        """Whether what has been written last is not a whole line."""

    @property
    def lost(self) -> bool:
        """Whether nobody reads any more, or ever did."""
        return self._descriptor is None

    def line(self, record: Event) -> bytes:
        """`record` as it is written, line ends included."""
        if self.form == "json":
            return encode(record)
        return "".join(f"{each}\n" for each in text.lines(record)).encode("utf-8", "backslashreplace")

    def write(self, data: bytes) -> None:
        """Write all of `data`, however long a slow reader takes for it."""
        if self._missing:
            why = f"{self._missing} lines are missing from the log: {self._why}"
            told = self.line(Error(time=rfc3339(time.time()), t_ns=time.monotonic_ns(), message=why))
            if self._torn:
                told = b"\n" + told
            if self._put(told) < len(told):
                self._missing += data.count(b"\n")
                return
            self._missing = 0
        written = self._put(data)
        self._missing += data[written:].count(b"\n")

    def _put(self, data: bytes) -> int:
        """Write `data`: how many bytes of it found room."""
        view = memoryview(data)
        while view and self._descriptor is not None:
            try:
                view = view[os.write(self._descriptor, view) :]
            except BlockingIOError:
                # Somebody who shares the descriptor has made it non-blocking.
                time.sleep(_PAUSE)
            except OSError as error:
                if error.errno not in _FULL:
                    self._descriptor = None
                    break
                self._why = (error.strerror or str(error)).lower()
                written = len(data) - len(view)
                self._torn = data[written - 1] != _NEWLINE if written else self._torn
                return written
        self._torn = False
        return len(data)


def standard_output() -> int | None:
    """The file descriptor of standard output; None where the process was started without one.

    Without this check, a socket that happens to get the number 1 would receive the log.
    """
    try:
        return sys.stdout.fileno() if sys.stdout is not None else None
    except (OSError, ValueError):
        return None
