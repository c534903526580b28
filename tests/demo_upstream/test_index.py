"""The page in Chromium: directly at the upstream, through a gateway, and while nothing answers."""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from demo_upstream.page import packaged_page
from tests.demo_upstream.browser import Browser, Page, find_chromium, launched
from tests.demo_upstream.running import DemoUpstream
from tests.gateways import GatewayProcess, config_of
from tests.servers import reserved_port

CHROMIUM = find_chromium()

if CHROMIUM is None and "CI" not in os.environ:  # there nothing may be skipped: the fixture fails instead
    pytest.skip("no Chromium, Chrome or Edge on this machine", allow_module_level=True)

NOT_THERE = "The gateway answers 502 Bad Gateway: the server behind it is not there."
NONE = "\N{EN DASH}"
OPEN = "document.body.dataset.state === 'open'"
WAITING = "document.body.dataset.state === 'waiting'"
TICKED = "/^\\d\\d:\\d\\d:\\d\\d$/.test(document.querySelector('#clock').textContent)"


@pytest.fixture(scope="module")
def chromium() -> Iterator[str]:
    """A browser whose tabs know nothing of each other."""
    assert CHROMIUM is not None, "no Chromium, Chrome or Edge on this machine"
    with launched(CHROMIUM) as url:
        yield url


@pytest_asyncio.fixture
async def browser(chromium: str) -> AsyncIterator[Browser]:
    """A connection to it."""
    async with Browser.connect(chromium) as connected:
        yield connected


def _row(text: str) -> str:
    """Whether the log has a row with `text`."""
    rows = "[...document.querySelectorAll('#log .what')]"
    return f"{rows}.some((row) => row.textContent.startsWith({json.dumps(text)}))"


def _rgb(selector: str) -> str:
    """The colour of the first element that matches `selector`, as three numbers."""
    return f"getComputedStyle(document.querySelector('{selector}')).color.match(/\\d+/g).map(Number)"


@asynccontextmanager
async def _renaming(port: int) -> AsyncIterator[int]:
    """A relay to `port` that changes Host into localhost and says nothing of it, as some tunnels do."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", port)

        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with suppress(ConnectionError):
                while octets := await source.read(65536):
                    sink.write(octets.replace(b"Host: page.test", b"Host: localhost"))
            sink.close()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(copy(reader, upstream_writer), name="relay: up")
            tasks.create_task(copy(upstream_reader, writer), name="relay: down")

    async with await asyncio.start_server(relay, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def _page_alone(status: int) -> AsyncIterator[str]:
    """A server that has the page, and `status` for all else."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.FileResponse(packaged_page()) if request.path == "/" else web.Response(status=status)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


async def _say(page: Page, text: str) -> None:
    """Type `text` in place of what the field holds and press Enter."""
    await page.ask("document.querySelector('#message').select(); document.querySelector('#message').focus()")
    await page.type(text)
    await page.press("Enter")


async def test_directly_at_the_upstream(browser: Browser, demo: DemoUpstream) -> None:
    """It ticks, echoes, shows the connection and the way it came; nothing is fetched or complained about."""
    async with browser.page() as page:
        await page.open(demo.url)
        await page.until(OPEN)
        await page.until(TICKED)
        await page.until(_row("Hello!! This is a WebSocket server!!"))
        await page.press("Enter")  # the field has the focus, and the example's own message
        await page.until(_row("Your message arrived: Hello World !!"))
        hostile = "<img src=x onerror=alert(1)><script>alert(2)</script> &amp;"
        await _say(page, hostile)
        await page.until(_row(f"Your message arrived: {hostile}"))
        assert await page.ask("document.querySelectorAll('#log img, #log script').length") == 0
        await page.until("document.querySelector('#way').textContent.startsWith('Directly at the upstream')")
        assert await page.text("#state") == "connected"
        assert await page.text("#fact-address") == f"ws://localhost:{demo.port}/ws"
        assert await page.text("#fact-protocol") == NONE
        assert await page.text("#upstream-at") == f"localhost:{demo.port}"
        rows = await page.ask("[...document.querySelectorAll('#log li')].map((row) => row.className)")
        assert rows == ["received", "sent", "received", "sent", "received", "note"]
        assert await page.ask(
            "[...document.querySelectorAll('#log li')].every((row) => row.querySelector('time').dateTime)"
        )
        assert {url.removeprefix(demo.url) for url in page.requests if not url.startswith("data:")} == {
            "/",
            "/whoami",
        }
        assert page.console == []


