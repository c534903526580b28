"""Stops: Close 1001 both ways, at frame boundaries alone; whoever does not answer is not waited for twice."""

import asyncio
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from gateway.events import Close, Listening, Stopping
from gateway.proxy.log import Frames
from tests.gateway.proxy.raw import close, frame, from_client, open_tunnel
from tests.gateway.proxy.stopping import GOING_AWAY, SOON, answer, expect_going_away, start
from tests.gateways import LOOPS, GatewayProcess, GatewayThread, Loop, config_of
from tests.servers import Peer, Upstream


@pytest.mark.parametrize(
    ("number", "frames", "loop"),
    [
        (signal.SIGINT, "json", "uvloop"),
        (signal.SIGTERM, "off", "uvloop"),
        (signal.SIGINT, "off", "asyncio"),
        (signal.SIGTERM, "json", "asyncio"),
    ],
)
async def test_a_signal_sends_close_1001_both_ways(
    upstream: Upstream, number: signal.Signals, frames: Frames, loop: Loop
) -> None:
    """Both signals, with the frame log and without it, on both loops; the process ends with 0."""
    config = config_of(f"http://127.0.0.1:{upstream.port}", shutdown_timeout=10)
    with GatewayProcess(config, frames=frames, loop=loop) as gateway:
        client, server = await open_tunnel(gateway.port, upstream)
        with client:
            await client.send(from_client(b"hello"))
            assert await server.read(11) == from_client(b"hello")
            began = time.monotonic()
            gateway.signal(number)
            await expect_going_away(client, masked=False)
            await expect_going_away(server, masked=True)
            await answer(client, server)
        assert await gateway.ended() == 0
        assert time.monotonic() - began < SOON
    if frames == "json":
        stopping = gateway.records.all(Stopping)
        assert [(each.signal, each.open) for each in stopping] == [(number.name, 1)]
        told = gateway.records.all(Close)[0]
        assert (told.by, told.how) == ("gateway", "close")
        assert (told.client.code, told.upstream.code) == (1001, 1001)


async def test_libraries_see_a_clean_1001(upstream_port: int) -> None:
    """`websockets` on both ends call it a proper close, and answer by themselves."""
    seen: asyncio.Queue[ConnectionClosed] = asyncio.Queue()

    async def handler(connection: ServerConnection) -> None:
        try:
            await connection.recv()
        except ConnectionClosed as error:
            seen.put_nowait(error)

    async with serve(handler, "127.0.0.1", upstream_port):
        with GatewayThread(config_of(f"http://127.0.0.1:{upstream_port}", shutdown_timeout=10)) as gateway:
            async with connect(f"ws://127.0.0.1:{gateway.port}/") as client:
                began = time.monotonic()
                gateway.signal()
                with pytest.raises(ConnectionClosed) as caught:
                    await client.recv()
            await gateway.ended()
            assert time.monotonic() - began < SOON
    for error in (caught.value, seen.get_nowait()):
        assert error.rcvd is not None
        assert error.rcvd.code == 1001
        assert error.rcvd_then_sent


@pytest.mark.parametrize("loop", LOOPS)
async def test_nobody_new_gets_in(upstream: Upstream, loop: Loop) -> None:
    """From the signal on, connections are refused, while a tunnel still waits for its answers."""
    with start(upstream, loop) as gateway:
        client, server = await open_tunnel(gateway.port, upstream)
        with client:
            gateway.signal()
            await expect_going_away(client, masked=False)
            with pytest.raises(ConnectionRefusedError):
                await Peer.connect(gateway.port)
            await expect_going_away(server, masked=True)
            await answer(client, server)
        await gateway.ended()


@pytest.mark.parametrize("loop", LOOPS)
async def test_peers_that_do_not_answer_are_given_the_limit(upstream: Upstream, loop: Loop) -> None:
    """Whoever does not answer has `shutdownTimeout`; then the connections end."""
    with start(upstream, loop, shutdown_timeout=1) as gateway:
        client, server = await open_tunnel(gateway.port, upstream)
        with client:
            began = time.monotonic()
            gateway.signal()
            assert await client.read_to_end() == GOING_AWAY
            assert 0.9 < time.monotonic() - began < 4
            await expect_going_away(server, masked=True)
            assert await server.read_to_end() == b""
        await gateway.ended()
    told = gateway.records.all(Close)[0]
    assert (told.by, told.how, told.client.code) == ("gateway", "close", None)


