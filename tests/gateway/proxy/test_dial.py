"""Connections to upstreams: what fails is told in words, at once or after the limit; TLS is verified."""

import asyncio
import json
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import aiohttp
import pytest
import trustme
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from gateway.events import Close, Error, Open
from gateway.proxy import dial, exchange
from tests.gateway.proxy.raw import HANDSHAKE, SWITCHING, frame, from_client
from tests.gateways import LOOPS, GatewayProcess, GatewayThread, Loop, config_of
from tests.servers import Peer, Upstream

PLAIN = b"GET /plain HTTP/1.1\r\nHost: gateway.example\r\n\r\n"
REQUESTS = [pytest.param(PLAIN, id="plain"), pytest.param(HANDSHAKE, id="upgrade")]
LIMIT = 0.4
"""Seconds that stand for the ten."""


async def ask(port: int, request: bytes) -> tuple[int, bytes]:
    """Send a request: status and body of the answer."""
    with await Peer.connect(port) as client:
        await client.send(request)
        head = await client.read_head()
        size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return int(head.split(b" ")[1]), await client.read(size)


async def words(gateway: GatewayThread | GatewayProcess, request: bytes) -> tuple[int, str]:
    """Send a request that fails: the status of the answer, and what the log says."""
    past = len(gateway.records.all(Error))
    status, body = await ask(gateway.port, request)
    assert json.loads(body)["status"] == status
    error = await gateway.records.wait_for(Error, past=past)
    assert error.status == status
    return status, error.message


@pytest.mark.parametrize("request_", REQUESTS)
async def test_a_closed_port_is_a_502_at_once(
    gateway_on: GatewayProcess, upstream_port: int, request_: bytes
) -> None:
    """Nobody waits for an upstream that is not there."""
    began = time.monotonic()
    assert await words(gateway_on, request_) == (
        502,
        f"http://127.0.0.1:{upstream_port} refused the connection; nothing listens there",
    )
    assert time.monotonic() - began < 0.5


@pytest.fixture
def short_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of ten seconds is much shorter."""
    monkeypatch.setattr(dial, "CONNECT_TIMEOUT", LIMIT)
    monkeypatch.setattr(exchange, "CONNECT_TIMEOUT", LIMIT)


@contextmanager
def unreachable() -> Iterator[int]:
    """A port whose connections are neither accepted nor refused: the queue of its listener is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        try:
            yield listener.getsockname()[1]
        finally:
            for each in waiting:
                each.close()


@pytest.mark.usefixtures("short_limit")
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("request_", REQUESTS)
async def test_an_upstream_out_of_reach_is_a_504(request_: bytes, loop: Loop) -> None:
    """Connecting has a limit, for plain requests and for upgrades."""
    with unreachable() as port, GatewayThread(config_of(f"http://127.0.0.1:{port}"), loop=loop) as gateway:
        status, message = await words(gateway, request_)
    assert (status, message) == (504, f"http://127.0.0.1:{port} did not answer within {LIMIT} s")


@pytest.mark.usefixtures("short_limit")
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("request_", REQUESTS)
async def test_tls_has_the_same_limit(upstream: Upstream, request_: bytes, loop: Loop) -> None:
    """An https upstream that accepts and says nothing is a 504 as well."""
    with GatewayThread(config_of(f"https://127.0.0.1:{upstream.port}"), loop=loop) as gateway:
        assert (await words(gateway, request_))[0] == 504


@pytest.mark.usefixtures("short_limit")
@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 101 Switching", b"HTTP/1.1 200 OK\r\nContent-"])
@pytest.mark.parametrize("loop", LOOPS)
async def test_an_upgrade_that_is_not_answered_is_a_504(
    upstream: Upstream, loop: Loop, answer: bytes
) -> None:
    """An upstream that accepts and never answers, or never to the end, is given up after the limit."""
    with (
        GatewayThread(config_of(f"http://127.0.0.1:{upstream.port}"), loop=loop) as gateway,
        await Peer.connect(gateway.port) as client,
    ):
        await client.send(HANDSHAKE)
        server = await upstream.accept()
        await server.send(answer)
        assert (await client.read_head()).startswith(b"HTTP/1.1 504 Gateway Timeout\r\n")
        assert (await server.read_head()).startswith(b"GET /ws HTTP/1.1\r\n")
        assert await _ended(server)


