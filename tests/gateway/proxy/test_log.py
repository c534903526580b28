"""The event log over real traffic: every record as it is promised, exact counts, and no harm to anybody."""

import asyncio
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from gateway.events import Close, Error, Event, Frame, Listening, Omitted, Open, Request, Stopping, Violation
from gateway.proxy.log import EventLog, Frames, Made, Tap
from gateway.websocket.frames import Decoder
from gateway.websocket.handshake import Extensions
from tests.gateway.proxy.raw import KEY, close, frame, from_client, handshake, open_tunnel, switching
from tests.gateways import GatewayProcess, GatewayThread, config_of, gateway_command
from tests.servers import PATIENCE, Peer, Upstream, reserved_port

MIB = 1 << 20


async def conn_of(gateway: GatewayProcess | GatewayThread, client: Peer) -> int:
    """The number of `client`'s tunnel."""
    return (await gateway.records.wait_for(Open, client=client.name)).conn


async def end(client: Peer, server: Peer) -> None:
    """Let a tunnel end, from both sides."""
    client.end()
    await server.read_to_end()
    server.end()
    await client.read_to_end()


async def test_the_record_of_an_opening_handshake(gateway_on: GatewayProcess, upstream: Upstream) -> None:
    """Both messages on both legs, names and values in order; path, addresses and what was agreed."""
    with await Peer.connect(gateway_on.port) as client:
        await client.send(
            handshake("Sec-WebSocket-Protocol: a, b", "Sec-WebSocket-Extensions: permessage-deflate")
        )
        server = await upstream.accept()
        sent = await server.read_head()
        answer = switching("Sec-WebSocket-Protocol: b", "Sec-WebSocket-Extensions: permessage-deflate")
        await server.send(answer)
        got = await client.read_head()
        told = await gateway_on.records.wait_for(Open, client=client.name)
        await end(client, server)
    assert (told.path, told.upstream) == ("/ws", f"http://127.0.0.1:{upstream.port}")
    assert (told.subprotocol, told.extensions) == ("b", "permessage-deflate")
    asked, answered = told.handshake.request, told.handshake.response
    assert asked.received[:2] == (("Host", "gateway.example"), ("Connection", "Upgrade"))
    assert ("Sec-WebSocket-Key", KEY) in asked.received
    for headers, head in ((asked.sent, sent), (answered.received, answer), (answered.sent, got)):
        lines = head.decode().split("\r\n")[1:-2]
        assert [f"{name}: {value}" for name, value in headers] == lines


async def test_secrets_are_redacted(gateway: GatewayProcess, upstream: Upstream) -> None:
    """In handshakes, paths, urls and subprotocols; the traffic itself has them all."""
    fields = (
        "Cookie: sid=s3cret",
        "Authorization: Bearer s3cret",
        "X-Session-Token: s3cret",
        "Sec-WebSocket-Protocol: bearer, s3cret",
        "Referer: http://user:s3cret@host/?api_key=s3cret",
    )
    before = len(gateway.records.lines)
    with await Peer.connect(gateway.port) as client:
        await client.send(handshake(*fields, path="/ws?access_token=s3cret&room=1"))
        server = await upstream.accept()
        assert (await server.read_head()).count(b"s3cret") == 7
        await server.send(switching("Set-Cookie: sid=s3cret", "Sec-WebSocket-Protocol: s3cret"))
        assert (await client.read_head()).count(b"s3cret") == 2
        told = await gateway.records.wait_for(Open, client=client.name)
        await end(client, server)
    with await Peer.connect(gateway.port) as client:
        await client.send(b"GET /?password=s3cret HTTP/1.1\r\nHost: a\r\n\r\n")
        server = await upstream.accept()
        await server.read_head()
        await server.send(b"HTTP/1.1 101 No\r\n\r\n")
        await client.read_until(b"}")
        await gateway.records.wait_for(Error, client=client.name)
        await gateway.records.wait_for(Request, client=client.name)
    assert told.path == "/ws?access_token=[redacted]&room=1"
    assert told.subprotocol == "[redacted]"
    assert not any(b"s3cret" in line for line in gateway.records.lines[before:])


async def test_the_options_of_the_command(upstream: Upstream) -> None:
    """With --show-secrets nothing is redacted; --preview and --frame-rate mean what they say."""
    options = ("--show-secrets", "--preview", "3", "--frame-rate", "0")
    with GatewayProcess(config_of(f"http://127.0.0.1:{upstream.port}"), *options) as gateway:
        client, server = await open_tunnel(gateway.port, upstream, "Cookie: sid=s3cret")
        with client:
            told = await gateway.records.wait_for(Open)
            await client.send(from_client(b"hello") * 3000)
            await server.read(11 * 3000)
            await end(client, server)
            await gateway.records.wait_for(Close)
    assert ("Cookie", "sid=s3cret") in told.handshake.request.received
    frames = gateway.records.all(Frame)
    assert [each.text for each in frames] == ["hel"] * 3000


