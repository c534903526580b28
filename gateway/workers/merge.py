"""The event streams of all workers, as one.

Strategy
    A thread for each stream reads lines, gives each connection a number that no other worker's has, and
    writes, in the form that was asked for, under one lock.
    Nothing is dropped here: where standard output takes no more, the threads stand still, the pipes of the
    workers fill, and each worker's own log counts what it leaves out, while its traffic goes on.

Rules
    * The records of a worker stay in their order; those of several come as they arrive.
    * Numbers count up from 1, in the order in which connections are first told of.
"""

import asyncio
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import IO, Final

import msgspec

from gateway.events import Close, Error, decode, rfc3339
from gateway.proxy.log import FLUSH, EventLog, Frames
from gateway.proxy.output import Output

_CHUNK: Final = 1 << 16


class Merge:
    """Several streams of records into one output."""

    def __init__(self, output: Output, frames: Frames) -> None:
        """`frames` says what is told, as for an EventLog."""
        self._output = output
        self._lock = threading.Lock()
        """Of the output and the numbers."""
        self._numbers = itertools.count(1)
        self._threads: list[threading.Thread] = []
        reader, self._end = os.pipe()
        self.follow(os.fdopen(reader, "rb", buffering=0), "the parent")
        self.log: Final = EventLog(self._end, frames, preview=0, frame_rate=0, form="json")
        """For what the parent itself has to say."""

    def follow(self, file: IO[bytes], name: str, ended_well: Callable[[], bool] = lambda: True) -> None:
        """Pass on what comes from an unbuffered `file` until it ends, and close it; `name` says whose.

        `ended_well` tells afterwards, in a thread and as late as it likes, whether who wrote it has ended by
        itself: connections without a `close` record have one that was left out then, and are not lost.
        Raises RuntimeError where there is no room for a thread, and closes `file`.
        """
        self._threads = [each for each in self._threads if each.is_alive()]
        thread = threading.Thread(
            target=self._follow, args=[file, name, ended_well], name=f"lines of {name}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:
            file.close()
            raise
        self._threads.append(thread)

    async def close(self) -> None:
        """Write what is waiting, as far as that goes within `FLUSH` seconds for each of two steps."""
        if await self.log.close(FLUSH):
            os.close(self._end)
        await asyncio.get_running_loop().run_in_executor(None, self._join, FLUSH)

    def _join(self, limit: float) -> None:
        end = time.monotonic() + limit
        for each in self._threads:
            each.join(max(0.0, end - time.monotonic()))

    def _follow(self, file: IO[bytes], name: str, ended_well: Callable[[], bool]) -> None:
        numbers: dict[int, int] = {}
        """Of the connections of this stream that are open, by the numbers that they have in it."""
        for lines in _lines(file):
            with self._lock:
                self._output.write(b"".join(self._retold(line, numbers, name) for line in lines))
        if numbers and not ended_well():
            what = "1 WebSocket" if len(numbers) == 1 else f"{len(numbers)} WebSockets"
            with self._lock:
                self._output.write(self._output.line(_error(f"{what} ended with {name}")))

    def _retold(self, line: bytes, numbers: dict[int, int], name: str) -> bytes:
        """A line of one worker as a line of all."""
        if self._output.lost:
            return b""
        try:
            return self._renumbered(line, numbers)
        except Exception as error:  # noqa: BLE001 - a line that cannot be told costs that line, not the stream
            message = f"a record of {name} could not be told: {type(error).__name__}: {error!a}"
            return self._output.line(_error(message))

    def _renumbered(self, line: bytes, numbers: dict[int, int]) -> bytes:
        record = decode(line)
        conn = getattr(record, "conn", None)
        if conn is None:
            return line + b"\n" if self._output.form == "json" else self._output.line(record)
        if conn not in numbers:
            numbers[conn] = next(self._numbers)
        number = numbers.pop(conn) if isinstance(record, Close) else numbers[conn]
        return self._output.line(msgspec.structs.replace(record, conn=number))


def _lines(file: IO[bytes]) -> Iterator[list[bytes]]:
    """Whole lines, without their ends, as they come; what a killed writer has left half is dropped."""
    pieces: list[bytes] = []
    with file:
        while piece := file.read(_CHUNK):
            pieces.append(piece)
            if b"\n" in piece:
                *lines, rest = b"".join(pieces).split(b"\n")
                pieces = [rest]
                yield lines


def _error(message: str) -> Error:
    return Error(time=rfc3339(time.time()), t_ns=time.monotonic_ns(), message=message)
