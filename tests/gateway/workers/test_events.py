"""The event stream of several workers: one stream, with numbers and counts that are right."""

import asyncio
from collections import Counter

import pytest

from gateway.events import Close, Frame, Omitted, Open
from tests.gateway.proxy.raw import close, from_client
from tests.gateway.workers.crews import Pair, close_all, open_over_all, start
from tests.servers import Upstream

FRAMES = 5_000
"""Frames that each client sends, its Close frame aside."""

STREAM = from_client(b"hello, gateway") * FRAMES


async def pour(pair: Pair) -> None:
    """Let a client send many frames, and see that all arrive."""
    client, server = pair
    async with asyncio.TaskGroup() as group:
        group.create_task(client.send(STREAM))
        assert await server.read(len(STREAM)) == STREAM


async def end(pair: Pair) -> None:
    """Close a WebSocket as it should be."""
    client, server = pair
    await client.send(close(masked=True))
    await server.send(close())
    client.end()
    server.end()


async def test_numbers_count_up(upstream: Upstream) -> None:
    """From 1, in the order in which connections are told, whoever has them; each is closed by its number."""
    with start(upstream) as gateway:
        pairs = await open_over_all(gateway, upstream)
        more = [await open_over_all(gateway, upstream) for _ in range(4)]
        pairs += [pair for each in more for pair in each]
        while len(pairs) < 20:
            pairs += await open_over_all(gateway, upstream)
        for pair in pairs:
            await end(pair)
        await gateway.records.wait_for(Close, past=len(pairs) - 1)
        close_all(pairs)
    numbers = [each.conn for each in gateway.records.all(Open)]
    assert numbers == list(range(1, len(pairs) + 1))
    assert sorted(each.conn for each in gateway.records.all(Close)) == numbers


@pytest.mark.parametrize("rate", ["100", "0"])
@pytest.mark.parametrize("stalled", [False, True])
async def test_no_frame_is_lost_from_the_counts(upstream: Upstream, rate: str, stalled: bool) -> None:
    """Recorded and left out make all, of each connection, however slow the reader is.

    Where nobody reads standard output for a while, the traffic goes on all the same.
    """
    with start(upstream, "--frame-rate", rate, "--preview", "0") as gateway:
        pairs = await open_over_all(gateway, upstream)
        if stalled:
            gateway.records.pause()
        for pair in pairs:
            await pour(pair)
        gateway.records.go_on()
        for pair in pairs:
            await end(pair)
        await gateway.records.wait_for(Close, past=len(pairs) - 1)
        close_all(pairs)
    told = Counter((each.conn, each.sender) for each in gateway.records.all(Frame))
    omitted = gateway.records.all(Omitted)
    for each in omitted:
        told[each.conn, each.sender] += each.frames
    closed = gateway.records.all(Close)
    assert len(closed) == len(pairs)
    for one in closed:
        assert told[one.conn, "client"] == one.client.frames == FRAMES + 1
        assert told[one.conn, "upstream"] == one.upstream.frames == 1
    assert bool(omitted) or rate == "0"
