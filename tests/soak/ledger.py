"""What happened: sessions, losses, faults, and the gateway's own account of it all."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from typing import IO, Final

from gateway.events import Close, Error, Event, Open, Violation, decode

KEPT: Final = 50
"""Losses that are kept word for word; more are counted."""


class Ledger:
    """The soak's account; `count` names what is counted, in the words of the report."""

    def __init__(self) -> None:
        self.count: Counter[str] = Counter()
        self.losses: list[str] = []

    def lose(self, what: str) -> None:
        """Note a loss."""
        self.count["losses"] += 1
        if len(self.losses) < KEPT:
            self.losses.append(what)


class GatewayLog:
    """The gateway's records, as a thread reads them.

    Only what a client has asked for is kept: a soak has more records than there is memory.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._reading = threading.Event()
        self._reading.set()
        self._waiting: dict[str, Callable[[Close], None]] = {}
        """By request path: who wants to know how that WebSocket ended."""
        self._conns: dict[int, str] = {}
        """The request paths of the WebSockets that are open."""
        self.upstreams: dict[str, str] = {}
        """By request path, the upstreams of the WebSockets that somebody wants to know of."""
        self.messages: Counter[str] = Counter()
        """What went wrong, as the log tells it."""

    @property
    def open(self) -> int:
        """WebSockets that are open."""
        with self._lock:
            return len(self._conns)

    def pause(self) -> None:
        """Read no more for now."""
        self._reading.clear()

    def go_on(self) -> None:
        """Read again."""
        self._reading.set()

    def expect(self, path: str) -> "asyncio.Future[Close]":
        """How the WebSocket at `path` will end."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Close] = loop.create_future()

        def settle(record: Close) -> None:
            if not future.done():
                future.set_result(record)

        with self._lock:
            self._waiting[path] = lambda record: _tell(loop, settle, record)
        return future

    def forget(self, path: str) -> None:
        """Nobody wants to know any more how the WebSocket at `path` will end."""
        with self._lock:
            self._waiting.pop(path, None)
            self.upstreams.pop(path, None)

    def read_from(self, file: IO[bytes]) -> None:
        """Take records until there are no more.  The thread's."""
        for line in file:
            self._reading.wait()
            if line.startswith(b"{"):
                self._take(decode(line))

    def _take(self, record: Event) -> None:
        with self._lock:
            self._ledger.count["records"] += 1
            match record:
                case Open():
                    self._conns[record.conn] = record.path
                    if record.path in self._waiting:
                        self.upstreams[record.path] = record.upstream
                case Close():
                    tell = self._waiting.get(self._conns.pop(record.conn))
                    if tell is not None:
                        tell(record)
                case Error():
                    self.messages[record.message] += 1
                case Violation():
                    self._ledger.count["violations"] += 1
                case _:
                    pass


def _tell(loop: asyncio.AbstractEventLoop, settle: Callable[[Close], None], record: Close) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(settle, record)
