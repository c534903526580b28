"""Upstreams that speak TLS: certificates are verified, and an end on one side is the end."""

import asyncio
import random
import signal
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import trustme
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from gateway.events import Close, Error, Open
from tests.fuzz.ends import Secure
from tests.gateway.proxy.plain import GET, words
from tests.gateway.proxy.raw import HANDSHAKE, SWITCHING, close, frame, from_client
from tests.gateways import LOOPS, GatewayProcess, Loop, config_of
from tests.servers import Peer, Upstream

REQUESTS = [pytest.param(GET, id="plain"), pytest.param(HANDSHAKE, id="upgrade")]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority of this machine alone."""
    return trustme.CA()


@pytest.fixture(scope="module", params=LOOPS)
def secure_gateway(
    request: pytest.FixtureRequest,
    authority: trustme.CA,
    upstream_port: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[GatewayProcess]:
    """A gateway that trusts that authority, with an https upstream."""
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    env = {"SSL_CERT_FILE": str(path)}
    config = config_of(f"https://127.0.0.1:{upstream_port}")
    with GatewayProcess(config, env=env, loop=request.param) as running:
        yield running


def server_tls(authority: trustme.CA, name: str) -> ssl.SSLContext:
    """What a server called `name` shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


async def test_an_https_upstream_with_a_local_authority(
    secure_gateway: GatewayProcess, authority: trustme.CA, upstream_port: int
) -> None:
    """WebSockets and plain requests reach an upstream whose authority stands in SSL_CERT_FILE."""

    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async with serve(echo, "127.0.0.1", upstream_port, ssl=server_tls(authority, "127.0.0.1"), max_size=None):
        async with connect(f"ws://127.0.0.1:{secure_gateway.port}/", max_size=None) as client:
            for message in ("Hello", bytes(4 << 20)):
                await client.send(message)
                assert await client.recv() == message
            began = time.monotonic()
        assert time.monotonic() - began < 2
        assert (client.close_code, client.close_reason) == (1000, "")
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{secure_gateway.port}/") as response,
        ):
            assert response.status == 426  # which is what `websockets` says to a plain request


@pytest.mark.parametrize("request_", REQUESTS)
async def test_a_certificate_nobody_vouches_for(
    secure_gateway: GatewayProcess, upstream_port: int, request_: bytes
) -> None:
    """The 502 says that it is the certificate."""
    context = server_tls(trustme.CA(), "127.0.0.1")
    async with _tls_server(context, upstream_port):
        status, message = await words(secure_gateway, request_)
    assert status == 502
    assert "has a certificate that cannot be trusted: unable to get local issuer certificate" in message


@pytest.mark.parametrize("request_", REQUESTS)
async def test_a_certificate_for_somebody_else(
    secure_gateway: GatewayProcess, authority: trustme.CA, upstream_port: int, request_: bytes
) -> None:
    """A good authority and a wrong name are not enough."""
    async with _tls_server(server_tls(authority, "other.example"), upstream_port):
        status, message = await words(secure_gateway, request_)
    assert status == 502
    assert "has a certificate that cannot be trusted" in message
    assert "127.0.0.1" in message


@pytest.mark.parametrize("request_", REQUESTS)
async def test_https_to_a_server_without_tls(
    secure_gateway: GatewayProcess, upstream: Upstream, request_: bytes
) -> None:
    """A plain server behind an https url is a 502 that says what it is."""
    with await Peer.connect(secure_gateway.port) as client:
        past = len(secure_gateway.records.all(Error))
        await client.send(request_)
        server = await upstream.accept()
        await server.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        assert (await client.read_head()).startswith(b"HTTP/1.1 502 ")
        error = await secure_gateway.records.wait_for(Error, past=past)
    assert "does not speak TLS as it should" in error.message


async def test_all_of_an_upstream_that_ends_while_the_client_is_late(
    secure_gateway: GatewayProcess, authority: trustme.CA, upstream: Upstream
) -> None:
    """Its FIN is right behind the last byte, and comes while the gateway does not read for the client's sake.

    How much has to be sent for that, the system's buffers decide.
    """
    context = server_tls(authority, "127.0.0.1")
    for size in range(4_200_000, 4_800_000, 30_000):
        data = frame(random.Random(size).randbytes(size), opcode=2)
        with await Peer.connect(secure_gateway.port, receive_buffer=1 << 16) as client:
            await client.send(HANDSHAKE)
            server = Secure(await upstream.accept(), context)
            await server.shake_hands()
            await server.read_head()
            await server.send(SWITCHING)
            await client.read_head()
            saying = asyncio.create_task(_say_all(server, data))
            await asyncio.sleep(
                0.15
            )  # what fits into the buffers on the way has come to rest, the end as well
            assert await client.read_to_end() == data
            await saying
            server.peer.close()


async def _say_all(server: Secure, data: bytes) -> None:
    await server.send(data)
    await server.finish()