async def test_the_record_of_a_frame(gateway_on: GatewayProcess, upstream: Upstream) -> None:
    """Every field, for text from the client and binary from the upstream, one after the other."""
    client, server = await open_tunnel(gateway_on.port, upstream)
    with client, server:
        conn = await conn_of(gateway_on, client)
        await client.send(from_client("Grüße".encode()))
        first = await gateway_on.records.wait_for(Frame, conn=conn, sender="client")
        await client.send(frame(b"\x00\xff" * 100, opcode=2, fin=False, masked=True))
        second = await gateway_on.records.wait_for(Frame, conn=conn, sender="client", past=1)
        await server.send(close(4001, "so long"))
        last = await gateway_on.records.wait_for(Frame, conn=conn, sender="upstream")
        await end(client, server)
    assert (first.fin, first.rsv, first.opcode, first.masked) == (True, 0, "text", True)
    assert (first.len, first.header_len, first.gap_ms) == (7, 6, None)
    assert (first.text, first.hex, first.truncated, first.inflated) == ("Grüße", None, False, False)
    assert (second.fin, second.opcode, second.len, second.header_len) == (False, "binary", 200, 8)
    assert second.gap_ms is not None
    assert second.gap_ms == pytest.approx((second.t_ns - first.t_ns) / 1e6, abs=0.001)
    assert (second.text, second.hex, second.truncated) == (None, "00ff" * 32, True)
    assert (last.opcode, last.masked, last.code, last.reason) == ("close", False, 4001, "so long")


async def test_compressed_payloads_are_shown_inflated(gateway: GatewayProcess, upstream_port: int) -> None:
    """Real permessage-deflate of `websockets`, context taken over: each preview is what was said."""

    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async with (
        serve(echo, "127.0.0.1", upstream_port),
        connect(f"ws://127.0.0.1:{gateway.port}/") as client,
    ):
        host, port = client.local_address
        conn = (await gateway.records.wait_for(Open, client=f"{host}:{port}")).conn
        for number in range(5):
            await client.send(f"the same words, number {number}")
            await client.recv()
        for side in ("client", "upstream"):
            for number in range(5):
                told = await gateway.records.wait_for(Frame, conn=conn, sender=side, past=number)
                assert (told.text, told.inflated) == (f"the same words, number {number}", True)
                assert told.rsv == 4


async def test_violations_are_reported_and_passed_on(gateway: GatewayProcess, upstream: Upstream) -> None:
    """What breaks the protocol arrives all the same, and is named with its section."""
    wrong = [
        (frame(b"not masked"), "client", "RFC 6455 section 5.1"),
        (frame(b"?", opcode=11, masked=True), "client", "RFC 6455 section 5.2"),
        (frame(b"", opcode=9, fin=False, masked=True), "client", "RFC 6455 section 5.5"),
        (frame(b"\xff\xfe"), "upstream", "RFC 6455 section 8.1"),
        (close(1005), "upstream", "RFC 6455 section 7.4"),
    ]
    client, server = await open_tunnel(gateway.port, upstream)
    with client, server:
        conn = await conn_of(gateway, client)
        for data, side, rfc in wrong:
            source, sink = (client, server) if side == "client" else (server, client)
            await source.send(data)
            assert await sink.read(len(data)) == data
            told = await gateway.records.wait_for(Violation, conn=conn, sender=side, rfc=rfc)
            assert told.what
        await end(client, server)


async def test_the_record_of_a_close(gateway: GatewayProcess, upstream: Upstream) -> None:
    """All frames and bytes of both sides, codes and reasons, who was first, and how long it took."""
    client, server = await open_tunnel(gateway.port, upstream)
    with client, server:
        conn = await conn_of(gateway, client)
        from_there = [frame(b"one"), frame(b"two", fin=False), close(1000, "done")]
        from_here = [from_client(b"three"), close(1000, "done too", masked=True)]
        await server.send(b"".join(from_there))
        assert await client.read(sum(map(len, from_there))) == b"".join(from_there)
        await client.send(b"".join(from_here))
        await end(client, server)
        told = await gateway.records.wait_for(Close, conn=conn)
    assert (told.by, told.how) == ("upstream", "close")
    assert (told.upstream.frames, told.upstream.bytes) == (3, sum(map(len, from_there)))
    assert (told.client.frames, told.client.bytes) == (2, sum(map(len, from_here)))
    assert (told.upstream.code, told.upstream.reason) == (1000, "done")
    assert (told.client.code, told.client.reason) == (1000, "done too")
    assert 0 < told.ms < 5000


