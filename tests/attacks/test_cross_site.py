"""What a page of another site can do with what the kit serves: nothing.

Asked over raw connections, directly and through a gateway, and by a browser.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from tests.demo_upstream.browser import PATIENCE, Browser, Page, find_chromium
from tests.demo_upstream.running import DemoUpstream
from tests.gateway.proxy.raw import KEY
from tests.gateways import GatewayProcess, config_of
from tests.servers import Peer, Upstream


@pytest.fixture(scope="module")
def demo() -> Iterator[DemoUpstream]:
    """The demo upstream, as it starts without options."""
    with DemoUpstream() as running:
        yield running


@pytest.fixture(scope="module")
def ports(demo: DemoUpstream) -> Iterator[tuple[int, int]]:
    """The demo's own port, and that of a gateway in front of it."""
    with GatewayProcess(config_of(demo.url)) as gateway:
        yield demo.port, gateway.port


async def status(port: int, path: str, *fields: str) -> int:
    """The status of a GET with these fields, `PORT` in them being the port that was asked."""
    with await Peer.connect(port) as client:
        lines = [f"GET {path} HTTP/1.1", *(field.replace("PORT", str(port)) for field in fields), "", ""]
        await client.send("\r\n".join(lines).encode())
        return int((await client.read_head())[9:12])


REBOUND: Final = (
    ("Host: evil.example:PORT",),
    ("Host: evil.example",),
    ("Host: localhost.evil.example:PORT",),
    ("Host: 127.0.0.1.evil.example:PORT",),
    ("Host: evil-localhost:PORT",),
    ("Host: localhost.",),
    ("Host: evil.example:PORT", "X-Forwarded-Host: localhost:PORT"),
    ("Host: evil.example:PORT", "X_Forwarded_Host: localhost:PORT"),
    ("Host: evil.example:PORT", "Forwarded: host=localhost"),
    ("Host: evil.example:PORT", "X-Original-Host: localhost", "X-Host: localhost"),
    ("Host: evil.example:PORT", "Connection: X-Forwarded-Host", "X-Forwarded-Host: localhost"),
    ("Host: 0x7f.1.evil:PORT",),
)
"""What a browser sends for a name that was made to point here, with whatever a script may add."""

OURS: Final = (
    ("Host: localhost:PORT",),
    ("Host: 127.0.0.1:PORT",),
    ("Host: [::1]:PORT",),
    ("Host: LOCALHOST",),
)


async def test_dns_rebinding(ports: tuple[int, int]) -> None:
    """A name that is not this machine's gets nothing, directly or through the gateway."""
    for port in ports:
        for path in ("/", "/whoami", "/nothing"):
            got = {fields: await status(port, path, *fields) for fields in (*REBOUND, *OURS)}
            found = 404 if path == "/nothing" else 200
            assert got == dict.fromkeys(REBOUND, 403) | dict.fromkeys(OURS, found), (port, path)


FOREIGN: Final = (
    ("Origin: http://evil.example",),
    ("Origin: http://evil.example:PORT",),
    ("Origin: null",),
    ("Origin: ",),
    ("Origin: *",),
    ("Origin: http://localhost.evil.example:PORT",),
    ("Origin: http://localhost:PORT.evil.example",),
    ("Origin: http://localhost:PORT@evil.example",),
    ("Origin: http://evillocalhost:PORT",),
    ("Origin: http://127.0.0.1.evil.example:PORT",),
    ("Origin: http://localhost:PORT/",),
    ("Origin: http://localhost:PORT http://evil.example",),
    ("Origin: http://localhost:PORT, http://evil.example",),
    ("Origin: http://localhost:PORT", "Origin: http://evil.example"),
    ("Origin: http://evil.example", "Origin: http://localhost:PORT"),
    ("Origin: http://localhost\\.evil.example",),
    ("Origin: file://",),
    ("Origin: ws://localhost:PORT",),
    ("Origin: chrome-extension://localhost",),
    ("Origin: http://10.0.0.1:PORT",),
)
"""Where a page comes from that has no business here."""

WELCOME: Final = (
    ("Origin: http://localhost:PORT",),
    ("Origin: http://127.0.0.1:PORT",),
    ("Origin: http://[::1]:PORT",),
    ("Origin: http://localhost:1",),
    (),
)


async def test_websockets_from_elsewhere(ports: tuple[int, int]) -> None:
    """A foreign Origin opens no WebSocket, also where Host is foreign in the same way (DNS rebinding)."""
    upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
    for port in ports:
        for path in ("/ws", "/echo"):
            got = {
                fields: await status(
                    port, path, "Host: localhost:PORT", *upgrade, f"Sec-WebSocket-Key: {KEY}", *fields
                )
                for fields in (*FOREIGN, *WELCOME)
            }
            assert got == dict.fromkeys(FOREIGN, 403) | dict.fromkeys(WELCOME, 101), (port, path)
            rebound = ("Host: evil.example:PORT", "Origin: http://evil.example:PORT")
            assert await status(port, path, *rebound, *upgrade, f"Sec-WebSocket-Key: {KEY}") == 403


