"""What goes through a tunnel: messages of libraries that nobody here wrote, and any bytes at all."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Opcode
from websockets.typing import Subprotocol

from gateway.events import Close, Open
from tests.gateway.proxy.raw import (
    HANDSHAKE,
    SWITCHING,
    close,
    frame,
    from_client,
    open_tunnel,
    read_frame,
)
from tests.gateways import GatewayProcess
from tests.servers import Peer, Upstream

MIB = 1024 * 1024


async def echo(connection: ServerConnection) -> None:
    """Send back what comes."""
    async for message in connection:
        await connection.send(message)


@pytest.fixture
async def echo_server(upstream_port: int) -> AsyncIterator[None]:
    """A `websockets` server that echoes."""
    async with serve(echo, "127.0.0.1", upstream_port, max_size=None):
        yield


def url(gateway: GatewayProcess) -> str:
    """Where the gateway's WebSockets are."""
    return f"ws://127.0.0.1:{gateway.port}/echo?room=1"


@pytest.mark.usefixtures("echo_server")
async def test_text_and_binary_come_back(gateway_on: GatewayProcess) -> None:
    """Messages of both types keep their type and content, Unicode and empty ones too."""
    async with connect(url(gateway_on), compression=None) as client:
        for message in ("Hello", "", "Grüße, 世界 🌍", b"", b"\x00\xff" * 70_000):
            await client.send(message)
            assert await client.recv() == message


async def test_fragments_arrive_as_fragments(gateway_on: GatewayProcess, upstream_port: int) -> None:
    """A message in five fragments reaches the server in five, with a ping between them."""
    seen: list[bytes | str] = []

    async def handler(connection: ServerConnection) -> None:
        seen.extend([piece async for piece in connection.recv_streaming()])
        await connection.send(["x", "y", "z"])

    async with (
        serve(handler, "127.0.0.1", upstream_port, compression=None),
        connect(url(gateway_on), compression=None) as client,
    ):

        async def fragments() -> AsyncIterator[str]:
            for piece in ("one", "two", "three", "four"):
                yield piece
                await (await client.ping())

        await client.send(fragments())
        assert [piece async for piece in client.recv_streaming()] == ["x", "y", "z", ""]
    assert seen == ["one", "two", "three", "four", ""]


async def test_pings_are_answered_by_the_other_end(gateway_on: GatewayProcess, upstream: Upstream) -> None:
    """Ping and pong pass with their payloads, both ways; the gateway answers none itself."""
    client, server = await open_tunnel(gateway_on.port, upstream)
    with client, server:
        await client.send(frame(b"are you there?", opcode=Opcode.PING, masked=True))
        assert await read_frame(server) == (0x89, b"are you there?", True)
        await server.send(frame(b"are you there?", opcode=Opcode.PONG))
        assert await read_frame(client) == (0x8A, b"are you there?", False)
        await server.send(frame(b"and you?", opcode=Opcode.PING))
        assert await read_frame(client) == (0x89, b"and you?", False)


@pytest.mark.parametrize("takeover", [True, False])
async def test_compression_is_between_the_ends(
    gateway: GatewayProcess, upstream_port: int, *, takeover: bool
) -> None:
    """permessage-deflate is negotiated end to end, with and without context takeover."""
    factory = ClientPerMessageDeflateFactory(
        server_no_context_takeover=not takeover, client_no_context_takeover=not takeover
    )
    async with (
        serve(echo, "127.0.0.1", upstream_port),
        connect(f"{url(gateway)}&takeover={takeover}", compression=None, extensions=[factory]) as client,
    ):
        for _ in range(3):
            message = "the same words, over and over " * 100
            await client.send(message)
            assert await client.recv() == message
        assert client.response is not None
        agreed = client.response.headers["Sec-WebSocket-Extensions"]
        assert agreed.startswith("permessage-deflate")
        assert ("client_no_context_takeover" in agreed) == (not takeover)
        opened = await gateway.records.wait_for(Open, path=f"/echo?room=1&takeover={takeover}")
        assert opened.extensions == agreed


async def test_the_subprotocol_is_the_upstreams_choice(gateway: GatewayProcess, upstream_port: int) -> None:
    """What the client offers reaches the upstream, what that chooses reaches the client and the log."""
    spoken, offered = (
        [Subprotocol(name) for name in names.split()] for names in ("chat superchat", "mqtt superchat")
    )
    async with (
        serve(echo, "127.0.0.1", upstream_port, subprotocols=spoken),
        connect(f"{url(gateway)}&subprotocol", subprotocols=offered) as client,
    ):
        assert client.subprotocol == "superchat"
        opened = await gateway.records.wait_for(Open, path="/echo?room=1&subprotocol")
        assert opened.subprotocol == "superchat"


@pytest.mark.usefixtures("echo_server")
async def test_16_mib_messages(gateway_on: GatewayProcess) -> None:
    """Large messages pass both ways, as one frame each."""
    message = random.Random(1).randbytes(16 * MIB)
    async with connect(url(gateway_on), compression=None, max_size=None) as client:
        await client.send(message)
        assert await client.recv() == message


@pytest.mark.usefixtures("echo_server")
async def test_10_000_tiny_frames_in_one_write(gateway_on: GatewayProcess) -> None:
    """Many frames in one segment are many frames for the other end."""
    payloads = [str(number).encode() for number in range(10_000)]
    with await Peer.connect(gateway_on.port) as client:
        await client.send(HANDSHAKE)
        await client.read_head()
        answers = b"".join(frame(payload) for payload in payloads)
        async with asyncio.TaskGroup() as group:
            group.create_task(client.send(b"".join(from_client(payload) for payload in payloads)))
            assert await client.read(len(answers)) == answers