@pytest.mark.parametrize("rate", [100, 0])
@pytest.mark.parametrize("pieces", [1, 400])
async def test_frames_and_omitted_are_the_totals_exactly(upstream: Upstream, rate: int, pieces: int) -> None:
    """Under a flood of 50,000 tiny frames each way, what is left out is counted to the byte."""
    payloads = [b"%05d" % number for number in range(50_000)]
    up = b"".join(from_client(payload) for payload in payloads) + close(1000, masked=True)
    down = b"".join(frame(payload) for payload in payloads) + close(1000)
    with GatewayThread(config_of(f"http://127.0.0.1:{upstream.port}"), frame_rate=rate) as gateway:
        client, server = await open_tunnel(gateway.port, upstream)
        with client, server:
            async with asyncio.TaskGroup() as group:
                group.create_task(_send(client, up, pieces))
                group.create_task(_send(server, down, pieces))
                at_server, at_client = (
                    group.create_task(server.read(len(up))),
                    group.create_task(client.read(len(down))),
                )
            assert at_server.result() == up
            assert at_client.result() == down
            await end(client, server)
            told = await gateway.records.wait_for(Close)
    for side, totals, stream in (("client", told.client, up), ("upstream", told.upstream, down)):
        frames = gateway.records.all(Frame, sender=side)
        omitted = gateway.records.all(Omitted, sender=side)
        assert (totals.frames, totals.bytes) == (50_001, len(stream))
        assert len(frames) + sum(each.frames for each in omitted) == totals.frames
        shown = sum(each.len + each.header_len for each in frames)
        assert shown + sum(each.bytes for each in omitted) == totals.bytes
        # Close frames are the last to go.
        assert [each.code for each in frames if each.opcode == "close"] == [1000]
        if rate:
            assert omitted
            assert len(frames) < 5_000


async def _send(peer: Peer, data: bytes, pieces: int) -> None:
    size = len(data) // pieces + 1
    for at in range(0, len(data), size):
        await peer.send(data[at : at + size])


@pytest.mark.parametrize("preview", [0, 5])
async def test_preview(upstream: Upstream, preview: int) -> None:
    """A preview counts bytes as a reader would have them; 0 shows none."""
    with GatewayThread(config_of(f"http://127.0.0.1:{upstream.port}"), preview=preview) as gateway:
        client, server = await open_tunnel(gateway.port, upstream)
        with client:
            await client.send(from_client(b"hello world") + from_client(b""))
            told = await gateway.records.wait_for(Frame)
            empty = await gateway.records.wait_for(Frame, past=1)
            await end(client, server)
    assert (told.text, told.truncated, told.len) == ("hello"[:preview], True, 11)
    assert (empty.text, empty.truncated) == ("", False)


async def test_off_writes_start_stop_and_errors_alone(upstream: Upstream) -> None:
    """Plain lines, and nothing about the traffic."""
    config = config_of(f"http://127.0.0.1:{upstream.port}")
    with GatewayProcess(config, frames="off") as gateway:
        client, server = await open_tunnel(gateway.port, upstream)
        with client:
            await client.send(from_client(b"hello"))
            await end(client, server)
        with await Peer.connect(gateway.port) as client:
            await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            server = await upstream.accept()
            await server.send(b"HTTP/1.1 101 No\r\n\r\n")
            await client.read_until(b"}")
        gateway.signal(signal.SIGTERM)
        assert await gateway.ended() == 0
    told = [line.decode() for line in gateway.records.lines]
    assert len(told) == 3
    assert "listens" in told[0]
    assert "switched protocols" in told[1]
    assert "stops" in told[2]


async def test_start_and_stop_in_json(upstream_port: int) -> None:
    """`listening` is the first record, `stopping` says which signal and how many tunnels."""
    with GatewayProcess(config_of(f"http://127.0.0.1:{upstream_port}")) as gateway:
        gateway.signal(signal.SIGINT)
        assert await gateway.ended() == 0
    first, last = gateway.records.all(Listening)[0], gateway.records.all(Stopping)[0]
    assert (first.addr, first.url) == (f"127.0.0.1:{gateway.port}", f"http://localhost:{gateway.port}")
    assert (last.signal, last.open) == ("SIGINT", 0)
    assert first.t_ns < last.t_ns


# Readers that do not read


