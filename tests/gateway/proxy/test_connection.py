"""The limits of a connection, and what Go's server says before any handler is asked."""

import asyncio
import time
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.events import Error
from gateway.limits import DEFAULT_LIMITS
from gateway.loading import load
from gateway.proxy.connection import Limits
from tests.gateway.proxy.listening import config_with
from tests.gateway.proxy.plain import GET, exchange, field
from tests.gateway.proxy.raw import HANDSHAKE, SWITCHING, frame, from_client
from tests.gateways import LOOPS, GatewayProcess, Loop
from tests.servers import Peer, Upstream

OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"

BAD = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
    b"400 Bad Request"
)
TOO_LARGE = BAD.replace(b"400 Bad Request", b"431 Request Header Fields Too Large")


def gateway_with(upstream: Upstream, http: str, loop: Loop = "uvloop") -> GatewayProcess:
    """A gateway with these fields in its httpConfig."""
    return GatewayProcess(config_with(f"http://127.0.0.1:{upstream.port}", http), loop=loop)


@pytest.mark.parametrize("loop", LOOPS)
async def test_silent_clients(upstream: Upstream, loop: Loop) -> None:
    """Who says nothing is closed without a byte, who stops inside of a head gets a 400."""
    with gateway_with(upstream, "readHeaderTimeout: 1, idleTimeout: 60", loop) as gateway:
        silent, halting, kept = [await Peer.connect(gateway.port) for _ in range(3)]
        with silent, halting, kept:  # which wait at the same time
            await exchange(kept, upstream, GET, OK)
            assert await kept.read(2) == b"ok"
            for client in (halting, kept):
                await client.send(GET[:-2])
            assert await silent.read_to_end() == b""
            assert await halting.read_to_end() == BAD
            assert await kept.read_to_end() == BAD


@pytest.mark.parametrize("loop", LOOPS)
async def test_idle_clients(upstream: Upstream, loop: Loop) -> None:
    """Behind an answer, a connection is kept for idleTimeout; before the first, for readHeaderTimeout."""
    with gateway_with(upstream, "readHeaderTimeout: 60, idleTimeout: 1", loop) as gateway:
        client, silent = await Peer.connect(gateway.port), await Peer.connect(gateway.port)
        with client, silent:
            await exchange(client, upstream, GET, OK)
            assert await client.read(2) == b"ok"
            assert await client.read_to_end() == b""
            head, _ = await exchange(silent, upstream, GET, OK)
            assert head.startswith(b"GET ")


async def test_negative_times_mean_none(upstream: Upstream) -> None:
    """A client may think as long as it likes; the other limits hold all the same."""
    http = "readHeaderTimeout: -1, idleTimeout: -1, readTimeout: -1, writeTimeout: -1, maxHeaderBytes: 100"
    with gateway_with(upstream, http) as gateway, await Peer.connect(gateway.port) as client:
        with pytest.raises(TimeoutError):
            await client.read_to_end(patience=0.5)
        await exchange(client, upstream, GET, OK)
        assert await client.read(2) == b"ok"
        with pytest.raises(TimeoutError):
            await client.read_to_end(patience=0.5)
        await exchange(client, upstream, GET, OK)


@pytest.mark.parametrize(
    "broken", [b"5;\n", b"-1\r\n", b"5\r\nhelloworld", b"0\r\nX : 1\r\n", b"0\r\nX: " + b"y" * 20_000]
)
async def test_a_chunked_body_that_breaks_later(
    gateway_on: GatewayProcess, upstream: Upstream, broken: bytes
) -> None:
    """Its client gets a 400 although its request is under way, and the upstream is let go."""
    with await Peer.connect(gateway_on.port) as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        server = await upstream.accept()
        await server.read_head()
        await client.send(broken)
        assert (await client.read_to_end()).startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert b"0\r\n\r\n" not in await server.read_to_end()


async def test_what_cannot_be_read_is_not_kept(gateway_on: GatewayProcess, upstream: Upstream) -> None:
    """Garbage behind a request that is being answered costs no memory, and is not answered itself."""
    with await Peer.connect(gateway_on.port) as client:
        await client.send(GET)
        server = await upstream.accept()
        await server.read_head()
        before = gateway_on.rss()
        await client.send(bytes(64 << 20))
        assert gateway_on.rss() - before < 16 << 20
        await server.send(OK)
        # What the system still has of the garbage makes a RST of the end, which may overtake the answer.
        with suppress(ConnectionResetError):
            assert (await client.read_to_end()).partition(b"\r\n\r\n")[2] == b"ok"


