"""A thread that writes, so that a reader who is slow or gone never holds the launcher up.

`aileron-demo up | less` stops reading as soon as its page is full; a terminal may hang.  Whoever has to
answer signals and watch children must not wait for that: it hands its bytes over, and asks `full` before it
makes more.
"""

import os
import select
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

LIMIT: Final = 256 * 1024
"""Bytes that wait to be written at most, give or take one batch."""


class Output:
    """Writes to a file descriptor, in order.

    Any thread may call any method.  When writing fails (the reader is gone, the disk is full), `on_broken` is
    called once, from the writing thread, with the error, and everything after is dropped.
    """

    def __init__(self, descriptor: int, on_broken: Callable[[OSError], None]) -> None:
        self._descriptor = descriptor
        self._on_broken = on_broken
        self._changed = threading.Condition()
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._broken = self._closed = False
        threading.Thread(target=self._run, name=f"output {descriptor}", daemon=True).start()

    def write(self, data: bytes) -> None:
        """Hand `data` over; returns at once."""
        with self._changed:
            if data and not self._broken:
                self._waiting.append(data)
                self._size += len(data)
                self._changed.notify_all()

    @property
    def full(self) -> bool:
        """Whether so much waits that nothing should be added."""
        return self._size > LIMIT

    @property
    def idle(self) -> bool:
        """Whether everything has been written."""
        return self._size == 0

    def flush(self, patience: float) -> None:
        """Wait until everything has been written, `patience` seconds at most."""
        with self._changed:
            self._changed.wait_for(lambda: self._size == 0, patience)

    def close(self, patience: float) -> None:
        """Flush, and let the writing thread end; where the reader has hung, it is left behind."""
        self.flush(patience)
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                data = self._waiting.popleft()
            try:
                self._write(data)
            except OSError as error:
                self._break(error)
                return
            with self._changed:
                self._size -= len(data)
                self._changed.notify_all()

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._descriptor, view) :]
            except BlockingIOError:
                # Another program that shares this terminal or pipe has made it non-blocking.
                select.select([], [self._descriptor], [])

    def _break(self, error: OSError) -> None:
        with self._changed:
            self._broken = True
            self._waiting.clear()
            self._size = 0
            self._changed.notify_all()
        self._on_broken(error)