def started(
    config: Path, *options: str, stdout: int | None, close_stdout: bool = False
) -> "subprocess.Popen[bytes]":
    """A gateway with this standard output."""
    command = [*gateway_command(), "-f", str(config), *options]
    if close_stdout:
        command = ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *command]
    return subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE)


async def flood(port: int, upstream: Upstream) -> None:
    """Tunnels with much traffic, which must arrive."""
    stream = b"".join(from_client(b"%06d" % number) for number in range(10_000))
    for _ in range(2):
        client, server = await open_tunnel(port, upstream)
        with client, server:
            async with asyncio.TaskGroup() as group:
                group.create_task(client.send(stream))
                assert await server.read(len(stream)) == stream
            await end(client, server)


def rss(pid: int) -> int:
    """Bytes of memory that a process uses."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def listen_port() -> Iterator[int]:
    """A port for a gateway whose log cannot tell where it listens."""
    with reserved_port() as port:
        yield port


@pytest.mark.parametrize(
    ("how", "frames"),
    [
        ("never reads", "json"),
        ("never reads", "text"),
        ("goes away", "json"),
        ("is closed from the start", "text"),
    ],
)
async def test_a_reader_that_does_not_read_harms_nobody(
    upstream: Upstream, listen_port: int, tmp_path: Path, frames: Frames, how: str
) -> None:
    """Traffic lives, memory is bounded, the stop is prompt and its status 0."""
    config = tmp_path / "config.yaml"
    config.write_text(config_of(f"http://127.0.0.1:{upstream.port}", addr=f"127.0.0.1:{listen_port}"))
    reader, writer = os.pipe()
    options = ("--frames", frames, "--frame-rate", "0", "--preview", "1000")
    process = started(config, *options, stdout=writer, close_stdout=how == "is closed from the start")
    os.close(writer)
    try:
        await _up(listen_port)
        if how == "goes away":
            os.close(reader)
        await flood(listen_port, upstream)
        before = rss(process.pid)
        await flood(listen_port, upstream)
        assert rss(process.pid) - before < 16 * MIB
        assert rss(process.pid) < 160 * MIB
        process.send_signal(signal.SIGTERM)
        _, errors = await asyncio.to_thread(process.communicate, timeout=3)
        assert (process.returncode, errors) == (0, b"")
    finally:
        process.kill()
        process.communicate()
        if how != "goes away":
            os.close(reader)


async def test_very_many_directions_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told of those left out does not grow with their number, and is exact in the end."""
    directions, windows = 1000, 20
    log = EventLog(None, "json", preview=0, frame_rate=100)
    told: list[Event] = []

    def put(make: Made) -> bool:
        told.append(make("", 0))
        return True

    monkeypatch.setattr(log, "put", put)
    plain = Extensions(deflate=False, client_takeover=False, upstream_takeover=False, rsv_known=0)
    taps = [
        Tap(log, conn, "client", Decoder("client", preview=0), plain) for conn in range(1, directions + 1)
    ]
    now = time.monotonic_ns()
    for _ in range(windows):
        before = len(told)
        for tap in taps:
            tap.receive_data(from_client(b"x"), now)
        assert len(told) - before <= 200
        now += 100_000_000
    for tap in taps:
        tap.finish()
    left_out = Counter[int]()
    for record in told:
        assert isinstance(record, Omitted)
        left_out[record.conn] += record.frames
    for tap in taps:
        assert left_out[tap.conn] == tap.decoder.omitted_frames
        assert tap.decoder.frames == windows
    assert sum(tap.decoder.recorded_frames for tap in taps) >= 100
    await log.close(1)


async def test_a_full_log_says_how_much_is_missing(upstream: Upstream) -> None:
    """A reader that comes back learns that records were left out."""
    with GatewayThread(config_of(f"http://127.0.0.1:{upstream.port}"), frame_rate=0) as gateway:
        gateway.records.pause()
        stream = b"".join(from_client(b"%06d" % number) for number in range(60_000)) + close(
            1000, masked=True
        )
        client, server = await open_tunnel(gateway.port, upstream)
        with client, server:
            async with asyncio.TaskGroup() as group:
                group.create_task(client.send(stream))
                assert await server.read(len(stream)) == stream
            gateway.records.go_on()
            await end(client, server)
            told = await gateway.records.wait_for(Close)
    omitted = sum(each.frames for each in gateway.records.all(Omitted))
    assert omitted > 10_000
    assert len(gateway.records.all(Frame)) + omitted == told.client.frames == 60_001
    assert gateway.records.all(Frame, opcode="close")


async def _up(port: int) -> None:
    """Wait until somebody listens there."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                with await Peer.connect(port):
                    return
            except ConnectionRefusedError:
                await asyncio.sleep(0.02)