@pytest.mark.usefixtures("short_limit")
async def test_a_plain_request_waits_as_long_as_its_client(upstream: Upstream) -> None:
    """No limit is put on the answer to a plain request."""
    with (
        GatewayThread(config_of(f"http://127.0.0.1:{upstream.port}")) as gateway,
        await Peer.connect(gateway.port) as client,
    ):
        await client.send(PLAIN)
        server = await upstream.accept()
        await server.read_head()
        await asyncio.sleep(2 * LIMIT)
        await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")
        assert (await client.read_until(b"late")).startswith(b"HTTP/1.1 200 OK\r\n")


# A GET would be tried twice: it is idempotent, so a connection that breaks may be tried again.
@pytest.mark.parametrize("request_", [PLAIN.replace(b"GET", b"POST"), HANDSHAKE], ids=["plain", "upgrade"])
@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"", "broke the connection off before it answered"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "not HTTP"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 2OO OK\r\n\r\n", "not HTTP"),
    ],
)
async def test_nonsense_is_a_502(
    gateway_on: GatewayProcess, upstream: Upstream, request_: bytes, answer: bytes, says: str
) -> None:
    """What is not HTTP, or ends before its head, never reaches the client."""
    past = len(gateway_on.records.all(Error))
    with await Peer.connect(gateway_on.port) as client:
        await client.send(request_)
        server = await upstream.accept()
        await server.read_head()
        await server.send(answer)
        server.close()
        assert (await client.read_head()).startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
    assert says in (await gateway_on.records.wait_for(Error, past=past)).message


async def test_interim_answers_before_the_101_are_skipped(
    gateway_on: GatewayProcess, upstream: Upstream
) -> None:
    """100 and 103 announce the answer; the client gets the answer alone."""
    with await Peer.connect(gateway_on.port) as client:
        await client.send(HANDSHAKE)
        server = await upstream.accept()
        await server.read_head()
        interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        await server.send(interim + SWITCHING + frame(b"hi"))
        assert (await client.read_head()).startswith(b"HTTP/1.1 101 ")
        assert await client.read(4) == frame(b"hi")


async def test_a_client_that_gives_up_takes_the_dial_with_it(
    gateway_on: GatewayProcess, upstream: Upstream
) -> None:
    """While the upstream has not answered, the client's end closes the connection to it."""
    with await Peer.connect(gateway_on.port) as client:
        await client.send(HANDSHAKE)
        server = await upstream.accept()
        await server.read_head()
        client.close()
        assert await _ended(server)


async def test_every_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """An upstream that listens on ::1 alone is up for one who calls it by a name of two addresses."""
    listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    port = listener.getsockname()[1]
    asked = 0

    def look_up(host: str, *_: object, **__: object) -> list[object]:
        nonlocal asked
        assert host == "two.example"
        asked += 1
        kind = (socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [
            (socket.AF_INET, *kind, ("127.0.0.1", port)),
            (socket.AF_INET6, *kind, ("::1", port, 0, 0)),
        ]

    async def handler(connection: ServerConnection) -> None:
        await connection.send("from ::1!!")

    async with serve(handler, sock=listener):
        with GatewayThread(config_of(f"http://two.example:{port}"), loop="asyncio") as gateway:
            # asyncio's own loop asks this function, in a thread.
            monkeypatch.setattr(socket, "getaddrinfo", look_up)
            for _ in range(2):
                with await Peer.connect(gateway.port) as client:
                    await client.send(HANDSHAKE)
                    assert (await client.read_head()).startswith(b"HTTP/1.1 101 ")
                    assert await client.read(12) == frame(b"from ::1!!")
            monkeypatch.undo()
    assert asked == 1  # the answer is remembered


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("name", ["a..example", "a" * 64 + ".example"])
async def test_a_name_that_cannot_be_one(request_: bytes, name: str) -> None:
    """A name that no resolver would take is a 502 in words, as any that cannot be looked up."""
    with GatewayThread(config_of(f"http://{name}:9")) as gateway:
        status, message = await words(gateway, request_)
    assert status == 502
    assert "name that cannot be looked up" in message


# TLS


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
        assert time.monotonic() - began < 0.5
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


async def _ended(peer: Peer) -> bool:
    """Whether the connection ends, one way or the other."""
    try:
        await peer.read_to_end(patience=3)
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    return True
