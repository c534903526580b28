"""The limits of the command line: what is too much, too slow or too silent is ended, and told in words."""

import asyncio
import re
from collections.abc import Iterator

import pytest

from gateway.events import Close, Error, Open
from gateway.limits import OwnLimits
from tests.gateway.proxy.listening import config_with
from tests.gateway.proxy.plain import GET, exchange, words
from tests.gateway.proxy.raw import HANDSHAKE, close, frame, from_client, handshake, open_tunnel, switching
from tests.gateway.proxy.stopping import expect_going_away
from tests.gateways import LOOPS, GatewayThread, Loop, config_of
from tests.servers import Peer, Upstream

FIELDS = 20
STALL = 1.0
IDLE = 1.5
LARGE = 32 << 20
"""Bytes, more than all buffers on the way take."""

TOO_MANY = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Connection: close\r\n\r\n431 Request Header Fields Too Large"
)


@pytest.fixture(scope="module", params=LOOPS)
def strict(request: pytest.FixtureRequest, upstream_port: int) -> Iterator[GatewayThread]:
    """Gateways that allow few fields and short stalls, one on either loop."""
    config = config_of(f"http://127.0.0.1:{upstream_port}")
    limits = OwnLimits(header_fields=FIELDS, stall_timeout=STALL)
    with GatewayThread(config, loop=request.param, limits=limits) as gateway:
        yield gateway


def large(*, masked: bool = False) -> bytes:
    """A frame of `LARGE` bytes of payload."""
    return frame(b"", opcode=2, masked=masked, length=LARGE) + bytes(LARGE)


def more(head: bytes, count: int) -> bytes:
    """`head` with so many fields more."""
    return head[:-2] + b"".join(b"X-%d: x\r\n" % number for number in range(count)) + b"\r\n"


async def test_fields_of_a_request(strict: GatewayThread, upstream: Upstream) -> None:
    """As many as may be pass, through either reader; one more is a 431 that the log explains."""
    for head, own in ((GET, 1), (HANDSHAKE, 5), (handshake("Content-Length: 0"), 6)):
        with await Peer.connect(strict.port) as client:
            answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
            passed, _ = await exchange(client, upstream, more(head, FIELDS - own), answer)
            assert b"\r\nX-%d: x\r\n" % (FIELDS - own - 1) in passed
        past = len(strict.records.all(Error))
        with await Peer.connect(strict.port) as client:
            await client.send(more(head, FIELDS - own + 1))
            assert await client.read_to_end() == TOO_MANY
        told = await strict.records.wait_for(Error, past=past)
        assert (told.message, told.status) == (
            f"a request that cannot be read: its head has more than {FIELDS} fields",
            431,
        )
        assert told.client == client.name
    assert upstream.nobody()


async def test_fields_of_an_answer(strict: GatewayThread, upstream: Upstream) -> None:
    """Of a 101, of another answer to a handshake, and of an answer to a plain request: one more is a 502."""
    ok = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    for request, answer, own, says in (
        (HANDSHAKE, switching(), 3, "its 101 has more than 20 header fields"),
        (HANDSHAKE, ok, 2, "answered with more than 20 header fields"),
        (GET, ok, 2, "answered with more than 20 header fields"),
    ):
        with await Peer.connect(strict.port) as client:
            _, head = await exchange(client, upstream, request, more(answer, FIELDS - own))
            assert b"X-%d: x\r\n" % (FIELDS - own - 1) in head.replace(b"x-", b"X-")
        asking = asyncio.create_task(words(strict, request))
        server = await upstream.accept()
        await server.read_head()
        await server.send(more(answer, FIELDS - own + 1))
        status, message = await asking
        assert (status, message.endswith(says)) == (502, True), message


@pytest.mark.parametrize("loop", LOOPS)
async def test_limits_of_the_config_hold_for_handshakes(upstream: Upstream, loop: Loop) -> None:
    """maxHeaderBytes, with Go's 4096 on top, and readHeaderTimeout."""
    config = config_with(f"http://127.0.0.1:{upstream.port}", "maxHeaderBytes: 1000, readHeaderTimeout: 1")
    fill = 5096 - len(handshake("X: "))
    with GatewayThread(config, loop=loop) as gateway:
        client, server = await open_tunnel(gateway.port, upstream, f"X: {fill * 'x'}")
        late, silent = await Peer.connect(gateway.port), await Peer.connect(gateway.port)
        with client, server, late, silent, await Peer.connect(gateway.port) as large:
            await large.send(handshake(f"X: {(fill + 1) * 'x'}"))
            assert await large.read_to_end() == TOO_MANY
            told = await gateway.records.wait_for(Error)
            assert told.message == "a request that cannot be read: its head has more than 5096 bytes"
            await late.send(HANDSHAKE[:-1])
            assert (await late.read_to_end()).startswith(b"HTTP/1.1 400 Bad Request\r\n")
            assert await silent.read_to_end() == b""
            await server.send(frame(b"still here"))
            assert await client.read(12) == frame(b"still here")


