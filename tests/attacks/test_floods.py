"""Floods and slow clients: what a client can make the gateway hold, and for how long."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import pytest
import trustme

from tests.attacks.recorder import Recorder
from tests.gateway.proxy.listening import config_with
from tests.gateway.proxy.plain import GET
from tests.gateway.proxy.raw import HANDSHAKE
from tests.gateway.proxy.test_listen_tls import dial, tls_of, trusting
from tests.gateways import GatewayProcess, config_of
from tests.servers import PATIENCE, Peer, Upstream, reserved_port

MIB: Final = 1 << 20
POST: Final = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
HEAD: Final = b"GET /a HTTP/1.1\r\nHost: a\r\n"

FLOODS: Final = {
    "a method": (b"", b"A" * 4096),
    "empty lines": (b"", b"\r\n" * 2048),
    "a target": (b"GET /", b"a" * 4096),
    "a field": (HEAD + b"X: ", b"a" * 4096),
    "a field's name": (HEAD, b"a" * 4096),
    "fields": (HEAD, b"X: y\r\n" * 700),
    "cookies": (HEAD, b"Cookie: a=1\r\n" * 350),
    "a chunk's size": (POST, b"0" * 4096),
    "a chunk's extension": (POST + b"5;", b"a" * 4096),
    "extensions": (POST, b"1;" + b"a" * 4000 + b"\r\nx\r\n"),
    "small chunks": (POST, b"20\r\n%s\r\n" % bytes(32) * 100),
    "a trailer": (POST + b"0\r\nX: ", b"a" * 4096),
    "trailers": (POST + b"0\r\n", b"X: y\r\n" * 700),
    "requests": (GET, GET * 80),
    "bytes that are no request": (GET, bytes(4096)),
    "bytes behind an upgrade that is refused": (
        HEAD + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        bytes(4096),
    ),
    "bytes ahead of a 101": (HANDSHAKE, bytes(4096)),
    "a body that nobody wants": (
        b"POST /%zz HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n",
        bytes(4096),
    ),
}
"""Beginnings, and what goes on behind them without an end."""


async def flood(port: int, start: bytes, more: bytes) -> None:
    """Send up to 6 MiB, as long as the gateway takes them."""
    with suppress(ConnectionError, TimeoutError), await Peer.connect(port) as client:
        await client.send(start)
        for _ in range(6):
            await client.send(more * (MIB // len(more)), patience=1)


async def read_all(server: Peer) -> None:
    """Be an upstream that never answers."""
    with suppress(ConnectionError):
        while await server.read_some(patience=60):
            pass


async def test_nothing_without_an_end_is_kept(upstream: Upstream) -> None:
    """Whatever has no end is refused, forgotten or left with the client: memory stays as it was."""
    readers = set()

    async def accept() -> None:
        while True:
            readers.add(asyncio.create_task(read_all(await upstream.accept(patience=60))))

    with GatewayProcess(config_of(f"http://127.0.0.1:{upstream.port}")) as gateway:
        readers.add(asyncio.create_task(accept()))
        await flood(gateway.port, GET, GET)  # what a process needs once
        before = gateway.rss()
        await asyncio.gather(*(flood(gateway.port, start, more) for start, more in FLOODS.values()))
        assert gateway.rss() - before < 24 * MIB
        for task in readers:
            task.cancel()
        await asyncio.wait(readers)


async def drop(port: int, number: int) -> None:
    """Open a connection, say something or nothing, and leave in one way or another."""
    with await Peer.connect(port) as client:
        said = (b"", HEAD, GET, HANDSHAKE[:50], b"\x16\x03\x01", GET * 3, POST + b"5\r\nhe")[number % 7]
        if said:
            await client.send(said)
        if number % 3 == 0:
            linger = struct.pack("ii", 1, 0)
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)  # by a RST, then


async def until(holds: Callable[[], bool]) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110 - another process tells nobody
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    "count", [2_000, pytest.param(100_000, marks=[pytest.mark.long, pytest.mark.timeout(900)])]
)
async def test_connections_that_come_and_go(count: int) -> None:
    """Neither memory nor descriptors are left with them, and the next client is served."""
    with reserved_port() as port, GatewayProcess(config_of(f"http://127.0.0.1:{port}")) as gateway:
        async with Recorder(port):
            for number in range(500):  # what a process needs once
                await drop(gateway.port, number)
            await served(gateway.port)
            descriptors, memory = gateway.descriptors(), gateway.rss()
            for number in range(count):
                await drop(gateway.port, number)
            await served(gateway.port)
            await until(lambda: gateway.descriptors() <= descriptors + 8)  # upstream connections are kept
            assert gateway.rss() - memory < 16 * MIB


async def served(port: int) -> None:
    """Be a good client."""
    with await Peer.connect(port) as client:
        await client.send(b"GET /good HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await client.read_until(b"GET /good")).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_a_thousand_half_handshakes() -> None:
    """Those who never finish keep nobody else waiting, and are sent away after readHeaderTimeout."""
    with reserved_port() as port, ExitStack() as half:
        config = config_with(f"http://127.0.0.1:{port}", "readHeaderTimeout: 3")
        with GatewayProcess(config) as gateway:
            async with Recorder(port):
                await served(gateway.port)
                before, memory = gateway.descriptors(), gateway.rss()
                clients = [half.enter_context(await Peer.connect(gateway.port)) for _ in range(1000)]
                for number, client in enumerate(clients):
                    await client.send(HANDSHAKE[: 1 + number % (len(HANDSHAKE) - 1)])
                await served(gateway.port)
                assert gateway.descriptors() > 1000
                for client in clients:
                    assert (await client.read_to_end()).startswith(b"HTTP/1.1 400 Bad Request\r\n")
                await until(lambda: gateway.descriptors() <= before)
                assert gateway.rss() - memory < 48 * MIB
                await served(gateway.port)


async def test_a_flood_keeps_nobody_waiting() -> None:
    """One client with 300 requests at once is answered in turns with another one."""
    with reserved_port() as port, GatewayProcess(config_of(f"http://127.0.0.1:{port}")) as gateway:
        async with Recorder(port) as recorder:
            with await Peer.connect(gateway.port) as greedy:
                sending = asyncio.create_task(greedy.send(GET * 300))
                assert (await greedy.read_until(b"GET /path?q=1")).startswith(b"HTTP/1.1 200 OK\r\n")
                await served(gateway.port)
                assert len(recorder.take()) < 300
                for _ in range(299):
                    await greedy.read_until(b"GET /path?q=1")
                await sending


Say = Callable[[bytes], Awaitable[None]]
Hear = Callable[[], Awaitable[bytes]]


@asynccontextmanager
async def client_of(
    gateway: GatewayProcess, context: ssl.SSLContext | None
) -> AsyncIterator[tuple[Say, Hear]]:
    """A client over TLS or without, as what it sends by and what it hears to the end."""
    if context is None:
        with await Peer.connect(gateway.port, receive_buffer=4096) as peer:
            yield peer.send, peer.read_to_end
        return
    reader, writer = await dial(gateway.port, context)

    async def send(data: bytes) -> None:
        writer.write(data)
        await writer.drain()

    async def hear() -> bytes:
        data = b""
        async with asyncio.timeout(PATIENCE):
            with suppress(ConnectionError):
                while piece := await reader.read(1 << 16):
                    data += piece
        return data

    try:
        yield send, hear
    finally:
        writer.transport.abort()


@pytest.mark.parametrize("tls", [False, True])
async def test_every_timeout_holds(upstream: Upstream, tmp_path: Path, *, tls: bool) -> None:
    """Slow heads, slow bodies, slow readers and silent clients are sent away at their time, all at once."""
    authority = trustme.CA()
    context = trusting(authority) if tls else None
    times = "readHeaderTimeout: 1, readTimeout: 1, writeTimeout: 1, idleTimeout: 1"
    listen = tls_of(tmp_path, authority) if tls else ""
    url = f"http://127.0.0.1:{upstream.port}"

    async def trickle(say: Say, data: bytes) -> None:
        with suppress(ConnectionError):
            for at in range(len(data)):
                await say(data[at : at + 1])
                await asyncio.sleep(0.4)  # not near the limit: a byte that crosses the answer resets it

    async def silent() -> bytes:
        async with client_of(gateway, context) as (_, hear):
            return await hear()

    async def slow_head() -> bytes:
        async with client_of(gateway, context) as (say, hear), asyncio.TaskGroup() as group:
            trickling = group.create_task(trickle(say, HEAD + b"X: " + b"y" * 1000))
            told = await hear()
            trickling.cancel()
            return told

    async def slow_body() -> bytes:
        async with client_of(gateway, context) as (say, hear):
            await say(POST + b"5\r\nhe")
            return await hear()

    async def idle() -> bytes:
        async with client_of(gateway, context) as (say, hear):
            await say(b"GET // HTTP/1.1\r\nHost: a\r\n\r\n")  # answered by the gateway itself
            return await hear()

    async def answer(server: Peer) -> None:
        """The answer that a slow reader asks for, and none to the others."""
        with suppress(ConnectionError, EOFError, TimeoutError):
            if b" /big " in await server.read_head():
                await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (256 * MIB))
                while True:
                    await server.send(bytes(MIB))
            await server.read_to_end()

    with GatewayProcess(config_with(url, times, listen)) as gateway:
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            told = [group.create_task(each()) for each in (silent, slow_head, slow_body, idle)]
            async with client_of(gateway, context) as (say, _):
                await say(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")  # and reads nothing
                servers = [group.create_task(answer(await upstream.accept())) for _ in range(2)]
                await asyncio.wait(servers)
        heard = [each.result()[:12] for each in told]
    assert heard == [b"", b"HTTP/1.1 400", b"", b"HTTP/1.1 307"]