async def test_an_ipv6_address(browser: Browser, demo: DemoUpstream) -> None:
    """The policy permits the socket where its host has no form in CSP."""
    async with browser.page() as page:
        await page.open(f"http://[::1]:{demo.port}/")
        await page.until(OPEN)
        await page.until(TICKED)
        assert page.console == []


async def test_through_a_gateway_that_loses_its_upstream(browser: Browser) -> None:
    """It shows the gateway, says how the connection ended and that nothing answers, and comes back."""
    with (
        reserved_port() as port,
        GatewayProcess(config_of(f"http://127.0.0.1:{port}"), "--frames", "json") as gateway,
    ):
        async with browser.page() as page:
            with DemoUpstream(addr=f"127.0.0.1:{port}") as first:
                await page.open(f"http://127.0.0.1:{gateway.port}/")
                await page.until(OPEN)
                await page.until(
                    "document.querySelector('#way').textContent.startsWith('Through the gateway')"
                )
                assert await page.text("#gateway-at") == f"127.0.0.1:{gateway.port}"
                assert await page.text("#upstream-at") == f"127.0.0.1:{port}"
                added = await page.ask(
                    "[...document.querySelectorAll('#headers .added th')].map((th) => th.firstChild.data)"
                )
                assert {"X-Forwarded-For", "X-Forwarded-Host"} <= set(added)
                await page.until(TICKED)
                assert page.console == []
                await asyncio.to_thread(first.stop)
            await page.until(WAITING)
            await page.until(_row("1001 Going Away, “the server is stopping”."))
            closed = "[...document.querySelectorAll('#log .what')].find((row) => row.textContent[0] === '1')"
            assert await page.ask(f"{closed}.textContent") == "1001 Going Away, “the server is stopping”."
            await page.until(_row(NOT_THERE))
            assert await page.text("#trouble-what") == NOT_THERE
            assert (await page.text("#fact-ended")).startswith("1001 Going Away")
            assert await page.ask("document.querySelector('#send').disabled")
            await page.until(
                "/Attempt [3-9] in \\d+ s/.test(document.querySelector('#trouble-next').textContent)"
            )
            with DemoUpstream(addr=f"127.0.0.1:{port}"):
                await page.ask("document.querySelector('#again').click()")
                await page.until(OPEN)
                await _say(page, "here again")
                await page.until(_row("Your message arrived: here again"))
                assert await page.ask("document.querySelector('#trouble').hidden")
            # A failed attempt is told by Chromium itself, whatever a page does; nothing else may be.
            unexpected = "Unexpected response code: 502"
            assert {re.sub(r"'\S+'", "URL", line) for line in page.console} == {
                f"WebSocket connection to URL failed: Error during WebSocket handshake: {unexpected}",
                "Failed to load resource: the server responded with a status of 502 (Bad Gateway)",
            }


async def test_nothing_answers(browser: Browser) -> None:
    """Where the server itself has gone, it says so once in the log, and names the address."""
    async with browser.page() as page:
        with DemoUpstream() as demo:
            await page.open(demo.url)
            await page.until(OPEN)
            await asyncio.to_thread(demo.stop)
        await page.until(_row(f"Nothing answers at localhost:{demo.port}."))
        await page.until(
            "/Attempt [3-9] in \\d+ s/.test(document.querySelector('#trouble-next').textContent)"
        )
        assert await page.text("#trouble-what") == f"Nothing answers at localhost:{demo.port}."
        failed = "[...document.querySelectorAll('#log .who')].filter((row) => row.textContent === 'Failed')"
        assert await page.ask(f"{failed}.length") == 1
        assert all("net::ERR_CONNECTION_REFUSED" in line for line in page.console), page.console


