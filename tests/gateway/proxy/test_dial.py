"""Connections to upstreams: what fails is told in words, at once or after the limit."""

import asyncio
import errno
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve

from gateway.events import Error
from gateway.limits import OwnLimits
from gateway.proxy import dial
from tests.gateway.proxy.plain import GET, words
from tests.gateway.proxy.raw import HANDSHAKE, SWITCHING, frame
from tests.gateways import LOOPS, GatewayProcess, GatewayThread, Loop, config_of
from tests.servers import Peer, Upstream

REQUESTS = [pytest.param(GET, id="plain"), pytest.param(HANDSHAKE, id="upgrade")]
LIMIT = 0.4
"""Seconds that stand for the ten."""


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
    assert time.monotonic() - began < 2


def hasty(url: str, loop: Loop = "uvloop") -> GatewayThread:
    """A gateway whose limit is much shorter than ten seconds."""
    return GatewayThread(config_of(url), loop=loop, limits=OwnLimits(handshake_timeout=LIMIT))


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


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("request_", REQUESTS)
async def test_an_upstream_out_of_reach_is_a_504(request_: bytes, loop: Loop) -> None:
    """Connecting has a limit, for plain requests and for upgrades."""
    with unreachable() as port, hasty(f"http://127.0.0.1:{port}", loop) as gateway:
        status, message = await words(gateway, request_)
    assert (status, message) == (504, f"http://127.0.0.1:{port} did not answer within {LIMIT} s")


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("request_", REQUESTS)
async def test_tls_has_the_same_limit(upstream: Upstream, request_: bytes, loop: Loop) -> None:
    """An https upstream that accepts and says nothing is a 504 as well."""
    with hasty(f"https://127.0.0.1:{upstream.port}", loop) as gateway:
        assert (await words(gateway, request_))[0] == 504


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 101 Switching", b"HTTP/1.1 200 OK\r\nContent-"])
@pytest.mark.parametrize("loop", LOOPS)
async def test_an_upgrade_that_is_not_answered_is_a_504(
    upstream: Upstream, loop: Loop, answer: bytes
) -> None:
    """An upstream that accepts and never answers, or never to the end, is given up after the limit."""
    with (
        hasty(f"http://127.0.0.1:{upstream.port}", loop) as gateway,
        await Peer.connect(gateway.port) as client,
    ):
        await client.send(HANDSHAKE)
        server = await upstream.accept()
        await server.send(answer)
        assert (await client.read_head()).startswith(b"HTTP/1.1 504 Gateway Timeout\r\n")
        assert (await server.read_head()).startswith(b"GET /ws HTTP/1.1\r\n")
        assert await _ended(server)


async def test_a_plain_request_waits_as_long_as_its_client(upstream: Upstream) -> None:
    """No limit is put on the answer to a plain request."""
    with (
        hasty(f"http://127.0.0.1:{upstream.port}") as gateway,
        await Peer.connect(gateway.port) as client,
    ):
        await client.send(GET)
        server = await upstream.accept()
        await server.read_head()
        await asyncio.sleep(2 * LIMIT)
        await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")
        assert (await client.read_until(b"late")).startswith(b"HTTP/1.1 200 OK\r\n")


# A GET would be tried twice: it is idempotent, so a connection that breaks may be tried again.
@pytest.mark.parametrize("request_", [GET.replace(b"GET", b"POST"), HANDSHAKE], ids=["plain", "upgrade"])
@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"", "broke the connection off before it answered"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "not HTTP"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nhunter2 \x1b[2J\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nSet Cookie: hunter2\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nSet-Cookie: hunter2%s\r\n\r\n" % (b"x" * (1 << 17)), "not HTTP"),
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
    message = (await gateway_on.records.wait_for(Error, past=past)).message
    assert says in message
    assert "hunter2" not in message  # it may be the rest of a cookie


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


async def test_every_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch, upstream_port: int) -> None:
    """A name of two addresses is up as long as one of them is, be it another one than the last time."""
    port = upstream_port  # nobody else gets it
    listener = socket.create_server(("::1", port), family=socket.AF_INET6)
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

    async def greet(connection: ServerConnection) -> None:
        await connection.send("hello")

    async def visit(gateway: GatewayThread) -> None:
        with await Peer.connect(gateway.port) as client:
            await client.send(HANDSHAKE)
            assert (await client.read_head()).startswith(b"HTTP/1.1 101 ")
            assert await client.read(7) == frame(b"hello")

    with GatewayThread(config_of(f"http://two.example:{port}"), loop="asyncio") as gateway:
        # asyncio's own loop asks this function, in a thread.
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        async with serve(greet, sock=listener):
            for _ in range(3):
                await visit(gateway)
        assert asked == 1  # the answer is remembered, and so is who answered
        async with serve(greet, "127.0.0.1", port):
            for _ in range(3):
                await visit(gateway)
        assert asked == 1
        monkeypatch.undo()


@pytest.mark.parametrize("loop", LOOPS)
async def test_the_only_address_is_dialled_once(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch, loop: Loop
) -> None:
    """However long it takes: a gateway that is busy would only make itself busier by a second connection."""
    with GatewayThread(config_of(f"http://127.0.0.1:{upstream.port}"), loop=loop) as gateway:
        for _ in range(3):
            with await Peer.connect(gateway.port) as client:
                await client.send(HANDSHAKE)
                server = await upstream.accept()
                assert (await server.read_head()).startswith(b"GET /ws ")
                await server.send(SWITCHING)
                await client.read_head()
            monkeypatch.setattr(dial, "_NEXT_ADDRESS", 0.0)  # from now on, it is always too slow
        assert upstream.nobody()


def test_what_uses_up_the_files() -> None:
    """A gateway out of files says so, and where to look."""
    error = dial.failure(OSError(errno.EMFILE, "Too many open files"), LIMIT)
    assert error.status == 502
    assert "as many files open as it may" in error.did
    assert "ulimit -Hn" in error.did


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("name", ["a..example", "a" * 64 + ".example"])
async def test_a_name_that_cannot_be_one(request_: bytes, name: str) -> None:
    """A name that no resolver would take is a 502 in words, as any that cannot be looked up."""
    with GatewayThread(config_of(f"http://{name}:9")) as gateway:
        status, message = await words(gateway, request_)
    assert status == 502
    assert "name that cannot be looked up" in message


async def _ended(peer: Peer) -> bool:
    """Whether the connection ends, one way or the other."""
    try:
        await peer.read_to_end(patience=3)
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    return True
