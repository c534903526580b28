"""Standard output: records on their last way, as lines for people or for programs."""

import os
import sys
import time
from typing import Final, Literal

from gateway import text
from gateway.events import Event, encode

Form = Literal["text", "json"]

_PAUSE: Final = 0.01
"""Seconds until a descriptor that takes nothing for now is tried again."""


class Output:
    """Writes records to the file descriptor `descriptor`, in one of two forms; None: to nowhere.

    A lost or closed output is no error: what comes later is dropped.  For one thread at a time.
    """

    def __init__(self, descriptor: int | None, form: Form) -> None:
        self.form: Final = form
        self._descriptor = descriptor

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
        view = memoryview(data)
        while view and self._descriptor is not None:
            try:
                view = view[os.write(self._descriptor, view) :]
            except BlockingIOError:
                # Somebody who shares the descriptor has made it non-blocking.
                time.sleep(_PAUSE)
            except OSError:
                self._descriptor = None


def standard_output() -> int | None:
    """The file descriptor of standard output; None where the process was started without one.

    Without this check, a socket that happens to get the number 1 would receive the log.
    """
    try:
        return sys.stdout.fileno() if sys.stdout is not None else None
    except (OSError, ValueError):
        return None
