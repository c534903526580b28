"""A WebSocket's life: accepted, pinged, let go, told goodbye when the server stops.

Strategy
    aiohttp pings a silent peer and closes a connection whose pong fails to come, but it waits for what is
    still unsent, and for a peer that never reads that is forever.  Sends therefore have a time limit of
    their own, and what is unsent when a WebSocket has ended is dropped after a while.

Rules
    * Whatever ends one of a connection's tasks for the peer's sake ends them all, and is a ConnectionError.
    * Nothing is queued without bound: a send waits until the transport takes more.
    * What a message may have is a share: the more connections there are, the less of one is held for each.
    * Who sends more than can be answered leaves turns to the others.
    * When the server stops, each connection closes itself with 1001 and waits for the peer's own Close, but
      not for long.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, hdrs, web

MAX_MESSAGE: Final = 64 * 2**20
"""Bytes of the largest message taken in, four times the 16 MiB that load tools and tests send.

aiohttp's own limit of 4 MiB would end such a connection with 1009.  There is a limit all the same, since a
few kilobytes that were compressed (RFC 7692) can stand for gigabytes.
"""

_ALWAYS: Final = 64 * 2**10
"""Bytes of a message that is taken in however many connections there are."""

MEMORY: Final = 256 * 2**20
"""Bytes of unfinished messages that connections share out, each by how many there are when it comes.