async def test_aiohttp_at_both_ends(gateway_on: GatewayProcess, upstream_port: int) -> None:
    """aiohttp's client and server, with its compression, speak through the tunnel."""

    async def handler(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                await socket.send_str(message.data)
            else:
                await socket.send_bytes(message.data)
        seen.append(socket.close_code)
        return socket

    seen: list[int | None] = []
    async with (
        _serving(handler, upstream_port),
        aiohttp.ClientSession() as session,
        session.ws_connect(url(gateway_on), compress=15) as client,
    ):
        await client.send_str("a text " * 1000)
        assert await client.receive_str() == "a text " * 1000
        await client.send_bytes(b"bytes")
        assert await client.receive_bytes() == b"bytes"
        await client.close(code=3001, message=b"enough")
    assert seen == [3001]


async def test_bytes_glued_to_both_handshakes(gateway_on: GatewayProcess, upstream: Upstream) -> None:
    """Frames in the same segment as the request, or as the 101, reach the other end, after the 101."""
    early, prompt = from_client(b"sent in the same breath"), frame(b"a greeting")
    with await Peer.connect(gateway_on.port) as client:
        await client.send(HANDSHAKE + early)
        server = await upstream.accept()
        await server.read_head()
        await server.send(SWITCHING + prompt)
        assert (await client.read_head()).startswith(b"HTTP/1.1 101 ")
        assert await client.read(len(prompt)) == prompt
        assert await server.read(len(early)) == early
        await client.send(from_client(b"later"))
        assert await server.read(len(from_client(b"later"))) == from_client(b"later")


async def test_megabytes_ahead_of_the_101_are_kept(gateway_on: GatewayProcess, upstream: Upstream) -> None:
    """A client that does not wait for its answer loses nothing, however much it sends."""
    early = from_client(random.Random(2).randbytes(4 * MIB))
    with await Peer.connect(gateway_on.port) as client:
        async with asyncio.TaskGroup() as group:
            group.create_task(client.send(HANDSHAKE + early), name="sends early")
            server = await upstream.accept()
            await server.read_head()
            await server.send(SWITCHING)
            assert await server.read(len(early)) == early


async def test_close_codes_and_reasons_are_unchanged(gateway_on: GatewayProcess, upstream: Upstream) -> None:
    """The Close frame of either side arrives byte for byte, odd codes too, and the log tells them."""
    client, server = await open_tunnel(gateway_on.port, upstream)
    with client, server:
        await client.send(close(4999, "genug, für heute", masked=True))
        assert await server.read(8 + len("genug, für heute".encode())) == close(
            4999, "genug, für heute", masked=True
        )
        await server.send(close(1013, "later"))
        server.end()
        assert await client.read_to_end() == close(1013, "later")
        client.end()
        assert await server.read_to_end() == b""
        opened = await gateway_on.records.wait_for(Open, client=client.name)
        told = await gateway_on.records.wait_for(Close, conn=opened.conn)
        assert (told.by, told.how) == ("client", "close")
        assert (told.client.code, told.client.reason) == (4999, "genug, für heute")
        assert (told.upstream.code, told.upstream.reason) == (1013, "later")


@pytest.mark.parametrize("seed", range(12))
async def test_any_bytes_arrive_as_they_were_sent(
    gateway_on: GatewayProcess, upstream: Upstream, seed: int
) -> None:
    """Whatever the bytes and their splits, valid frames or not, both ends get exactly what was sent."""
    dice = random.Random(seed)
    client, server = await open_tunnel(gateway_on.port, upstream)
    up, down = _stream(dice), _stream(dice)

    async def send(peer: Peer, data: bytes) -> None:
        at = 0
        while at < len(data):
            size = dice.choice((1, 2, 3, 7, 100, 5_000, 70_000))
            await peer.send(data[at : at + size])
            at += size
            await asyncio.sleep(0)
        peer.end()

    with client, server:
        async with asyncio.TaskGroup() as group:
            group.create_task(send(client, up))
            group.create_task(send(server, down))
            at_server = group.create_task(server.read_to_end())
            at_client = group.create_task(client.read_to_end())
        assert at_server.result() == up
        assert at_client.result() == down
        opened = await gateway_on.records.wait_for(Open, client=client.name)
        told = await gateway_on.records.wait_for(Close, conn=opened.conn)
        assert (told.client.bytes, told.upstream.bytes) == (len(up), len(down))


def _stream(dice: random.Random) -> bytes:
    """Frames, sound and unsound, among noise."""
    pieces: list[bytes] = []
    for _ in range(dice.randrange(60)):
        payload = dice.randbytes(dice.choice((0, 1, 20, 125, 126, 3_000, 70_000)))
        opcode, masked = dice.choice((0, 1, 2, 3, 8, 9, 10, 15)), dice.random() < 0.5
        how = {"fin": dice.random() < 0.7, "rsv": dice.choice((0, 0, 0, 4, 7))}
        pieces.append(frame(payload, opcode=opcode, masked=masked, **how))  # type: ignore[arg-type]  # bools are ints
        if dice.random() < 0.05:
            pieces.append(dice.randbytes(dice.randrange(2_000)))
    return b"".join(pieces)


@asynccontextmanager
async def _serving(handler: "aiohttp.typedefs.Handler", port: int) -> AsyncIterator[None]:
    """An aiohttp server with one handler."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield
    finally:
        await runner.cleanup()
