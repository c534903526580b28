"""The server's side of the conversation in Python: every library, with and without compression and TLS.

Listener   one listening server of the matrix
running    all of them, in an event loop and a thread of their own
"""

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

import uvicorn
from aiohttp import WSMsgType, web
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.interop.talk import PROTOCOLS, Memory, answer
from tests.servers import PATIENCE

LARGEST: Final = 32 << 20
"""Bytes that a message may have, for every server."""

SERVERS: Final = ("websockets", "aiohttp", "uvicorn-wsproto", "uvicorn-websockets")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A server that listens on 127.0.0.1."""

    server: str
    deflate: bool
    """Whether it agrees to permessage-deflate."""
    tls: bool
    port: int

    @property
    def path(self) -> str:
        """What the gateway knows it by: paths that begin so are its own."""
        return f"/{self.server}/{'deflate' if self.deflate else 'plain'}/{'https' if self.tls else 'http'}/"

    @property
    def url(self) -> str:
        """As an upstream."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"


class _Websockets:
    """One connection of `websockets`."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection
        assert connection.request is not None
        self._request = connection.request
        self.name = self._request.path.rsplit("/", 1)[1]

    def offered(self) -> tuple[str, str]:
        headers = self._request.headers
        return headers.get("Sec-WebSocket-Protocol", ""), headers.get("Sec-WebSocket-Extensions", "")

    async def receive(self) -> str | bytes | None:
        try:
            return await self._connection.recv()
        except ConnectionClosed:
            return None

    async def send(self, message: str | bytes) -> None:
        await self._connection.send(message)

    async def send_pieces(self, pieces: Sequence[str]) -> None:
        await self._connection.send(pieces)

    async def ping(self) -> bool:
        await (await self._connection.ping(b"are you there?"))
        return True

    async def close(self, code: int | None = None, reason: str = "") -> None:
        await self._connection.close(code or 1000, reason)

    def closed(self) -> tuple[int | None, str]:
        return self._connection.close_code, self._connection.close_reason or ""


class _Aiohttp:
    """One connection of aiohttp."""

    def __init__(self, request: web.Request, connection: web.WebSocketResponse) -> None:
        self._request = request
        self._connection = connection
        self._reason = ""
        self.name = request.path.rsplit("/", 1)[1]

    def offered(self) -> tuple[str, str]:
        headers = self._request.headers
        return headers.get("Sec-WebSocket-Protocol", ""), headers.get("Sec-WebSocket-Extensions", "")

    async def receive(self) -> str | bytes | None:
        while True:
            message = await self._connection.receive()
            if message.type is WSMsgType.PING:
                await self._connection.pong(message.data)
            elif message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                data: str | bytes = message.data
                return data
            else:
                self._reason = message.extra or ""
                return None

    async def send(self, message: str | bytes) -> None:
        if isinstance(message, str):
            await self._connection.send_str(message)
        else:
            await self._connection.send_bytes(message)

    async def send_pieces(self, pieces: Sequence[str]) -> None:
        await self._connection.send_str("".join(pieces))

    async def ping(self) -> bool:
        await self._connection.ping(b"are you there?")
        message = await self._connection.receive()
        assert (message.type, bytes(message.data)) == (WSMsgType.PONG, b"are you there?"), message
        return True

    async def close(self, code: int | None = None, reason: str = "") -> None:
        await self._connection.close(code=code or 1000, message=reason.encode())

    def closed(self) -> tuple[int | None, str]:
        return self._connection.close_code, self._reason


class _Starlette:
    """One connection of Starlette, whatever implementation is below it."""

    def __init__(self, connection: WebSocket) -> None:
        self._connection = connection
        self._closed: tuple[int | None, str] = (None, "")
        self.name = connection.url.path.rsplit("/", 1)[1]

    def offered(self) -> tuple[str, str]:
        headers = self._connection.headers
        return headers.get("Sec-WebSocket-Protocol", ""), headers.get("Sec-WebSocket-Extensions", "")

    async def receive(self) -> str | bytes | None:
        message = await self._connection.receive()
        if message["type"] == "websocket.disconnect":
            self._closed = message["code"], message.get("reason") or ""
            return None
        text: str | None = message.get("text")
        if text is not None:
            return text
        octets: bytes = message["bytes"]
        return octets

    async def send(self, message: str | bytes) -> None:
        if isinstance(message, str):
            await self._connection.send_text(message)
        else:
            await self._connection.send_bytes(message)

    async def send_pieces(self, pieces: Sequence[str]) -> None:
        await self._connection.send_text("".join(pieces))

    async def ping(self) -> bool:
        return False

    async def close(self, code: int | None = None, reason: str = "") -> None:
        await self._connection.close(code or 1000, reason)

    def closed(self) -> tuple[int | None, str]:
        return self._closed


Start = Callable[[Memory, bool, ssl.SSLContext | None], AbstractAsyncContextManager[int]]
"""Starts a server, with or without compression and TLS, on a port that it gives."""


@asynccontextmanager
async def _start_websockets(
    memory: Memory, deflate: bool, context: ssl.SSLContext | None
) -> AsyncIterator[int]:
    async def handler(connection: ServerConnection) -> None:
        await answer(_Websockets(connection), memory)

    async with serve(
        handler,
        "127.0.0.1",
        0,
        ssl=context,
        compression="deflate" if deflate else None,
        subprotocols=[Subprotocol(PROTOCOLS[1])],
        max_size=LARGEST,
    ) as server:
        yield next(iter(server.sockets)).getsockname()[1]


@asynccontextmanager
async def _start_aiohttp(memory: Memory, deflate: bool, context: ssl.SSLContext | None) -> AsyncIterator[int]:
    async def handler(request: web.Request) -> web.WebSocketResponse:
        connection = web.WebSocketResponse(
            protocols=PROTOCOLS[1:], compress=deflate, max_msg_size=LARGEST, autoping=False
        )
        await connection.prepare(request)
        await answer(_Aiohttp(request, connection), memory)
        return connection

    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _start_uvicorn(
    below: Literal["wsproto", "websockets-sansio"],
    memory: Memory,
    deflate: bool,
    context: ssl.SSLContext | None,
) -> AsyncIterator[int]:
    async def endpoint(connection: WebSocket) -> None:
        await connection.accept(subprotocol=PROTOCOLS[1])
        await answer(_Starlette(connection), memory)

    config = uvicorn.Config(
        Starlette(routes=[WebSocketRoute("/{path:path}", endpoint)]),
        ws=below,
        ws_max_size=LARGEST,
        ws_per_message_deflate=deflate,
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=1,
    )
    config.load()
    config.ssl = context  # which it would read from files otherwise
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server.serve([listening]), name="uvicorn")
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            await serving


_STARTS: Final[dict[str, Start]] = {
    "websockets": _start_websockets,
    "aiohttp": _start_aiohttp,
    "uvicorn-wsproto": partial(_start_uvicorn, "wsproto"),
    "uvicorn-websockets": partial(_start_uvicorn, "websockets-sansio"),
}


@contextmanager
def running(context: ssl.SSLContext) -> Iterator[list[Listener]]:
    """Every server with and without compression and TLS, until the block ends."""
    listeners: list[Listener] = []
    ready = threading.Event()
    stop: Callable[[], object] | None = None

    async def run() -> None:
        nonlocal stop
        loop, stopped, memory = asyncio.get_running_loop(), asyncio.Event(), Memory()
        stop = partial(loop.call_soon_threadsafe, stopped.set)
        async with AsyncExitStack() as stack:
            for server in SERVERS:
                for deflate in (True, False):
                    for tls in (True, False):
                        start = _STARTS[server](memory, deflate, context if tls else None)
                        port = await stack.enter_async_context(start)
                        listeners.append(Listener(server=server, deflate=deflate, tls=tls, port=port))
            ready.set()
            await stopped.wait()

    def thread() -> None:
        try:
            asyncio.run(run())
        finally:
            ready.set()

    running = threading.Thread(target=thread, name="servers")
    running.start()
    assert ready.wait(PATIENCE)
    assert stop is not None
    try:
        yield listeners
    finally:
        stop()
        running.join(PATIENCE)
