"""The client's side of the conversation in Python."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.interop.servers import LARGEST
from tests.interop.talk import PROTOCOLS, ClientEnd, Connect


class _Websockets:
    """A connection of `websockets`."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        assert connection.request is not None
        self.name = connection.request.path.rsplit("/", 1)[1]

    def agreed(self) -> tuple[str | None, str]:
        assert self._connection.response is not None
        extensions = self._connection.response.headers.get("Sec-WebSocket-Extensions", "")
        return self._connection.subprotocol, extensions

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
    """A connection of aiohttp."""

    def __init__(self, connection: aiohttp.ClientWebSocketResponse) -> None:
        self._connection = connection
        self._closed: tuple[int | None, str] = (None, "")
        self.name = connection._response.url.path.rsplit("/", 1)[1]

    def agreed(self) -> tuple[str | None, str]:
        extensions = self._connection._response.headers.get("Sec-WebSocket-Extensions", "")
        return self._connection.protocol, extensions

    async def receive(self) -> str | bytes | None:
        while True:
            message = await self._connection.receive()
            if message.type is aiohttp.WSMsgType.PING:
                await self._connection.pong(message.data)
            elif message.type in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}:
                data: str | bytes = message.data
                return data
            else:
                self._closed = message.data, message.extra or ""
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
        assert (message.type, bytes(message.data)) == (aiohttp.WSMsgType.PONG, b"are you there?"), message
        return True

    async def close(self, code: int | None = None, reason: str = "") -> None:
        await self._connection.close(code=code or 1000, message=reason.encode())

    def closed(self) -> tuple[int | None, str]:
        return self._closed


@asynccontextmanager
async def _connect_websockets(url: str, deflate: bool) -> AsyncIterator[ClientEnd]:
    async with connect(
        url,
        compression="deflate" if deflate else None,
        subprotocols=[Subprotocol(each) for each in PROTOCOLS],
        max_size=LARGEST,
    ) as connection:
        yield _Websockets(connection)


@asynccontextmanager
async def _connect_aiohttp(url: str, deflate: bool) -> AsyncIterator[ClientEnd]:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(
            url, protocols=PROTOCOLS, compress=15 if deflate else 0, max_msg_size=LARGEST, autoping=False
        ) as connection,
    ):
        yield _Aiohttp(connection)


CLIENTS: Final[dict[str, Connect]] = {"websockets": _connect_websockets, "aiohttp": _connect_aiohttp}
