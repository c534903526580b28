"""Hostile strings on pages: the gateway's error page and the demo's own, read by a parser and by Chromium."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from typing import Final

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from demo_upstream.page import packaged_page
from tests.demo_upstream.browser import Browser, find_chromium
from tests.gateway.proxy.raw import handshake
from tests.gateways import GatewayProcess, config_of
from tests.hostile.oracles import those_in
from tests.hostile.strings import BYTES, STRINGS, piece, raw_piece
from tests.servers import Peer, Upstream

CHROMIUM: Final = find_chromium()

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None and "CI" not in os.environ, reason="no Chromium, Chrome or Edge on this machine"
)

TAGS: Final = {
    *("html", "head", "meta", "title", "link", "style"),
    *("body", "main", "p", "h1", "span", "strong", "code", "footer", "pre"),
}
"""All that an error page is made of."""

CHOSEN: Final = ("html", "urls", "templates", "rich", "json", "bidi", "c0", "titles")
"""Groups that could do something to a page."""


class Reader(HTMLParser):
    """Takes a page apart."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attributes}

    def handle_data(self, data: str) -> None:
        """Note what is shown."""
        self.text += data


async def error_pages(names: Iterable[str]) -> dict[str, bytes]:
    """The whole answers of a gateway whose upstream says what is hostile, by the groups in `names`."""
    pages: dict[str, bytes] = {}
    async with Upstream() as upstream:
        with GatewayProcess(config_of(f"http://user:s-url@127.0.0.1:{upstream.port}")) as gateway:
            for name in names:
                text = piece(name).encode() if name in STRINGS else raw_piece(name)
                with await Peer.connect(gateway.port) as client:
                    target = "/?token=s-query&q=<script>evil()</script>"
                    fields = ("Accept: text/html", "Cookie: s-cookie")
                    await client.send(handshake(*fields, path=target))
                    server = await upstream.accept()
                    await server.read_head()
                    # What it says stands on the page, as far as it fits.
                    await server.send(b"HTTP/1.1 1 " + text.replace(b"\r\n", b"") + b"\r\n\r\n")
                    pages[name] = await client.read_to_end()
    return pages


async def test_error_pages() -> None:
    """Every page is made of its own elements alone, and shows as text what was said."""
    for name, answer in (await error_pages((*STRINGS, *BYTES))).items():
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 502 Bad Gateway\r\nContent-Security-Policy: default-src 'none'"), (
            name
        )
        page = Reader(body.decode())
        assert set(page.tags) <= TAGS, name
        assert not {each for each in page.attributes if each.startswith("on")}, name
        assert f"HTTP/1.1 1 <{name}|" in page.text or f"HTTP/1.1 1 &lt;{name}|" in page.text, name
        assert those_in(body.decode(), ["s-url", "s-query", "s-cookie"]) == set(), name
        assert "{{" not in page.text or name == "templates"


@asynccontextmanager
async def replaying(answers: Sequence[bytes]) -> AsyncIterator[str]:
    """A server that gives the answer of the number that stands in the path, byte for byte."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1]
        writer.write(answers[int(request[1:])])
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


NO_TIME: Final = "It's Wed, 25 Nov 2026 99:99:99 GMT"
"""What looks like a tick."""


@asynccontextmanager
async def hostile_demo(texts: Sequence[str]) -> AsyncIterator[str]:
    """The demo's page, and a server to its WebSocket and its questions that means harm."""
    told = {
        "headers": [["Host", piece("html")], [piece("html"), piece("urls")], ["Cookie", "s-cookie"]],
        "gateway": {"addressed": piece("html")},
    }

    async def page(_: web.Request) -> web.StreamResponse:
        return web.FileResponse(packaged_page())

    async def whoami(_: web.Request) -> web.Response:
        return web.json_response(told)

    async def talk(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(NO_TIME)
        await socket.send_bytes(b"\x00" * 10)
        for text in texts:
            await socket.send_str(text)
        await socket.close(code=4000, message=b'"><img src=x onerror=evil()>\xe2\x80\xae')
        return socket

    app = web.Application()
    app.add_routes([web.get("/", page), web.get("/whoami", whoami), web.get("/ws", talk)])
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


ELEMENTS: Final = "[...new Set([...document.querySelectorAll('*')].map((each) => each.localName))].sort()"
SHOWN: Final = (
    "[...document.querySelectorAll('#log .received .what')].reverse().map((each) => each.firstChild.data)"
)


@needs_chromium
async def test_in_chromium() -> None:
    """No script runs, no element is made, and what was said is there to be read."""
    assert CHROMIUM is not None, "no Chromium, Chrome or Edge on this machine"
    answers = list((await error_pages(CHOSEN)).values())
    async with Browser.launch(CHROMIUM) as browser:
        async with replaying(answers) as url, browser.page() as page:
            await page.call("Page.addScriptToEvaluateOnNewDocument", source="evil = () => evil.ran = true")
            for number, name in enumerate(CHOSEN):
                await page.open(f"{url}/{number}")
                assert set(await page.ask(ELEMENTS)) <= TAGS, name
                assert f"<{name}|" in await page.ask("document.body.innerText"), name
                assert await page.ask("evil.ran") is None, name
            assert {each.rpartition(" of ")[2] for each in page.console} <= {"502 (Bad Gateway)"}
            assert all(each.startswith((url, "data:")) for each in page.requests), page.requests
        texts = [piece(name) for name in STRINGS]
        async with hostile_demo(texts) as url, browser.page() as page:
            await page.call("Page.addScriptToEvaluateOnNewDocument", source="evil = () => evil.ran = true")
            await page.open(url)
            await page.until("document.querySelector('#fact-ended').textContent.startsWith('4000')")
            await page.until("document.querySelectorAll('#headers tr').length === 3")
            said = [NO_TIME, "binary, 10 bytes", *texts]
            shown = await page.ask(SHOWN)
            # Once closed, the page may have come back already, to be told the same again.
            assert len(shown) >= len(said)
            assert shown == (2 * said)[: len(shown)]
            filled = ", ".join(
                f"#{each} *" for each in ("log", "headers", "fact-ended", "trouble-what", "raw")
            )
            made = set(await page.ask(ELEMENTS.replace("'*'", f"'{filled}'")))
            assert made <= {"li", "span", "time", "tr", "th", "td", "small", "p"}
            assert {"li", "span", "tr"} <= made
            assert await page.ask("document.scripts.length") == 1
            assert await page.ask("evil.ran") is None
            assert "onerror=evil()" in await page.text("#fact-ended")
            assert json.dumps("s-cookie") not in await page.ask("document.body.textContent")
            assert page.console == []