def head_of(size: int, *, lines: int = 1) -> bytes:
    """The head of a GET with `size` bytes, in `lines` fields."""
    start, end = b"GET / HTTP/1.1\r\nHost: a\r\n", b"\r\n"
    each = (size - len(start) - len(end)) // lines
    fields = [b"A%03d: " % number + b"x" * (each - 8) + b"\r\n" for number in range(lines)]
    fields[-1] = fields[-1][:-2] + b"x" * (size - len(start) - len(end) - each * lines) + b"\r\n"
    head = start + b"".join(fields) + end
    assert len(head) == size
    return head


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("lines", [1, 4, 200])
async def test_max_header_bytes(upstream: Upstream, loop: Loop, lines: int) -> None:
    """With Go's 4096 on top: the limit itself passes, one more byte is a 431, however they are cut."""
    with gateway_with(upstream, "maxHeaderBytes: 1000", loop) as gateway:
        with await Peer.connect(gateway.port) as client:
            _, answer = await exchange(client, upstream, head_of(5096, lines=lines), OK)
            assert answer.startswith(b"HTTP/1.1 200 ")
        for size in (5097, 20_000):
            with await Peer.connect(gateway.port) as client:
                await client.send(head_of(size, lines=lines))
                assert await client.read_to_end() == TOO_LARGE
        with await Peer.connect(gateway.port) as client:
            await client.send(head_of(20_000, lines=lines)[:-2])
            assert await client.read_to_end() == TOO_LARGE
        await gateway.records.wait_for(Error, past=2)
        errors = gateway.records.all(Error)
        assert [error.status for error in errors] == [431, 431, 431]
        assert all(error.message.startswith("a request that cannot be read: ") for error in errors)


async def test_a_large_body_is_no_large_head(upstream: Upstream) -> None:
    """Bytes that come with the head but behind it do not count, nor do those of the requests before."""
    with gateway_with(upstream, "maxHeaderBytes: 1") as gateway, await Peer.connect(gateway.port) as client:
        for _ in range(3):
            body = bytes(300_000)
            await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            server = await upstream.accept()
            await server.read_head()
            assert await server.read(len(body)) == body
            await server.send(OK)
            assert (await client.read_until(b"ok")).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("loop", LOOPS)
async def test_an_upload_that_stalls(upstream: Upstream, loop: Loop) -> None:
    """An explicit readTimeout is how long nothing may come; what trickles goes on beyond it."""
    with gateway_with(upstream, "readTimeout: 1", loop) as gateway:
        client = await Peer.connect(gateway.port)
        with client:
            await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
            server = await upstream.accept()
            await server.read_head()
            began = time.monotonic()
            while time.monotonic() - began < 1.3:
                await client.send(b"x")
                assert await server.read(1) == b"x"
                await asyncio.sleep(0.2)
            assert await client.read_to_end() == b""
            error = await gateway.records.wait_for(Error)
            assert error.message == (
                "the client stopped sending a request's body for 1 s; its connection was cut"
            )


