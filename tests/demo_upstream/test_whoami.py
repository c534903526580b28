"""`/whoami`: what the server saw of a request."""

import asyncio
import json
import re

import aiohttp
import pytest

from tests.demo_upstream.running import PATIENCE, DemoUpstream


async def _ask(demo: DemoUpstream, request: bytes) -> dict[str, object]:
    """Send `request` as it is over IPv4; the object in the answer's body."""
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", demo.port)
        writer.write(request)
        head, body = (await reader.read()).split(b"\r\n\r\n", 1)
        writer.close()
    assert head.startswith(b"HTTP/1.1 200")
    found: dict[str, object] = json.loads(body)
    return found


async def test_headers_in_order_as_written(demo: DemoUpstream) -> None:
    """Names keep their case, repeated headers their order, and odd bytes their traces."""
    seen = await _ask(
        demo,
        b"GET /whoami?a=%20b HTTP/1.1\r\nhOST: localhost\r\nX-Odd: \xff\r\nX-Twice: 1\r\nx-twice: 2\r\n"
        b"Connection: close\r\n\r\n",
    )
    assert seen["method"] == "GET"
    assert seen["path"] == "/whoami?a=%20b"
    assert seen["headers"] == [
        ["hOST", "localhost"],
        ["X-Odd", "\\xff"],
        ["X-Twice", "1"],
        ["x-twice", "2"],
        ["Connection", "close"],
    ]
    assert re.fullmatch(r"127\.0\.0\.1:\d+", str(seen["peer"]))
    assert seen["gateway"] is None


async def test_a_gateway_is_recognised(demo: DemoUpstream) -> None:
    """X-Forwarded-Host tells that a gateway stood between, and what the browser addressed."""
    seen = await _ask(
        demo,
        b"GET /whoami HTTP/1.1\r\nHost: localhost:9090\r\nX-Forwarded-For: 192.168.1.7\r\n"
        b"X-Forwarded-Host: 192.168.1.5:8080\r\nX-Forwarded-Proto: http\r\nConnection: close\r\n\r\n",
    )
    assert seen["gateway"] == {"addressed": "192.168.1.5:8080", "client": "192.168.1.7", "scheme": "http"}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_any_method(demo: DemoUpstream, method: str) -> None:
    """The method that arrived is told, whichever it was."""
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{demo.url}/whoami", data=b"a body") as answer,
    ):
        assert (await answer.json())["method"] == method


async def test_no_cache_keeps_it(demo: DemoUpstream) -> None:
    """Each request has an answer of its own."""
    async with aiohttp.ClientSession() as session, session.get(f"{demo.url}/whoami") as answer:
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