async def test_a_second_signal_ends_at_once(upstream: Upstream) -> None:
    """Nobody is waited for any longer."""
    config = config_of(f"http://127.0.0.1:{upstream.port}", shutdown_timeout=30)
    with GatewayProcess(config) as gateway:
        client, _ = await open_tunnel(gateway.port, upstream)
        with client:
            gateway.signal(signal.SIGINT)
            await expect_going_away(client, masked=False)
            began = time.monotonic()
            gateway.signal(signal.SIGINT)
            assert await gateway.ended() == 0
            assert time.monotonic() - began < SOON


LONG = random.Random(7).randbytes(70_000)
CUTS: dict[str, Callable[[bytes, bytes], tuple[bytes, bytes]]] = {
    "one byte of header": lambda a, b: (a + b[:1], b[1:]),
    "half a header": lambda a, b: (a + b[:5], b[5:]),
    "a header and no payload": lambda a, b: (a + b[:14], b[14:]),
    "half a payload": lambda a, b: (a + b[:40_000], b[40_000:]),
    "all but a byte": lambda a, b: (a + b[:-1], b[-1:]),
}


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("cut", CUTS)
async def test_a_frame_under_way_is_finished_first(upstream: Upstream, loop: Loop, cut: str) -> None:
    """Towards both sides, the Close stands behind the frame, and nothing of the source behind the Close."""
    to_client = CUTS[cut](frame(b"whole"), frame(LONG, opcode=2))
    to_server = CUTS[cut](from_client(b"whole"), from_client(LONG, opcode=2))
    with start(upstream, loop) as gateway:
        client, server = await open_tunnel(gateway.port, upstream)
        with client:
            await server.send(to_client[0])
            await client.send(to_server[0])
            assert await client.read(len(to_client[0])) == to_client[0]
            assert await server.read(len(to_server[0])) == to_server[0]
            gateway.signal()
            await gateway.records.wait_for(Stopping)
            await server.send(to_client[1] + frame(b"too late"))
            await client.send(to_server[1] + from_client(b"too late"))
            assert await client.read(len(to_client[1])) == to_client[1]
            await expect_going_away(client, masked=False)
            assert await server.read(len(to_server[1])) == to_server[1]
            await expect_going_away(server, masked=True)
            await answer(client, server)
        await gateway.ended()


async def test_a_close_may_stand_between_fragments(upstream: Upstream) -> None:
    """A message that is not finished is no frame that is not finished."""
    with start(upstream) as gateway:
        client, server = await open_tunnel(gateway.port, upstream)
        with client:
            await server.send(frame(b"first of two", fin=False))
            assert await client.read(14) == frame(b"first of two", fin=False)
            gateway.signal()
            await expect_going_away(client, masked=False)
            await expect_going_away(server, masked=True)
            await server.send(frame(b"second of two", opcode=0))
            await answer(client, server)
        await gateway.ended()


@pytest.mark.parametrize("loop", LOOPS)
async def test_a_frame_that_is_never_finished(upstream: Upstream, loop: Loop) -> None:
    """Its direction ends by FIN after `shutdownTimeout`, with no Close inside it; the other has its Close."""
    half = frame(LONG)[:50_000]
    with start(upstream, loop, shutdown_timeout=1) as gateway:
        client, server = await open_tunnel(gateway.port, upstream)
        with client:
            await server.send(half)
            assert await client.read(len(half)) == half
            began = time.monotonic()
            gateway.signal()
            await expect_going_away(server, masked=True)
            assert await client.read_to_end() == b""
            assert 0.9 < time.monotonic() - began < 4
        await gateway.ended()
    assert gateway.records.all(Close)[0].by == "gateway"