@pytest.mark.parametrize("loop", LOOPS)
async def test_an_upstream_that_takes_nothing(
    authority: trustme.CA, upstream_port: int, tmp_path: Path, loop: Loop
) -> None:
    """Behind the encryption as well, it is cut."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))

    over = asyncio.Event()

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(SWITCHING)
        await over.wait()
        writer.transport.abort()

    config = config_of(f"https://127.0.0.1:{upstream_port}")
    env = {"SSL_CERT_FILE": str(path)}
    async with await asyncio.start_server(
        stall, "127.0.0.1", upstream_port, ssl=server_tls(authority, "127.0.0.1")
    ):
        with (
            GatewayProcess(config, "--stall-timeout", "1", loop=loop, env=env) as gateway,
            await Peer.connect(gateway.port) as client,
        ):
            await client.send(HANDSHAKE)
            await client.read_head()
            with pytest.raises((ConnectionResetError, BrokenPipeError)):
                await client.send(frame(b"", masked=True, length=32 << 20) + bytes(32 << 20))
            told = await gateway.records.wait_for(Error)
            assert told.message.startswith(f"the upstream at 127.0.0.1:{upstream_port} took nothing for ")
            assert (await gateway.records.wait_for(Close)).how == "timeout"
            over.set()


@pytest.mark.parametrize("ends", ["client", "upstream"])
async def test_the_end_of_one_direction_ends_a_tunnel_over_tls(
    secure_gateway: GatewayProcess, authority: trustme.CA, upstream_port: int, ends: str
) -> None:
    """TLS has no half-close here: what had been read is delivered, then both sides are closed."""
    came: asyncio.Queue[bytes] = asyncio.Queue()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(SWITCHING)
        if ends == "upstream":
            writer.write(frame(bytes(1 << 20), opcode=2))
            writer.close()
        came.put_nowait(await reader.read())
        writer.close()
        await writer.wait_closed()

    context = server_tls(authority, "127.0.0.1")
    async with await asyncio.start_server(handler, "127.0.0.1", upstream_port, ssl=context):
        with await Peer.connect(secure_gateway.port) as client:
            await client.send(HANDSHAKE)
            await client.read_head()
            if ends == "client":
                await client.send(from_client(bytes(1 << 20)))
                client.end()
                assert await asyncio.wait_for(came.get(), 5) == from_client(bytes(1 << 20))
                assert await client.read_to_end() == b""
            else:
                assert await client.read_to_end() == frame(bytes(1 << 20), opcode=2)
                await asyncio.wait_for(came.get(), 5)
            opened = await secure_gateway.records.wait_for(Open, client=client.name)
            told = await secure_gateway.records.wait_for(Close, conn=opened.conn)
    assert (told.by, told.how) == (ends, "fin")


@pytest.mark.parametrize("how", ["close", "abort"])
async def test_an_upstream_that_leaves_with_its_101(
    secure_gateway: GatewayProcess, authority: trustme.CA, upstream_port: int, how: str
) -> None:
    """What came with the 101 is delivered and the tunnel ends, even where TLS told its end too early."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(SWITCHING + frame(b"hello and goodbye"))
        if how == "close":
            writer.close()
        else:
            await writer.drain()
            writer.transport.abort()

    context = server_tls(authority, "127.0.0.1")
    async with await asyncio.start_server(handler, "127.0.0.1", upstream_port, ssl=context):
        for _ in range(20):
            with await Peer.connect(secure_gateway.port) as client:
                await client.send(HANDSHAKE + from_client(b"early"))
                try:
                    assert (await client.read_to_end()).endswith(frame(b"hello and goodbye"))
                except ConnectionResetError:
                    assert how == "abort"
            opened = await secure_gateway.records.wait_for(Open, client=client.name)
            await secure_gateway.records.wait_for(Close, conn=opened.conn)
    assert not secure_gateway.records.all(Error, status=500)


@pytest.mark.parametrize("loop", LOOPS)
async def test_a_stop_over_tls(authority: trustme.CA, upstream_port: int, tmp_path: Path, loop: Loop) -> None:
    """Close 1001 goes both ways; where TLS has no FIN for a frame under way, its connection ends."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    config = config_of(f"https://127.0.0.1:{upstream_port}", shutdown_timeout=1)
    came: asyncio.Queue[bytes] = asyncio.Queue()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(SWITCHING)
        came.put_nowait(await reader.read())
        writer.close()

    half = from_client(bytes(1000))[:500]
    context = server_tls(authority, "127.0.0.1")
    async with await asyncio.start_server(handler, "127.0.0.1", upstream_port, ssl=context):
        with GatewayProcess(config, loop=loop, env={"SSL_CERT_FILE": str(tmp_path / "ca.pem")}) as gateway:
            with await Peer.connect(gateway.port) as client, await Peer.connect(gateway.port) as other:
                for peer in (client, other):
                    await peer.send(HANDSHAKE)
                    await peer.read_head()
                await other.send(half)
                conn = (await gateway.records.wait_for(Open, client=other.name)).conn
                await gateway.records.wait_for(Open, client=client.name)
                gateway.signal(signal.SIGTERM)
                assert await client.read(4) == close(1001)
                assert await other.read(4) == close(1001)
                await client.send(close(1001, masked=True))
                words = {await asyncio.wait_for(came.get(), 5) for _ in range(2)}
            assert await gateway.ended() == 0
    assert half in words
    (closing,) = words - {half}
    assert closing[:2] == b"\x88\x82"
    assert len(closing) == 8
    assert gateway.records.all(Close, conn=conn)[0].by == "gateway"


async def test_a_refusal_that_ends_with_its_connection(
    secure_gateway: GatewayProcess, authority: trustme.CA, upstream_port: int
) -> None:
    """An answer other than 101 without a length, over TLS, arrives whole and ends."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\nnot here")
        writer.close()

    context = server_tls(authority, "127.0.0.1")
    async with await asyncio.start_server(handler, "127.0.0.1", upstream_port, ssl=context):
        for _ in range(20):
            with await Peer.connect(secure_gateway.port) as client:
                await client.send(HANDSHAKE)
                answer = await client.read_to_end()
                assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
                assert answer.endswith(b"\r\n8\r\nnot here\r\n0\r\n\r\n")


@asynccontextmanager
async def _tls_server(context: ssl.SSLContext, port: int) -> AsyncIterator[None]:
    """A TLS server to which nobody gets through."""

    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(handler, "127.0.0.1", port, ssl=context):
        yield