async def test_what_every_answer_says(ports: tuple[int, int]) -> None:
    """No browser guesses its type, embeds it in another site, or tells another site where it came from."""
    for port in ports:
        for path in ("/", "/whoami", "/nothing", "/ws"):
            with await Peer.connect(port) as client:
                await client.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                head = (await client.read_head()).decode().lower()
            assert "\r\nx-content-type-options: nosniff\r\n" in head, path
            assert "\r\ncross-origin-resource-policy: same-origin\r\n" in head, path
            assert "\r\nreferrer-policy: same-origin\r\n" in head, path
            assert "access-control-allow-origin" not in head, path
            assert ("frame-ancestors 'none'" in head) == (path == "/"), path
            assert "unsafe" not in head, path


CHROMIUM: Final = find_chromium()


@pytest_asyncio.fixture
async def browser() -> AsyncIterator[Browser]:
    """A browser."""
    if CHROMIUM is None and "CI" not in os.environ:  # there nothing may be skipped
        pytest.skip("no Chromium, Chrome or Edge on this machine")
    assert CHROMIUM is not None, "no Chromium, Chrome or Edge on this machine"
    async with Browser.launch(CHROMIUM) as running:
        yield running


INJECTED: Final = (
    (
        "script-src-elem",
        "const s = document.createElement('script'); s.textContent = 'window.hit = 1'; BODY(s)",
    ),
    (
        "script-src-elem",
        "const s = document.createElement('script'); s.src = 'http://evil.test:PORT/x.js'; BODY(s)",
    ),
    ("script-src-attr", "BODY(HTML('<button onclick=\"window.hit = 2\">'))"),
    ("script-src-attr", 'BODY(HTML(\'<img src="data:," onerror="window.hit = 3">\'))'),
    ("script-src-elem", "location.href = 'javascript:window.hit = 4'"),
    ("script-src", "setTimeout(() => { try { eval('window.hit = 5') } catch { } })"),
    ("img-src", "BODY(HTML('<img src=\"http://evil.test:PORT/x.png\">'))"),
    ("style-src-attr", "BODY(HTML('<p style=\"color: red\">'))"),
    ("style-src-elem", "BODY(HTML('<link rel=stylesheet href=\"http://evil.test:PORT/x.css\">'))"),
    ("frame-src", "BODY(HTML('<iframe src=\"http://evil.test:PORT/\"></iframe>'))"),
    ("object-src", "BODY(HTML('<object data=\"http://evil.test:PORT/\"></object>'))"),
    ("connect-src", "fetch('http://evil.test:PORT/').catch(() => 0)"),
    ("connect-src", "try { new WebSocket('ws://evil.test:PORT/') } catch { }"),
    ("form-action", "const f = HTML('<form action=\"http://evil.test:PORT/\"></form>'); BODY(f); f.submit()"),
    ("base-uri", "document.head.append(HTML('<base href=\"http://evil.test:PORT/\">'))"),
)
"""What somebody who could inject markup or script would try, and the directive that stops it."""

_HELPERS: Final = """(() => {
    const HTML = (text) => { const t = document.createElement('template'); t.innerHTML = text;
                             return t.content.firstChild; };
    const BODY = (element) => document.body.append(element);
    %s
})()"""


async def told(page: Page, script: str) -> list[str]:
    """Do what `script` does: which directives report a violation."""
    await page.ask("window.told = []")
    await page.ask(_HELPERS % script)
    await page.until("window.told.length > 0")
    return list(await page.ask("window.told"))


async def test_the_policy_of_the_page_holds(browser: Browser, ports: tuple[int, int]) -> None:
    """Nothing that is injected runs or is fetched, and each attempt is reported as a violation."""
    async with browser.page() as page, Upstream() as elsewhere:
        await page.open(f"http://localhost:{ports[1]}/")
        await page.until("document.body.dataset.state === 'open'")
        await page.ask(
            "document.addEventListener('securitypolicyviolation',"
            " (event) => { window.told.push(event.effectiveDirective); })"
        )
        scripts = [script.replace("PORT", str(elsewhere.port)) for _, script in INJECTED]
        got = [(await told(page, script))[0] for script in scripts]
        assert got == [directive for directive, _ in INJECTED]
        assert await page.ask("window.hit ?? 'nothing ran'") == "nothing ran"
        with suppress(
            TimeoutError
        ):  # a browser may dial before it has asked its policy; it says nothing then
            while True:
                stranger = await elsewhere.accept(patience=0)
                stranger.end()
                assert await stranger.read_to_end() == b""


async def test_no_other_site_frames_the_page(
    browser: Browser, ports: tuple[int, int], tmp_path: Path
) -> None:
    """A browser shows nothing of it inside of another page."""
    url = f"http://localhost:{ports[1]}/"
    outer = tmp_path / "outer.html"
    outer.write_text(f'<iframe src="{url}"></iframe>')
    async with browser.page() as page:
        await page.open(outer.as_uri())
        await page.until("document.querySelector('iframe') !== null")
        async with asyncio.timeout(PATIENCE):
            while not any("frame-ancestors" in line for line in page.console):
                await page.ask("new Promise((done) => setTimeout(done, 20))")