@pytest.mark.parametrize("loop", LOOPS)
async def test_a_blind_direction_ends_by_fin(upstream: Upstream, loop: Loop) -> None:
    """Where a length with its top bit set has passed, no boundary is known: FIN, at once."""
    blinding = frame(b"from here on, nobody knows", length=1 << 63)
    with start(upstream, loop) as gateway:
        client, server = await open_tunnel(gateway.port, upstream)
        with client:
            await server.send(blinding)
            assert await client.read(len(blinding)) == blinding
            began = time.monotonic()
            gateway.signal()
            assert await client.read_to_end() == b""
            assert time.monotonic() - began < SOON
            await expect_going_away(server, masked=True)
            await client.send(close(1001, masked=True))
            server.end()
            assert await server.read_to_end() == b""
        await gateway.ended()


@pytest.mark.parametrize("who", ["client", "upstream"])
async def test_a_close_that_has_passed_is_not_doubled(upstream: Upstream, who: str) -> None:
    """In a direction that has its Close already, the gateway adds none."""
    with start(upstream) as gateway:
        client, server = await open_tunnel(gateway.port, upstream)
        with client:
            if who == "upstream":
                await server.send(close(4000, "mine"))
                assert await client.read(8) == close(4000, "mine")
                gateway.signal()
                await expect_going_away(server, masked=True)
                await client.send(close(4000, masked=True))
                assert await client.read_to_end() == b""
                assert await server.read_to_end() == b""
            else:
                await client.send(close(4000, "mine", masked=True))
                assert await server.read(12) == close(4000, "mine", masked=True)
                gateway.signal()
                await expect_going_away(client, masked=False)
                await server.send(close(4000))
                assert await server.read_to_end() == b""
                assert await client.read_to_end() == b""
        await gateway.ended()


async def test_half_a_close_frame_is_finished_and_not_doubled(upstream: Upstream) -> None:
    """Where the frame under way is itself a Close, it is the one of its direction."""
    mine = close(4000, "mine, in two pieces")
    with start(upstream) as gateway:
        client, server = await open_tunnel(gateway.port, upstream)
        with client:
            await server.send(mine[:9])
            assert await client.read(9) == mine[:9]
            gateway.signal()
            await expect_going_away(server, masked=True)
            await server.send(mine[9:])
            assert await client.read(len(mine) - 9) == mine[9:]
            await client.send(close(4000, masked=True))
            assert await client.read_to_end() == b""
            assert await server.read_to_end() == b""
        await gateway.ended()


async def test_half_a_header_that_becomes_a_close(upstream: Upstream) -> None:
    """One byte of header does not say yet how long the Close will be."""
    mine = close(4000, "mine")
    with start(upstream) as gateway:
        client, server = await open_tunnel(gateway.port, upstream)
        with client:
            await server.send(mine[:1])
            assert await client.read(1) == mine[:1]
            gateway.signal()
            await expect_going_away(server, masked=True)
            await server.send(mine[1:])
            assert await client.read(len(mine) - 1) == mine[1:]
            await client.send(close(4000, masked=True))
            assert await client.read_to_end() == b""
        await gateway.ended()


async def test_one_peer_has_ended_its_direction(upstream: Upstream) -> None:
    """No Close can follow a FIN: only the other direction gets one, and one answer is enough."""
    with start(upstream) as gateway:
        client, server = await open_tunnel(gateway.port, upstream)
        with client:
            client.end()
            assert await server.read_to_end() == b""
            gateway.signal()
            await expect_going_away(client, masked=False)
            await server.send(close(1001))
            assert await client.read_to_end() == b""
        await gateway.ended()