async def test_standstills(strict: GatewayThread, upstream: Upstream) -> None:
    """Who takes nothing is cut, and that is told; who is slow, or has nothing to take, is let be."""
    cases = (_a_client_stalls, _an_upstream_stalls, _a_client_stalls_that_is_alone, _a_client_is_slow)
    silent, partner = await open_tunnel(strict.port, upstream)
    with silent, partner:
        tunnels = [await open_tunnel(strict.port, upstream) for _ in cases]
        ran = await asyncio.gather(
            *(case(strict, *pair) for case, pair in zip(cases, tunnels, strict=True)), return_exceptions=True
        )
        failed = {case.__name__: each for case, each in zip(cases, ran, strict=True) if each is not None}
        assert failed == {}
        await partner.send(frame(b"still here"))
        assert await silent.read(12) == frame(b"still here")


async def _a_client_stalls(gateway: GatewayThread, client: Peer, server: Peer) -> None:
    await _stalls(gateway, client, server, client, "the client")


async def _an_upstream_stalls(gateway: GatewayThread, client: Peer, server: Peer) -> None:
    await _stalls(gateway, client, server, server, f"the upstream at {server.name}")


async def _stalls(gateway: GatewayThread, client: Peer, server: Peer, slow: Peer, who: str) -> None:
    """Both connections are reset; the log says who took nothing, for how long, and how much waited."""
    told = await gateway.records.wait_for(Open, client=client.name)
    writer = server if slow is client else client
    with client, server:
        sending = asyncio.create_task(writer.send(large(masked=writer is client)))
        error = await gateway.records.wait_for(Error, conn=told.conn)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            await sending
        assert await slow.was_reset()
        ended = await gateway.records.wait_for(Close, conn=told.conn)
    assert (ended.by, ended.how, error.client) == ("gateway", "timeout", client.name)
    found = re.fullmatch(
        rf"{who} took nothing for ([\d.]+) s while (\d+) bytes waited for it; both connections of the "
        r"WebSocket were cut \(--stall-timeout\)",
        error.message,
    )
    assert found is not None, error.message
    assert float(found[1]) >= STALL
    assert int(found[2]) > 0


async def _a_client_stalls_that_is_alone(gateway: GatewayThread, client: Peer, server: Peer) -> None:
    """Though the upstream has left, what it has sent is waited with no longer."""
    told = await gateway.records.wait_for(Open, client=client.name)
    with client, server:
        sending = asyncio.create_task(server.send(large()))
        await client.read(10)
        await asyncio.wait([sending], timeout=STALL / 4)
        sending.cancel()
        server.close()
        await gateway.records.wait_for(Close, conn=told.conn)
        assert await client.was_reset()
    (error,) = gateway.records.all(Error, conn=told.conn)
    assert error.message.startswith("the client took nothing for ")


async def _a_client_is_slow(gateway: GatewayThread, client: Peer, server: Peer) -> None:
    """Meanwhile the gateway's own buffer stays as it is, because the system's is full."""
    told = await gateway.records.wait_for(Open, client=client.name)
    with client, server:
        sending = asyncio.create_task(server.send(large(), patience=30))
        for _ in range(20):  # together much longer than it may take nothing
            await client.read(64 * 1024)
            await asyncio.sleep(STALL / 8)
        assert not sending.done()
        assert gateway.records.all(Error, conn=told.conn) == []
        await client.read(LARGE + 10 - 20 * 64 * 1024)
        await sending


@pytest.fixture(scope="module", params=LOOPS)
def impatient(request: pytest.FixtureRequest, upstream_port: int) -> Iterator[GatewayThread]:
    """Gateways that end what is idle, one on either loop."""
    config = config_of(f"http://127.0.0.1:{upstream_port}")
    limits = OwnLimits(idle_timeout=IDLE, stall_timeout=0)
    with GatewayThread(config, loop=request.param, limits=limits) as gateway:
        yield gateway


