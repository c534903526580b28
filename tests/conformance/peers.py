"""Servers and clients that are played at: those of `websockets` and aiohttp.

Each echoes what it is sent, and tells in the end what it has made of the connection.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Final

import aiohttp
from aiohttp import web
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.conformance.case import Case
from tests.servers import PATIENCE

_BRIEFLY: Final = 0.2
"""Seconds that a peer waits for a Close frame where none will come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a peer has made of a connection."""

    messages: tuple[str, ...]
    code: int | None
    end: str
    """In its own words."""

    def __str__(self) -> str:
        return f"{len(self.messages)} messages, {self.code}, {self.end}"


Reports = asyncio.Queue[Told]
Server = Callable[[int, Reports], AbstractAsyncContextManager[None]]
"""Serves at a port, and reports each connection at its end."""
Client = Callable[[str, Case], Coroutine[None, None, Told]]
"""Connects to a URL, and echoes until the end."""


def _digest(message: str | bytes) -> str:
    data = message.encode("utf-8", "surrogatepass") if isinstance(message, str) else message
    return f"{type(message).__name__} {len(data)} {hashlib.sha1(data).hexdigest()}"


async def _echo_with_websockets(connection: ServerConnection | ClientConnection) -> Told:
    messages: list[str] = []
    try:
        while True:
            message = await connection.recv()
            messages.append(_digest(message))
            await connection.send(message)
    except ConnectionClosed as closed:
        end = f"{type(closed).__name__}: {closed} ({closed.__cause__!r})"
    await connection.close()  # which waits for the end
    return Told(messages=tuple(messages), code=connection.close_code, end=end)


async def _echo_with_aiohttp(socket: "web.WebSocketResponse | aiohttp.ClientWebSocketResponse") -> Told:
    messages: list[str] = []
    try:
        while True:
            message = await socket.receive()
            if message.type is aiohttp.WSMsgType.TEXT:
                messages.append(_digest(message.data))
                await socket.send_str(message.data)
            elif message.type is aiohttp.WSMsgType.BINARY:
                messages.append(_digest(message.data))
                await socket.send_bytes(message.data)
            else:
                end = f"{message.type.name} {message.data!r} {message.extra!r} ({socket.exception()!r})"
                break
    except ConnectionError as error:
        end = repr(error)
    return Told(messages=tuple(messages), code=socket.close_code, end=end)


@asynccontextmanager
async def websockets_server(port: int, reports: Reports) -> AsyncIterator[None]:
    """The server of `websockets`."""

    async def handler(connection: ServerConnection) -> None:
        reports.put_nowait(await _echo_with_websockets(connection))

    async with serve(handler, "127.0.0.1", port, max_size=None, ping_interval=None):
        yield


@asynccontextmanager
async def aiohttp_server(port: int, reports: Reports) -> AsyncIterator[None]:
    """aiohttp's server."""

    async def handler(request: web.Request) -> web.WebSocketResponse:
        timeout = _BRIEFLY if request.path == "/silence" else PATIENCE
        socket = web.WebSocketResponse(max_msg_size=0, timeout=timeout)
        await socket.prepare(request)
        reports.put_nowait(await _echo_with_aiohttp(socket))
        return socket

    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield
    finally:
        await runner.cleanup()


async def websockets_client(url: str, case: Case) -> Told:
    """The client of `websockets`."""
    async with connect(
        url,
        compression="deflate" if case.agreed else None,
        max_size=None,
        ping_interval=None,
        close_timeout=_BRIEFLY if case.goodbye == "silence" else PATIENCE,
        proxy=None,
    ) as connection:
        return await _echo_with_websockets(connection)


async def aiohttp_client(url: str, case: Case) -> Told:
    """aiohttp's client."""
    patience = _BRIEFLY if case.goodbye == "silence" else PATIENCE
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(
            url,
            compress=15 if case.agreed else 0,
            max_msg_size=0,
            timeout=aiohttp.ClientWSTimeout(ws_close=patience),
        ) as socket,
    ):
        return await _echo_with_aiohttp(socket)


SERVERS: Final[dict[str, Server]] = {"websockets": websockets_server, "aiohttp": aiohttp_server}
CLIENTS: Final[dict[str, Client]] = {"websockets": websockets_client, "aiohttp": aiohttp_client}