@pytest.mark.parametrize("loop", LOOPS)
async def test_what_waits_for_a_slow_reader_is_delivered_first(upstream: Upstream, loop: Loop) -> None:
    """A frame that is under way because its reader is slow arrives whole, and the Close behind it."""
    large = frame(bytes(32 << 20), opcode=2)
    with start(upstream, loop) as gateway:
        client, server = await open_tunnel(gateway.port, upstream)
        with client:
            async with asyncio.TaskGroup() as group:
                group.create_task(server.send(large))
                assert await client.read(10) == large[:10]
                gateway.signal()
                await expect_going_away(server, masked=True)
                assert await client.read(len(large) - 10) == large[10:]
            await expect_going_away(client, masked=False)
            await answer(client, server)
        await gateway.ended()


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("leaves", ["close", "reset"])
async def test_one_side_has_gone_and_the_other_is_slow(upstream: Upstream, loop: Loop, leaves: str) -> None:
    """A stop finds a connection that is lost and another that still delivers; it breaks neither."""
    large = frame(bytes(32 << 20), opcode=2)
    with start(upstream, loop, shutdown_timeout=1) as gateway:
        client, server = await open_tunnel(gateway.port, upstream)
        with client:
            async with asyncio.TaskGroup() as group:
                sending = group.create_task(_all_of_it(server, large))
                assert await client.read(10) == large[:10]
                await asyncio.wait([sending], timeout=0.2)
                if leaves == "close":
                    client.end()
                    assert await server.read_to_end() == b""
                sending.cancel()
                if leaves == "close":
                    server.close()
                else:
                    server.reset()
            gateway.signal()
            await gateway.records.wait_for(Stopping)
            with suppress(ConnectionResetError):
                assert large.startswith(large[:10] + await client.read_to_end())
        await gateway.ended()
    assert len(gateway.records.all(Close)) == 1


async def _all_of_it(peer: Peer, data: bytes) -> None:
    with suppress(OSError):
        await peer.send(data)


@pytest.mark.parametrize("loop", LOOPS)
async def test_wherever_a_stream_is_cut(upstream: Upstream, loop: Loop) -> None:
    """A sweep over the cut positions of a stream of frames: each peer gets whole frames, then one Close."""
    dice = random.Random(11)
    sizes = (0, 3, 126, 0, 300, 5, 66_000, 1)
    opcodes = (1, 2, 9, 10, 2, 1, 2, 1)
    frames = [frame(dice.randbytes(size), opcode=opcode) for size, opcode in zip(sizes, opcodes, strict=True)]
    stream = b"".join(frames)
    ends = [sum(map(len, frames[: count + 1])) for count in range(len(frames))]
    near = {end + offset for end in [0, *ends] for offset in range(-3, 12)}
    cuts = sorted(cut for cut in near | set(range(0, len(stream), 9_001)) if 0 <= cut < len(stream))
    with start(upstream, loop) as gateway:
        tunnels = [await open_tunnel(gateway.port, upstream) for _ in cuts]
        for cut, (client, server) in zip(cuts, tunnels, strict=True):
            await server.send(stream[:cut])
            assert await client.read(cut) == stream[:cut]
        gateway.signal()
        await gateway.records.wait_for(Stopping)
        for cut, (client, server) in zip(cuts, tunnels, strict=True):
            await server.send(stream[cut:])
            boundary = next(end for end in [0, *ends] if end >= cut)
            expected = stream[cut:boundary] + GOING_AWAY
            assert await client.read(len(expected)) == expected, cut
            await expect_going_away(server, masked=True)
            await answer(client, server)
            client.close()
        await gateway.ended()


@pytest.mark.parametrize("loop", LOOPS)
async def test_each_server_has_its_own_time(upstream: Upstream, loop: Loop) -> None:
    """Where one server gives no time to end, the peers of another one have theirs all the same."""
    url = f"http://127.0.0.1:{upstream.port}"
    entry, server, proxy = config_of(url, shutdown_timeout=-1).split("---\n")
    other = (
        config_of(url, shutdown_timeout=30)
        .split("---\n")[1]
        .replace("\nspec:", "\nmetadata: {name: b}\nspec:")
    )
    entry += "    - {apiVersion: core/v1, kind: HTTPServer, name: b}\n"
    with GatewayThread(f"{entry}---\n{server}---\n{other}---\n{proxy}", loop=loop) as gateway:
        await gateway.records.wait_for(Listening, past=1)
        ports = [int(told.url.rpartition(":")[2]) for told in gateway.records.all(Listening)]
        hasty, hasty_server = await open_tunnel(ports[0], upstream)
        calm, calm_server = await open_tunnel(ports[1], upstream)
        with hasty, calm:
            gateway.signal()
            await hasty.read_to_end()
            await hasty_server.read_to_end()
            await expect_going_away(calm, masked=False)
            await expect_going_away(calm_server, masked=True)
            with pytest.raises(TimeoutError):
                await calm.read_to_end(patience=0.5)
            await answer(calm, calm_server)
        await gateway.ended(SOON)
