"""`/ws`: the greeting, the beat of a second, the answer to each message.

Strategy
    Each connection has two tasks: one reads messages and makes replies, one says what there is to say.  The
    speaker asks the wall clock which second it is before it waits and after; a new second is a tick.  So
    ticks fall on the second, never drift, and follow a clock that is set anew.

Rules
    * A speaker that is held up by a slow client skips the seconds that have passed: ticks are not queued.
    * One reply waits at most; while it does nothing more is read, and TCP tells the client.
"""

import asyncio
import math
from collections.abc import Callable
from email.utils import formatdate

from aiohttp import web

from demo_upstream.connections import Connection, Connections

GREETING = "Hello!! This is a WebSocket server!!"


class Clock:
    """The handler of `/ws`.  `now` is the wall clock, in seconds since the epoch."""

    def __init__(self, connections: Connections, now: Callable[[], float]) -> None:
        self._connections = connections
        self._now = now

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """One client's whole story."""
        # Uncompressed: whoever looks at the frames sees as many bytes as there are in the text.
        async with self._connections.accept(request, compress=False) as (response, connection):
            replies: asyncio.Queue[str] = asyncio.Queue(maxsize=1)
            async with asyncio.TaskGroup() as tasks:
                speaker = tasks.create_task(
                    self._speak(connection, replies), name=f"clock for {request.remote}"
                )
                async for message in connection.messages():
                    await replies.put(reply_to(message))
                speaker.cancel()
        return response

    async def _speak(self, connection: Connection, replies: asyncio.Queue[str]) -> None:
        """Greet, then tell each new second and each reply, until the connection is lost."""
        await connection.send(GREETING)
        told = math.floor(self._now())
        while True:
            second = math.floor(self._now())
            if second != told:
                told = second
                await connection.send(tick(second))
                continue
            try:
                async with asyncio.timeout(told + 1 - self._now()):
                    reply = await replies.get()
            except TimeoutError:
                continue
            await connection.send(reply)


def tick(second: int) -> str:
    """What the clock says at `second` since the epoch: an IMF-fixdate (RFC 9110 section 5.6.7)."""
    return f"It's {formatdate(second, usegmt=True)}"


def reply_to(message: str | bytes) -> str:
    """The answer to a text or a binary message."""
    arrived = message if isinstance(message, str) else f"{len(message)} bytes"
    return f"Your message arrived: {arrived}"
