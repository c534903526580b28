"""A clock that is set back while the gateway runs."""

import time
from datetime import datetime
from email.utils import parsedate_to_datetime

import pytest

from gateway.events import Close, Frame, Omitted, Request
from tests.gateway.proxy.plain import ask
from tests.gateway.proxy.raw import frame, from_client, open_tunnel
from tests.gateways import GatewayThread, config_of
from tests.servers import Peer, Upstream

HOUR = 3600

REFUSED = b"POST / HTTP/1.1\r\nHost: gateway.example\r\nExpect: nonsense\r\nContent-Length: 0\r\n\r\n"
"""What the gateway answers by itself, with a Date of its own."""


async def test_a_clock_that_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records and dates show the new time; durations, gaps, counts and windows know nothing of it."""
    real, real_ns = time.time, time.time_ns
    async with Upstream() as upstream:
        config = config_of(f"http://127.0.0.1:{upstream.port}")
        with GatewayThread(config, frame_rate=50) as gateway:
            client, server = await open_tunnel(gateway.port, upstream)
            await client.send(from_client(b"before"))
            await gateway.records.wait_for(Frame, text="before")
            monkeypatch.setattr(time, "time", lambda: real() - HOUR)
            monkeypatch.setattr(time, "time_ns", lambda: real_ns() - HOUR * 1_000_000_000)
            await client.send(from_client(b"after"))
            after = await gateway.records.wait_for(Frame, text="after")
            many = frame(b"one of very many") * 300
            await server.send(many)
            assert await client.read(len(many)) == many
            await gateway.records.wait_for(Omitted)  # a window has ended
            client.close()
            server.close()
            closed = await gateway.records.wait_for(Close)
            began = real()
            status, _ = await ask(gateway.port, REFUSED)
            request = await gateway.records.wait_for(Request)
            date = await _date(gateway.port)
    monkeypatch.undo()
    assert status == 417
    assert after.gap_ms is not None
    assert 0 <= after.gap_ms < HOUR * 1000
    assert 0 <= closed.ms < HOUR * 1000
    assert 0 <= request.ms < HOUR * 1000
    told = [each.gap_ms for each in gateway.records.all(Frame) if each.gap_ms is not None]
    assert all(each >= 0 for each in told)
    shown = sum(each.sender == "upstream" for each in gateway.records.all(Frame))
    assert shown + sum(each.frames for each in gateway.records.all(Omitted, sender="upstream")) == 300
    for moment in (datetime.fromisoformat(request.time).timestamp(), date):
        assert abs(moment - (began - HOUR)) < HOUR / 2


async def _date(port: int) -> float:
    """The Date of an answer of the gateway's own."""
    with await Peer.connect(port) as client:
        await client.send(REFUSED)
        head = (await client.read_head()).decode()
    (line,) = [each for each in head.split("\r\n") if each.startswith("Date: ")]
    return parsedate_to_datetime(line.removeprefix("Date: ")).timestamp()