async def test_an_idle_tunnel(impatient: GatewayThread, upstream: Upstream) -> None:
    """Both peers get a Close 1001 and may answer it; the log says why. One that is used lives on."""
    used, partner = await open_tunnel(impatient.port, upstream)
    client, server = await open_tunnel(impatient.port, upstream)
    told = await impatient.records.wait_for(Open, client=client.name)

    async def keep_up() -> None:
        for number in range(16):  # alternately, and longer than nothing may pass
            writer, data = ((used, from_client(b"x")), (partner, frame(b"x")))[number % 2]
            await writer.send(data)
            await asyncio.sleep(IDLE / 10)

    with used, partner, client, server:
        using = asyncio.create_task(keep_up())
        await expect_going_away(client, masked=False)
        await expect_going_away(server, masked=True)
        await client.send(close(1001, masked=True))
        await server.send(close(1001))
        assert await client.read_to_end() == b""
        assert await server.read_to_end() == b""
        ended = await impatient.records.wait_for(Close, conn=told.conn)
        await using
        assert impatient.records.all(Close, conn=told.conn - 1) == []
    assert (ended.by, ended.how) == ("gateway", "timeout")
    (error,) = impatient.records.all(Error, conn=told.conn)
    assert error.client == client.name
    assert re.fullmatch(
        r"no byte passed either way for [\d.]+ s; the WebSocket was ended with Close 1001 \(--idle-timeout\)",
        error.message,
    )


async def test_an_idle_tunnel_whose_peers_do_not_answer(
    impatient: GatewayThread, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are given some seconds; then both connections end."""
    monkeypatch.setattr("gateway.proxy.sweep._ANSWER", 0.2)
    client, server = await open_tunnel(impatient.port, upstream)
    told = await impatient.records.wait_for(Open, client=client.name)
    with client, server:
        await expect_going_away(client, masked=False)
        await expect_going_away(server, masked=True)
        assert await client.read_to_end() == b""
        assert await server.read_to_end() == b""
        ended = await impatient.records.wait_for(Close, conn=told.conn)
    assert (ended.by, ended.how) == ("gateway", "timeout")


async def test_a_fault_with_one_tunnel(
    impatient: GatewayThread, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told, and the limits hold on."""
    past = len(impatient.records.all(Error))
    client, server = await open_tunnel(impatient.port, upstream)
    with client, server:
        with monkeypatch.context() as broken:
            broken.setattr("gateway.proxy.sweep._waiting", lambda _: 1 // 0)
            error = await impatient.records.wait_for(Error, past=past)
            assert error.message.startswith("a fault of the gateway: ZeroDivisionError: ")
        await expect_going_away(client, masked=False)


@pytest.mark.parametrize("loop", LOOPS)
async def test_without_limits_there_is_no_look(upstream: Upstream, loop: Loop) -> None:
    """The task that would look has ended."""
    config = config_of(f"http://127.0.0.1:{upstream.port}")
    with GatewayThread(config, loop=loop, limits=OwnLimits(stall_timeout=0)) as gateway:
        assert "sweep" not in await gateway.tasks()
    with GatewayThread(config, loop=loop) as gateway:
        assert "sweep" in await gateway.tasks()


@pytest.mark.parametrize(("loop", "buffer"), [("uvloop", 0), ("uvloop", 1 << 20), ("asyncio", 4096)])
async def test_what_waits_in_a_tunnel(upstream: Upstream, loop: Loop, buffer: int) -> None:
    """No more than the buffer and one read, however much the other side would send."""
    config = config_of(f"http://127.0.0.1:{upstream.port}")
    limits = OwnLimits(tunnel_buffer=buffer, stall_timeout=0)
    with GatewayThread(config, loop=loop, limits=limits) as gateway:
        client, server = await open_tunnel(gateway.port, upstream)

        def waiting() -> int:
            assert gateway._gateway is not None
            (tunnel,) = gateway._gateway._tunnels()
            return tunnel.down.transport.get_write_buffer_size()

        with client, server:
            sending = asyncio.create_task(server.send(large(), patience=30))
            before, size = -1, 0
            while size == 0 or size != before:
                before, size = size, await gateway.call(waiting)
                await asyncio.sleep(0.2)
            assert buffer < size <= buffer + 256 * 1024
            assert len(await client.read(LARGE + 10)) == LARGE + 10
            await sending