async def test_it_comes_back_after_a_restart_of_the_gateway(browser: Browser, demo: DemoUpstream) -> None:
    """By itself, at a moment of its own; in the background it gives up after a while, until it is seen."""
    with reserved_port() as port:
        config = config_of(demo.url, addr=f"127.0.0.1:{port}")
        async with browser.page() as page:
            with GatewayProcess(config):
                await page.open(f"http://127.0.0.1:{port}/")
                await page.until(OPEN)
                for attempt, most in enumerate((2000, 4000, 8000, 15000, 15000)):
                    pauses = await page.ask(f"Array.from({{length: 400}}, () => pauseBefore({attempt}))")
                    assert 0 <= min(pauses) < most / 10
                    assert most * 0.9 < max(pauses) <= most
                    assert most * 0.4 < sum(pauses) / 400 < most * 0.6
                await page.ask("void (Math.random = () => 0.02)")  # no test waits for its luck
            await page.until(WAITING)
            assert (await page.text("#fact-ended")).startswith("1001 Going Away")
            await page.until("attempt >= 3")
            with GatewayProcess(config):
                await page.until(OPEN)
            await page.ask(
                "void Object.defineProperty(document, 'hidden', {get: () => true, configurable: true})"
            )
            await page.until(WAITING)
            await page.ask("void (attempt = UNSEEN - 1)")
            await page.until(f"{WAITING} && attempt === UNSEEN && performance.now() > retryAt")
            with GatewayProcess(config):
                await page.until("performance.now() > retryAt + 1500")
                assert await page.ask(f"{WAITING} && attempt === UNSEEN")
                await page.ask("delete document.hidden")
                await page.ask("void document.dispatchEvent(new Event('visibilitychange'))")
                await page.until(OPEN)


async def test_other_answers(browser: Browser) -> None:
    """It tells a gateway that waited in vain from a server that has no WebSocket."""
    for status, words in (
        (504, "The gateway answers 504 Gateway Timeout: the server behind it does not answer."),
        (404, "The server answers a plain request (404), but opens no WebSocket."),
    ):
        async with _page_alone(status) as url, browser.page() as page:
            await page.open(url)
            await page.until(_row(words))
            assert await page.text("#trouble-what") == words


async def test_a_refused_origin(browser: Browser, demo: DemoUpstream) -> None:
    """The server's reason reaches the reader where something in between gives Host another name."""
    async with _renaming(demo.port) as port, browser.page() as page:
        await page.open(f"http://page.test:{port}/")
        reason = f"start with --allow-origin http://page.test:{port}"
        await page.until(
            f"document.querySelector('#trouble-what').textContent.endsWith({json.dumps(reason)})"
        )
        told = await page.text("#trouble-what")
        assert told.startswith(
            f"The server answers 403 Forbidden: A WebSocket from Origin http://page.test:{port}"
        )


async def test_typing_replaces_the_example(browser: Browser, demo: DemoUpstream) -> None:
    """The field's text is selected from the start, and after each message again."""
    async with browser.page() as page:
        await page.open(demo.url)
        await page.until(OPEN)
        for text in ("é", "ü"):
            await page.type(text)
            await page.press("Enter")
            await page.until(_row(f"Your message arrived: {text}"))
        sent = "[...document.querySelectorAll('#log .sent .what')].map((row) => row.textContent)"
        assert await page.ask(sent) == ["ü", "é"]


async def test_directions_look_as_in_the_terminal(browser: Browser, demo: DemoUpstream) -> None:
    """What the page sends is blue with an arrow out, what it receives orange with an arrow in."""
    for dark in (False, True):
        async with browser.page(dark=dark) as page:
            await page.open(demo.url)
            await page.until(OPEN)
            await page.press("Enter")
            await page.until(_row("Your message arrived: Hello World !!"))
            assert await page.text("#log .sent .who") == "→ Sent"
            assert await page.text("#log .received .who") == "← Received"
            red, _, blue = await page.ask(_rgb("#log .sent .who"))
            assert blue > red
            red, _, blue = await page.ask(_rgb("#log .received .who"))
            assert red > blue


