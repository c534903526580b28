"""`/ws`: the greeting, the beat, the replies."""

import asyncio
import re
import time
from email.utils import parsedate_to_datetime

import aiohttp
from websockets.asyncio.client import connect

from demo_upstream.clock import GREETING, Clock, reply_to, tick
from demo_upstream.connections import Connections
from tests.demo_upstream.running import PATIENCE, DemoUpstream, serving


def test_a_tick_is_an_http_date() -> None:
    """The format of RFC 9110's own example."""
    assert tick(784111777) == "It's Sun, 06 Nov 1994 08:49:37 GMT"


def test_replies() -> None:
    """Text comes back as text, binary as its length; nothing is trimmed."""
    assert reply_to("  Hello World !!\n") == "Your message arrived:   Hello World !!\n"
    assert reply_to("") == "Your message arrived: "
    assert reply_to(b"\x00\xff\x00") == "Your message arrived: 3 bytes"


async def test_greeting_then_replies_in_order(demo: DemoUpstream) -> None:
    """The first message is the greeting; each message has its reply, in order, ticks aside."""
    async with asyncio.timeout(PATIENCE), connect(f"ws://127.0.0.1:{demo.port}/ws") as client:
        assert await client.recv() == GREETING
        for message in ("one", b"12", "zwölf", ""):
            await client.send(message)
        replies: list[str | bytes] = []
        while len(replies) < 4:
            message = await client.recv()
            if not str(message).startswith("It's "):
                replies.append(message)
    assert replies == [reply_to(message) for message in ("one", b"12", "zwölf", "")]


async def test_frames_are_as_long_as_their_text(demo: DemoUpstream) -> None:
    """Compression, though offered, is not agreed to: this is the server whose frames people look at."""
    async with connect(f"ws://127.0.0.1:{demo.port}/ws", compression="deflate") as client:
        assert client.response is not None
        assert "Sec-WebSocket-Extensions" not in client.response.headers


async def test_the_beat(demo: DemoUpstream) -> None:
    """Ticks tell consecutive seconds, each just as that second begins."""
    told: list[tuple[float, float]] = []
    async with asyncio.timeout(PATIENCE), connect(f"ws://[::1]:{demo.port}/ws") as client:
        assert await client.recv() == GREETING
        while len(told) < 3:
            message = await client.recv()
            now = time.time()
            assert isinstance(message, str)
            assert re.fullmatch(r"It's \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", message)
            told.append((parsedate_to_datetime(message.removeprefix("It's ")).timestamp(), now))
    seconds = [second for second, _ in told]
    assert seconds == [seconds[0], seconds[0] + 1, seconds[0] + 2]
    assert all(0 <= now - second < 0.5 for second, now in told)


async def test_a_slow_client_has_no_ticks_waiting() -> None:
    """Seconds that pass while a client is held up are skipped, and a clock that is set back is followed."""
    now = 1_000_000.5
    sent: list[str | bytes] = []
    blocked, reads, four, six = (asyncio.Event() for _ in range(4))

    class SlowClient:
        """Stands where a Connection does; its second message waits until the client reads."""

        async def send(self, message: str | bytes) -> None:
            sent.append(message)
            if len(sent) == 4:
                four.set()
            if len(sent) == 6:
                six.set()
            if len(sent) == 2:
                blocked.set()
                await reads.wait()

    replies: asyncio.Queue[str] = asyncio.Queue(maxsize=1)
    clock = Clock(Connections(), lambda: now)
    speaker = asyncio.create_task(clock._speak(SlowClient(), replies), name="speaker")  # type: ignore[arg-type] # quacks like one
    try:
        async with asyncio.timeout(PATIENCE):
            await replies.put("first")
            await blocked.wait()
            now += 3600
            reads.set()
            await replies.put("second")
            await four.wait()
            now -= 7200
            await replies.put("third")
            await six.wait()
    finally:
        speaker.cancel()
    assert sent[:2] == [GREETING, "first"]
    assert sent[2:4] == [tick(1_003_600), "second"]
    assert sorted(map(str, sent[4:])) == [tick(996_400), "third"]


async def test_a_client_that_does_not_read_delays_no_other() -> None:
    """While one client floods and never reads, another has its reply at once."""
    async with (
        asyncio.timeout(PATIENCE),
        serving(Connections(patience=0.2)) as url,
        aiohttp.ClientSession() as session,
    ):
        host, port = url.removeprefix("http://").split(":")
        _, flood = await asyncio.open_connection(host, int(port), limit=1)
        flood.write(
            b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        frame = b"\x81\xff" + (1 << 20).to_bytes(8, "big") + bytes(4) + b"x" * (1 << 20)
        stuck = asyncio.create_task(_flood(flood, frame), name="flood")
        try:
            done, _ = await asyncio.wait({stuck}, timeout=0.5)
            async with session.ws_connect(f"{url}/ws") as client:
                assert await client.receive_str() == GREETING
                asked = time.monotonic()
                await client.send_str("still there?")
                while await client.receive_str() != "Your message arrived: still there?":
                    pass  # a tick
                assert time.monotonic() - asked < 2
            assert not done
            assert flood.transport.get_write_buffer_size() > 0
        finally:
            stuck.cancel()
            flood.transport.abort()


async def _flood(writer: asyncio.StreamWriter, frame: bytes) -> None:
    """Send without end; the far side's flow control holds it up."""
    while True:
        writer.write(frame)
        await writer.drain()
