"""A WebSocket's life: dead peers, peers that do not read, goodbyes, refused handshakes."""

import asyncio
import time
from contextlib import AsyncExitStack

import aiohttp
import pytest
from aiohttp import WSMsgType
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError

from demo_upstream.connections import Connections
from tests.demo_upstream.running import PATIENCE, DemoUpstream, serving

HANDSHAKE = (
    b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


async def _raw(
    url: str, path: bytes, limit: int = 1 << 16
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A WebSocket that does nothing of its own: no pong, no Close."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=limit)
    writer.write(HANDSHAKE % path)
    return reader, writer


async def test_a_dead_peer_is_let_go() -> None:
    """A peer that does not answer a ping is disconnected."""
    async with asyncio.timeout(PATIENCE), serving(Connections(heartbeat=0.2)) as url:
        reader, writer = await _raw(url, b"/echo")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101")
        assert await reader.readexactly(2) == b"\x89\x00"
        assert await reader.read() == b""
        writer.close()


async def test_a_live_peer_is_kept() -> None:
    """A peer that answers pings stays, however silent it is."""
    async with (
        asyncio.timeout(PATIENCE),
        serving(Connections(heartbeat=0.1)) as url,
        connect(f"{url.replace('http', 'ws')}/echo") as client,
    ):
        await asyncio.sleep(0.5)  # silence is what this test is about: five times the heartbeat
        await client.send("still here")
        assert await client.recv() == "still here"


async def test_a_peer_that_does_not_read_is_cut_off() -> None:
    """A send that waits too long for its reader ends the connection, though the peer keeps it open."""
    async with asyncio.timeout(PATIENCE), serving(Connections(stall=0.3, patience=0.2)) as url:
        _, writer = await _raw(url, b"/echo", limit=1)
        frame = b"\x82\xff" + (1 << 20).to_bytes(8, "big") + bytes(4) + bytes(1 << 20)
        with pytest.raises(ConnectionError):
            await _flood(writer, frame)
        writer.close()


async def _flood(writer: asyncio.StreamWriter, frame: bytes) -> None:
    """Send without end, or until the connection is lost."""
    while True:
        writer.write(frame)
        await writer.drain()


@pytest.mark.parametrize("frame", [b"\x82\x81abcd.", b"\x89\x81abcd."])
async def test_a_flood_leaves_turns_to_others(frame: bytes) -> None:
    """However many messages or pings a client has sent: few are answered before those of another client."""
    with DemoUpstream() as own:
        reader, writer = await _raw(own.url.replace("localhost", "127.0.0.1"), b"/echo")
        await reader.readuntil(b"\r\n\r\n")
        flood = asyncio.create_task(_flood(writer, frame * 10_000))
        answered = 0

        async def count() -> None:
            nonlocal answered
            while True:
                answered += len(await reader.read(1 << 16)) // 3

        counting = asyncio.create_task(count())
        async with asyncio.timeout(PATIENCE), connect(f"{own.url.replace('http', 'ws')}/echo") as client:
            await client.send("are you there?")
            await client.recv()
            before = answered
            for _ in range(10):
                await client.send("and now?")
                await client.recv()
            assert answered - before < 10 * 4000
        for task in (flood, counting):
            task.cancel()
        await asyncio.gather(flood, counting, return_exceptions=True)
        writer.close()


async def test_stop_says_goodbye_to_all() -> None:
    """A stop sends Close 1001 to every client and waits for their own, but for none that is mute."""
    with DemoUpstream() as own:
        async with asyncio.timeout(PATIENCE), aiohttp.ClientSession() as session:
            clients = [
                await session.ws_connect(f"{own.url}/{'ws' if number % 2 else 'echo'}")
                for number in range(50)
            ]
            mute = [await _raw(own.url.replace("localhost", "127.0.0.1"), b"/ws") for _ in range(150)]
            for reader, _ in mute:
                await reader.readuntil(b"\r\n\r\n")
            begun = time.monotonic()
            stopped = asyncio.create_task(asyncio.to_thread(own.stop), name="stop")
            codes = [await _close_code(client) for client in clients]
            assert await stopped == (0, "")
            assert time.monotonic() - begun < 2
            assert codes == [1001] * 50
            for _, writer in mute:
                writer.close()


async def _close_code(client: aiohttp.ClientWebSocketResponse) -> int | None:
    """Read until the WebSocket closes: the code of its Close."""
    while (await client.receive()).type not in {WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.ERROR}:
        pass
    return client.close_code


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_a_message_beyond_the_limit(compression: str | None) -> None:
    """A message that is too long, or would be when inflated, is answered with Close 1009."""
    async with (
        asyncio.timeout(PATIENCE),
        serving(Connections(patience=0.2, max_message=1000)) as url,
        connect(f"{url.replace('http', 'ws')}/echo", compression=compression) as client,
    ):
        assert client.response is not None
        assert ("Sec-WebSocket-Extensions" in client.response.headers) == (compression is not None)
        await client.send("x" * 999)
        assert await client.recv() == "x" * 999
        await client.send("x" * 2000)
        with pytest.raises(ConnectionClosedError) as closed:
            await client.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


async def test_a_share_for_each() -> None:
    """Many connections may send shorter messages than few: together they must not fill the memory."""
    async with (
        asyncio.timeout(PATIENCE),
        serving(Connections(patience=0.2, memory=1 << 20)) as url,
        AsyncExitStack() as first,
    ):
        address = f"{url.replace('http', 'ws')}/echo"
        others = [await first.enter_async_context(connect(address, compression=None)) for _ in range(7)]
        async with connect(address, compression=None) as eighth:
            await eighth.send(bytes((1 << 17) - 1))
            assert await eighth.recv() == bytes((1 << 17) - 1)
            await eighth.send(bytes(1 << 17))
            with pytest.raises(ConnectionClosedError) as closed:
                await eighth.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
        await others[1].send(bytes((1 << 19) - 1))
        assert await others[1].recv() == bytes((1 << 19) - 1)
        await first.aclose()
        async with connect(address, compression=None) as alone:
            await alone.send(bytes((1 << 20) - 1))
            assert await alone.recv() == bytes((1 << 20) - 1)


@pytest.mark.parametrize("path", ["/ws", "/echo"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "12"},
        {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"},
    ],
)
async def test_what_is_no_handshake(demo: DemoUpstream, path: str, headers: dict[str, str]) -> None:
    """Whoever does not ask properly is told 426, and the version that is spoken."""
    async with aiohttp.ClientSession() as session, session.get(demo.url + path, headers=headers) as answer:
        assert answer.status == 426
        assert answer.headers["Sec-WebSocket-Version"] == "13"
        assert "WebSocket" in await answer.text()