async def test_a_tick_disturbs_no_screen_reader(browser: Browser, demo: DemoUpstream) -> None:
    """No live region changes with a tick; what has to be labelled is."""
    async with browser.page() as page:
        await page.open(demo.url)
        await page.until(OPEN)
        await page.until(_row("Hello!!"))
        await page.until(TICKED)
        live = (
            "document.querySelectorAll('[aria-live], [role=log], [role=status], "
            "[role=alert], [role=timer], [role=marquee], output')"
        )
        assert await page.ask(f"{live}.length") == 1
        await page.ask(
            f"window.heard = 0; new MutationObserver(() => heard += 1).observe({live}[0], "
            "{subtree: true, childList: true, characterData: true})"
        )
        await page.until(f"ticks >= {await page.ask('ticks') + 2}")
        assert await page.ask("heard") == 0
        await _say(page, "listen")
        await page.until(
            "document.querySelector('#say').textContent === 'Received: Your message arrived: listen'"
        )
        named = {
            (node["role"]["value"], node.get("name", {}).get("value")) for node in await page.accessibility()
        }
        assert {("textbox", "Message"), ("button", "Send"), ("heading", "This connection")} <= named
        assert ("list", "Messages") in named


async def test_the_log_is_bounded(browser: Browser, demo: DemoUpstream) -> None:
    """The oldest rows go, and a long message is shown in part."""
    async with browser.page() as page:
        await page.open(demo.url)
        await page.until(OPEN)
        await page.until(_row("Hello!!"))
        await page.ask(
            "for (let n = 0; n < 400; n += 1) { addRow('sent', 'Sent', `row ${n}`); arrived(`row ${n}`); }"
        )
        assert await page.ask("document.querySelector('#log').childElementCount") == 500
        assert not await page.ask(_row("Hello!!"))
        await page.ask("arrived('x'.repeat(1e6))")
        shown = await page.ask("document.querySelector('#log .what').textContent")
        assert len(shown) < 5000
        assert "1,000,000 characters in all" in shown
        await page.ask("arrived('')")
        assert await page.ask("document.querySelector('#log .what').textContent") == "(an empty message)"


async def test_it_fits(browser: Browser, demo: DemoUpstream) -> None:
    """Nothing is cut off at the side; type grows with the screen; text stands out in light and dark."""
    for width, dark in ((300, False), (320, True), (390, False), (1280, True), (1280, False), (1920, False)):
        async with browser.page(width=width, height=800, phone=width < 500, dark=dark) as page:
            await page.open(demo.url)
            await page.until(OPEN)
            await page.until(_row("Hello!!"))
            await _say(page, "word" * 100)
            await page.until(_row("Your message arrived: word"))
            await page.ask("document.querySelector('#state').textContent = 'reconnecting'")  # the longest
            assert await page.ask("document.documentElement.scrollWidth") <= width
            assert await page.ask("document.querySelector('.now').scrollWidth") <= await page.ask(
                "document.querySelector('.now').clientWidth"
            )
            size = await page.ask("parseFloat(getComputedStyle(document.body).fontSize)")
            assert size >= (21 if width == 1920 else 16)
            assert await page.ask(CONTRAST) >= 4.5, (width, dark)


CONTRAST = """(() => {
  const luminance = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map((n) => n / 255)
    .map((n) => n <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4)
    .reduce((sum, n, i) => sum + n * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if (!/, 0\\)$|, 0\\.\\d+\\)$|^transparent$/.test(colour)) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  return Math.min(...[...document.querySelectorAll("body *")]
    .filter((e) => e.checkVisibility() && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
    .filter((e) => !e.closest("#clock, .unseen, script, style, noscript"))
    .map((e) => [luminance(getComputedStyle(e).color), luminance(behind(e))].sort((a, b) => b - a))
    .map(([high, low]) => (high + 0.05) / (low + 0.05)));
})()"""
"""The least contrast of any text with what is behind it (WCAG 2.2 section 1.4.3)."""