A room full of clients that never finish a message of `MAX_MESSAGE` would fill the machine.  This way, k
connections hold `MEMORY` (1 + ln(k / 4)) bytes at most, 1.6 GiB at a thousand of them.
"""

_HANDFUL: Final = 32
"""Messages and pings of one connection that are answered until the others have their turn."""

_LINGER: Final = 5.0
"""Seconds that a WebSocket that has ended may still take to deliver what was sent."""


class Connection:
    """One open WebSocket.  `send` is for one task at a time, `messages` for one task alone."""

    def __init__(
        self, response: web.WebSocketResponse, transport: asyncio.WriteTransport, stall: float
    ) -> None:
        self._response = response
        self._transport = transport
        self._stall = stall

    async def messages(self) -> AsyncIterator[str | bytes]:
        """Each message as it arrives, text as str and binary as bytes, until the WebSocket ends.

        A Close is answered with its own code and reason (RFC 6455 section 5.5.1), where aiohttp by itself
        would say 1000.
        """
        taken = 0
        while True:
            message = await self._response.receive()
            taken += 1
            if taken % _HANDFUL == 0:
                await asyncio.sleep(0)  # to receive what is there already gives nobody a turn
            match message.type:
                case WSMsgType.TEXT | WSMsgType.BINARY:
                    yield message.data
                case WSMsgType.PING:
                    await self._sent(self._response.pong(message.data))
                case WSMsgType.PONG:
                    pass  # aiohttp has noted that the peer lives
                case WSMsgType.CLOSE:
                    code, reason = message.data or WSCloseCode.OK, (message.extra or "").encode()
                    await self._response.close(code=code, message=reason, drain=False)
                    return
                case _:  # CLOSING, CLOSED or ERROR
                    return

    async def send(self, message: str | bytes) -> None:
        """Send `message`, once the peer has read enough of what was sent before.

        Raises ConnectionError where the connection is lost, or the peer reads nothing for too long.
        """
        if isinstance(message, str):
            await self._sent(self._response.send_str(message))
        else:
            await self._sent(self._response.send_bytes(message))

    async def _sent(self, sending: Awaitable[None]) -> None:
        """Wait for `sending`, but not for ever; raises what `send` does."""
        try:
            async with asyncio.timeout(self._stall):
                await sending
        except TimeoutError:
            self._transport.abort()
            raise ConnectionAbortedError("the peer does not read") from None

    async def farewell(self, stopping: asyncio.Event, patience: float) -> None:
        """Wait for `stopping`, then close; cut off a peer that does not answer within `patience` seconds."""
        await stopping.wait()
        try:
            async with asyncio.timeout(patience):
                await self._response.close(code=WSCloseCode.GOING_AWAY, message=b"the server is stopping")
        except TimeoutError:
            self._transport.abort()
            raise ConnectionAbortedError("the peer does not answer a Close") from None

    def let_go(self) -> None:
        """Leave a connection that has ended to deliver the rest; a peer that does not read it is cut off."""
        if self._transport.get_write_buffer_size():
            asyncio.get_running_loop().call_later(_LINGER, self._transport.abort)


class Connections:
    """What all connections share: their limits, and the word that the server stops."""

    def __init__(
        self,
        *,
        heartbeat: float = 20.0,
        stall: float = 60.0,
        patience: float = 1.0,
        max_message: int = MAX_MESSAGE,
        memory: int = MEMORY,
    ) -> None:
        """Make the limits, all but the last in seconds.

        heartbeat: silence until a ping; a peer whose pong takes longer than half of it is dead.
        stall: the longest that one send may wait for the peer to read.
        patience: how long a stop waits for a peer's Close.
        max_message: bytes of the largest message that is taken in.
        memory: bytes of unfinished messages, of which each connection has its share.
        """
        self._heartbeat = heartbeat
        self._stall = stall
        self._patience = patience
        self._max_message = max_message
        self._memory = memory
        self._open = 0
        self._stopping = asyncio.Event()
        self._farewells: set[asyncio.Task[None]] = set()

    async def stop(self) -> None:
        """Close every connection, those too that are just being opened; takes no longer than `patience`."""
        self._stopping.set()
        if self._farewells:
            await asyncio.wait(self._farewells)

    @asynccontextmanager
    async def accept(
        self, request: web.Request, *, compress: bool
    ) -> AsyncIterator[tuple[web.WebSocketResponse, Connection]]:
        """Answer an opening handshake; the connection lasts as long as the `async with` block.

        With `compress`, permessage-deflate (RFC 7692) is agreed to where the client offers it.
        Of the subprotocols that the client offers the first is agreed to, since browsers fail a connection
        where none is.  The loss of the connection ends the block without an exception.  Raises
        web.HTTPException where the request is not a handshake of version 13 (RFC 6455 section 4.2).
        """
        response = web.WebSocketResponse(
            heartbeat=self._heartbeat,
            max_msg_size=self._share(),
            timeout=self._patience,
            autoclose=False,
            autoping=False,
            compress=compress,
            protocols=_offered(request)[:1],
        )
        if not response.can_prepare(request):
            raise web.HTTPUpgradeRequired(
                headers={
                    hdrs.UPGRADE: "websocket",
                    hdrs.CONNECTION: "Upgrade",
                    hdrs.SEC_WEBSOCKET_VERSION: "13",
                },
                text=f"{request.path} speaks WebSocket, version 13, only. A browser finds the page at /\n",
            )
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the client left before its handshake was read")
        await response.prepare(request)
        self._open += 1
        try:
            connection = Connection(response, transport, self._stall)
            async with asyncio.TaskGroup() as tasks:
                farewell = tasks.create_task(
                    connection.farewell(self._stopping, self._patience), name=f"farewell to {request.remote}"
                )
                self._farewells.add(farewell)
                farewell.add_done_callback(self._farewells.discard)
                yield response, connection
                if not self._stopping.is_set():
                    farewell.cancel()
            connection.let_go()
        except* ConnectionError:
            pass  # the peer is gone, and nobody is left to be told
        finally:
            self._open -= 1

    def _share(self) -> int:
        """Bytes of the largest message that one more connection may send."""
        return min(self._max_message, max(_ALWAYS, self._memory // (self._open + 1)))


def _offered(request: web.Request) -> list[str]:
    """The subprotocols that the client offers, in its order of preference."""
    values = request.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, [])
    return [name.strip() for value in values for name in value.split(",") if name.strip()]