@pytest.mark.parametrize("loop", LOOPS)
async def test_a_response_that_stalls(upstream: Upstream, loop: Loop) -> None:
    """An explicit writeTimeout is how long a response may stand still; one that moves goes on beyond it."""
    with gateway_with(upstream, "writeTimeout: 1", loop) as gateway:
        client = await Peer.connect(gateway.port)
        with client:
            await exchange(client, upstream, GET, b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            server = upstream.peers[-1]
            began = time.monotonic()
            while time.monotonic() - began < 1.3:
                await server.send(b"x")
                assert await client.read(1) == b"x"
                await asyncio.sleep(0.2)
            with pytest.raises((EOFError, ConnectionResetError)):
                await client.read(1)
            assert await server.read_to_end() == b""
            assert "a response stood still for 1 s" in (await gateway.records.wait_for(Error)).message


async def test_a_client_that_takes_nothing_off(upstream: Upstream) -> None:
    """A reader that has stopped reading stalls the response as well."""
    with (
        gateway_with(upstream, "writeTimeout: 1") as gateway,
        await Peer.connect(gateway.port, receive_buffer=4096) as client,
    ):
        await client.send(GET)
        server = await upstream.accept()
        await server.read_head()
        body = bytes(64 << 20)
        await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
        with pytest.raises((ConnectionError, BrokenPipeError)):
            await server.send(body)


@pytest.mark.parametrize(
    ("given", "upload", "answer"),
    [
        ("", None, None),
        ("readTimeout: 0, writeTimeout: 0", None, None),
        ("readTimeout: 30, writeTimeout: '5'", 30, 5),
        ("readTimeout: -1, writeTimeout: -1", None, None),
    ],
)
def test_only_what_the_file_gives_bounds_a_stall(
    tmp_path: Path, given: str, upload: float | None, answer: float | None
) -> None:
    """The defaults bound none, nor does a 0, which stands for them; 30 in the file is meant."""
    path = tmp_path / "config.yaml"
    path.write_text(config_with("http://localhost:1", given))
    limits = Limits.of(load([path], {}).config.servers[0].spec.http_config, DEFAULT_LIMITS)
    assert (limits.upload, limits.answer) == (upload, answer)
    assert (limits.head, limits.idle, limits.head_bytes) == (30, 10, 12288)


@pytest.mark.parametrize("loop", LOOPS)
async def test_a_websocket_has_no_limits(upstream: Upstream, loop: Loop) -> None:
    """All of them are the HTTP server's, and a tunnel has left it."""
    http = "readHeaderTimeout: 1, readTimeout: 1, writeTimeout: 1, idleTimeout: 1, maxHeaderBytes: 1"
    with gateway_with(upstream, http, loop) as gateway, await Peer.connect(gateway.port) as client:
        await exchange(client, upstream, HANDSHAKE, SWITCHING)
        server = upstream.peers[-1]
        with pytest.raises(TimeoutError):
            await client.read_some(patience=1.5)
        big = from_client(bytes(100_000))
        await client.send(big)
        assert await server.read(len(big)) == big
        await server.send(frame(b"hello"))
        assert await client.read(7) == frame(b"hello")
        server.close()


@pytest.mark.parametrize(
    ("http", "start"),
    [
        ("", "HTTP/1.1 400 Bad Request\r\n"),
        ("enableGeneralOptionsHandler: true", "HTTP/1.1 200 OK\r\n"),
    ],
)
async def test_options_for_the_server_itself(upstream: Upstream, http: str, start: str) -> None:
    """`OPTIONS *` is answered here, by a head alone."""
    with gateway_with(upstream, http) as gateway, await Peer.connect(gateway.port) as client:
        await client.send(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
        head = await client.read_head()
        assert head.decode().startswith(start)
        assert field(head, "Content-Length") == ["0"]
        assert field(head, "Connection") == (["close"] if b" 400 " in head else [])


@pytest.mark.parametrize(
    ("hosts", "why"),
    [
        (b"", b": missing required Host header"),
        (b"Host: a\r\nHost: b\r\n", b": too many Host headers"),
    ],
)
async def test_a_request_names_its_host_once(upstream: Upstream, hosts: bytes, why: bytes) -> None:
    """Without, and with two of them, Go's own 400 says so."""
    with gateway_with(upstream, "") as gateway, await Peer.connect(gateway.port) as client:
        await client.send(b"GET / HTTP/1.1\r\n" + hosts + b"\r\n")
        assert await client.read_to_end() == BAD + why


async def test_http_1_0_needs_no_host(upstream: Upstream) -> None:
    """It is older than the field."""
    with gateway_with(upstream, "") as gateway, await Peer.connect(gateway.port) as client:
        _, answer = await exchange(client, upstream, b"GET / HTTP/1.0\r\n\r\n", OK)
        assert answer.startswith(b"HTTP/1.0 200 ")


async def test_no_keep_alive(upstream: Upstream) -> None:
    """Every response says close, and is the last; a 101 says nothing of the kind."""
    with gateway_with(upstream, "disableKeepAlive: true") as gateway:
        with await Peer.connect(gateway.port) as client:
            _, answer = await exchange(client, upstream, GET, OK)
            assert field(answer, "Connection") == ["close"]
            assert await client.read_to_end() == b"ok"
        with await Peer.connect(gateway.port) as client:
            _, answer = await exchange(client, upstream, HANDSHAKE, SWITCHING)
            assert field(answer, "Connection") == ["Upgrade"]
            upstream.peers[-1].close()


async def test_alt_svc_goes_with_every_response(upstream: Upstream) -> None:
    """With answers of the upstream, of the gateway, and with a 101."""
    value = 'h3=":443"; ma=60'
    with gateway_with(upstream, f"altSvc: '{value}'") as gateway:
        for request, response in ((GET, OK), (HANDSHAKE, SWITCHING), (GET, b"garbage\r\n\r\n")):
            with await Peer.connect(gateway.port) as client:
                _, answer = await exchange(client, upstream, request, response)
                assert field(answer, "Alt-Svc") == [value]
                upstream.peers[-1].close()
