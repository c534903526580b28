"""Who is let in, asked over real connections."""

import asyncio

import aiohttp
import pytest

from demo_upstream.access import Access, Origin
from demo_upstream.connections import Connections
from tests.demo_upstream.running import PATIENCE, DemoUpstream, serving


@pytest.mark.parametrize("path", ["/ws", "/echo"])
@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
async def test_a_foreign_page_has_no_websocket(demo: DemoUpstream, path: str, origin: str) -> None:
    """The handshake is answered with 403 and words, whatever else it says."""
    headers = {"Origin": origin, "X-Forwarded-Host": "evil.example"}
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(demo.url + path, headers=headers)
        assert refused.value.status == 403
        async with session.get(demo.url + path, headers=headers) as answer:
            assert "is refused" in await answer.text()


async def test_a_phone_through_the_gateway(demo: DemoUpstream) -> None:
    """A page opened by IP address talks through the gateway, which tells what was addressed."""
    headers = {"Origin": "http://192.168.1.5:8080", "X-Forwarded-Host": "192.168.1.5:8080"}
    async with (
        asyncio.timeout(PATIENCE),
        aiohttp.ClientSession(headers=headers) as session,
        session.ws_connect(f"{demo.url}/echo") as client,
    ):
        await client.send_str("hello")
        assert await client.receive_str() == "hello"
        async with session.get(demo.url) as answer:
            assert answer.status == 200


async def test_an_allowed_origin() -> None:
    """What --allow-origin names opens the page and its WebSocket."""
    access = Access(allowed=frozenset({Origin.parse("https://demo.example")}))
    async with (
        asyncio.timeout(PATIENCE),
        serving(Connections(), access=access) as url,
        aiohttp.ClientSession(headers={"X-Forwarded-Host": "demo.example"}) as session,
    ):
        async with session.get(url) as answer:
            assert answer.status == 200
        async with session.ws_connect(f"{url}/echo", origin="https://demo.example") as client:
            await client.send_str("hello")
            assert await client.receive_str() == "hello"


@pytest.mark.parametrize("path", ["/", "/whoami", "/nothing"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example:9090"},
        {"Host": "evil.example:9090", "X-Forwarded-Host": "localhost"},
        {"X-Forwarded-Host": "evil.example:8080"},
    ],
)
async def test_a_rebound_name_reads_nothing(demo: DemoUpstream, path: str, headers: dict[str, str]) -> None:
    """A request for a name that is not this machine's is refused, directly and through a gateway."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(demo.url + path, headers=headers) as answer,
    ):
        assert answer.status == 403
        assert "--allow-origin https://evil.example" in await answer.text()


async def test_what_follows_a_refused_handshake_is_no_request(demo: DemoUpstream) -> None:
    """After a 403 the connection ends: bytes sent ahead as frames are not read as HTTP."""
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", demo.port)
        writer.write(
            b"GET /ws HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\nConnection: Upgrade\r\n"
            b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            b"GET /whoami HTTP/1.1\r\nHost: localhost\r\n\r\n"
        )
        answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 403")
    assert answer.count(b"HTTP/1.1 ") == 1
