"""A chat by Socket.IO: its server in Python, and its clients.

The server has three events, each of which is acknowledged: `join` a room; `say` something in a room, which
all who are in it hear as `said`; and `echo`, whose acknowledgement is what came with it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

import socketio  # type: ignore[import-untyped]  # it has no types
from aiohttp import web

from tests.interop.npm import FOLDER, PACKAGES
from tests.servers import PATIENCE


@asynccontextmanager
async def serving() -> AsyncIterator[int]:
    """The chat on a port of the system's choosing; the page of a browser is there as well."""
    # Engine.IO pings by itself; the task that does so ends with its next ping.
    server = socketio.AsyncServer(async_mode="aiohttp", ping_interval=0.2)

    async def join(sid: str, room: str) -> str:
        await server.enter_room(sid, room)
        return f"joined {room}"

    async def say(_: str, room: str, text: str) -> str:
        await server.emit("said", text, room=room)
        return "said"

    async def echo(_: str, data: Any) -> Any:
        return data

    for handler in (join, say, echo):
        server.on(handler.__name__, handler)
    app = web.Application()

    async def page(_: web.Request) -> web.FileResponse:
        return web.FileResponse(FOLDER / "chat.html")

    async def script(_: web.Request) -> web.FileResponse:
        return web.FileResponse(PACKAGES / "socket.io/client-dist/socket.io.js")

    app.router.add_get("/", page)
    app.router.add_get("/socket.io/socket.io.js", script)
    server.attach(app)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await server.shutdown()
        await runner.cleanup()


class Guest:
    """A client of python-socketio in the chat, which comes back by itself and enters its room again."""

    def __init__(self, room: str) -> None:
        self._room = room
        self._client = socketio.AsyncClient(reconnection_delay=0.05, reconnection_delay_max=0.5)
        self._changed = asyncio.Condition()
        self._client.on("connect", self._connected)
        self._client.on("said", self._hear)
        self.joined = 0
        """How often it has entered the room."""
        self.heard: list[str] = []

    @classmethod
    @asynccontextmanager
    async def at(cls, port: int, room: str) -> AsyncIterator[Self]:
        """A guest in a room, who came by the gateway on `port` as a page from there would."""
        guest = cls(room)
        url = f"http://127.0.0.1:{port}"
        await guest._client.connect(url, headers={"Origin": url}, wait_timeout=PATIENCE)
        try:
            await guest.until(lambda: guest.joined == 1)
            yield guest
        finally:
            await guest._client.disconnect()

    @property
    def transport(self) -> str:
        """`polling` or `websocket`."""
        return str(self._client.transport())

    async def ask(self, event: str, *data: Any) -> Any:
        """What an event is acknowledged with."""
        return await self._client.call(event, data, timeout=PATIENCE)

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until something has been heard or joined so that it is `true`."""
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(true)

    async def _connected(self) -> None:
        # A handler that waited for an acknowledgement would keep it from being read.
        await self._client.emit("join", self._room, callback=self._enter)

    async def _enter(self, _: str) -> None:
        async with self._changed:
            self.joined += 1
            self._changed.notify_all()

    async def _hear(self, text: str) -> None:
        async with self._changed:
            self.heard.append(text)
            self._changed.notify_all()
