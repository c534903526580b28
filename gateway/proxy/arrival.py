"""A client connection until it is known what it is for.

Strategy
    Most clients of this gateway open a WebSocket.  Their request is read right here, where it costs a
    fraction of what a server for all of HTTP needs for it, and the connection goes from here into a tunnel.
    Any other request, and any opening handshake that is not plainly one, is aiohttp's, from its first byte
    on; so is the answer to a handshake that does not become a tunnel.

Rules
    * What is not understood at once is not understood here: there is one reader of HTTP, and it is aiohttp's.
    * A client that says nothing is closed without a byte after readHeaderTimeout (core-v1, section 4.1).
    * Bytes that come ahead of the answer are kept, up to a bound, and go where the connection goes.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, cast

from gateway.proxy.connection import Connection, Limits, Reply
from gateway.websocket.handshake import OpeningRequest, read_request

_ENOUGH: Final = 64 * 1024
"""Bytes ahead of an answer after which no more are read."""

Opener = Callable[["Arrival", OpeningRequest], Awaitable[Reply | None]]
"""Opens a WebSocket; None where the connection is in a tunnel now, or has gone."""


class Arrivals:
    """The clients of one listener of whom it is not known yet what they want."""

    def __init__(self, limits: Limits, opener: Opener, http: Callable[[], Connection]) -> None:
        self.limits = limits
        self.opener = opener
        self.http = http
        self.present: set[Arrival] = set()

    def __call__(self) -> "Arrival":
        """Make the protocol of a connection."""
        return Arrival(self)


class Arrival(asyncio.Protocol):
    """One client connection."""

    __slots__ = ("_arrivals", "_late", "_paused", "_task", "_timer", "transport")

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._late = b""
        """What has come behind the request."""
        self._paused = False
        self._task: asyncio.Task[None] | None = None
        """Opens the WebSocket."""
        self._timer: asyncio.TimerHandle | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Give the client time to say something."""
        # uvloop's transports are no subclasses of asyncio's.
        self.transport = cast(asyncio.Transport, transport)
        self._arrivals.present.add(self)
        head = self._arrivals.limits.head
        if head is not None:
            self._timer = asyncio.get_running_loop().call_later(head, self.transport.close)

    def data_received(self, data: bytes) -> None:
        """Look at the first bytes; keep those that come while the WebSocket is opened."""
        if self._task is not None:
            self._late += data
            if len(self._late) > _ENOUGH and self.transport is not None:
                self._paused = True
                self.transport.pause_reading()
            return
        if self._timer is not None:
            self._timer.cancel()
        limits = self._arrivals.limits
        request = read_request(data, limits.head_bytes, limits.head_fields)
        if request is None:
            self._give_to_http(data, None)
        else:
            self._late = request.rest
            self._task = asyncio.get_running_loop().create_task(self._open(request, data))

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone: nobody needs the upstream any more."""
        del exc
        self.release()
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def release(self) -> bytes:
        """Let somebody else have the connection, with what has come behind the request."""
        self._arrivals.present.discard(self)
        self.transport = None
        late, self._late = self._late, b""
        return late

    async def _open(self, request: OpeningRequest, data: bytes) -> None:
        reply = await self._arrivals.opener(self, request)
        if reply is not None:
            self._give_to_http(data.removesuffix(request.rest) + self._late, reply)

    def _give_to_http(self, data: bytes, reply: Reply | None) -> None:
        """Let aiohttp have the connection, `data` first; with `reply`, its first answer is known."""
        transport = self.transport
        self.release()
        if transport is None or transport.is_closing():
            if reply is not None:
                reply.drop()
            return
        connection = self._arrivals.http()
        connection.reply = reply
        transport.set_protocol(connection)
        if self._paused:
            transport.resume_reading()  # before aiohttp has reasons of its own to pause
        connection.connection_made(transport)
        if reply is None and self._timer is not None:  # else the head is here, however long its answer took
            connection.expect_head(by=self._timer.when())
        connection.data_received(data)
