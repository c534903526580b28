"""`/echo`: every message back, as it came."""

import asyncio
import os

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.frames import Close

from tests.demo_upstream.running import PATIENCE, DemoUpstream


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_type_and_content_come_back(demo: DemoUpstream, compression: str | None) -> None:
    """Text as text, binary as binary, 16 MiB as 16 MiB, compressed where the client offers it."""
    messages: list[str | bytes] = [
        "",
        "Grüße 👋",
        b"",
        os.urandom(1000),
        "x" * 200_000,
        os.urandom(1024) * 2**14,  # with repetitions, so that compressing it is quick
    ]
    url = f"ws://127.0.0.1:{demo.port}/echo"
    async with asyncio.timeout(PATIENCE), connect(url, compression=compression, max_size=None) as client:
        agreed = client.response is not None and client.response.headers.get("Sec-WebSocket-Extensions")
        assert bool(agreed) is (compression is not None)
        for message in messages:
            await client.send(message)
            assert await client.recv() == message


async def test_fragments_come_back_as_one_message(demo: DemoUpstream) -> None:
    """A message sent in fragments is one message."""
    async with asyncio.timeout(PATIENCE), connect(f"ws://127.0.0.1:{demo.port}/echo") as client:
        await client.send(["a", "b", "c"])
        assert await client.recv() == "abc"


async def test_a_thousand_messages_keep_their_order(demo: DemoUpstream) -> None:
    """Messages sent without waiting come back in order."""
    async with asyncio.timeout(PATIENCE), connect(f"ws://127.0.0.1:{demo.port}/echo") as client:
        sent = [str(number) for number in range(1000)]
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_send(client, sent), name="send")
            back = [await client.recv() for _ in sent]
    assert back == sent


async def _send(client: ClientConnection, messages: list[str]) -> None:
    for message in messages:
        await client.send(message)


async def test_the_first_subprotocol_is_agreed_to(demo: DemoUpstream) -> None:
    """What the client likes best is what it gets."""
    url = f"ws://127.0.0.1:{demo.port}/echo"
    async with asyncio.timeout(PATIENCE), connect(url, subprotocols=["chat.v2", "chat"]) as client:  # type: ignore[list-item] # NewType of str
        assert client.subprotocol == "chat.v2"


async def test_the_close_code_comes_back(demo: DemoUpstream) -> None:
    """A Close is answered with its own code and reason (RFC 6455 section 5.5.1)."""
    async with asyncio.timeout(PATIENCE), connect(f"ws://127.0.0.1:{demo.port}/echo") as client:
        await client.close(4001, "enough")
        assert client.protocol.close_rcvd == Close(4001, "enough")


async def test_a_close_without_a_code(demo: DemoUpstream) -> None:
    """A Close that says nothing is answered all the same."""
    async with asyncio.timeout(PATIENCE), connect(f"ws://127.0.0.1:{demo.port}/echo") as client:
        client.protocol.send_close()
        client.transport.write(b"".join(client.protocol.data_to_send()))
        await client.wait_closed()
        assert client.protocol.close_rcvd == Close(1000, "")
