"""Chromium without a window, for tests of pages.

Strategy
    Chromium's DevTools protocol is JSON over a WebSocket that the browser itself serves, and aiohttp is at
    hand anyway: so tests drive whatever Chromium or Chrome the machine has, and install nothing.

    find_chromium   the browser of this machine, or None
    launched        one process with a profile of its own
    Browser         a connection to it; `page` opens a tab that has nothing in common with others
    Page            a tab: go somewhere, ask it something, wait until it is so, press keys; its console

Every wait has an end, and says what it waited for.
"""

import asyncio
import base64
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO, Any, Final

import aiohttp

PATIENCE: Final = 20.0
"""Seconds that a browser may take for anything."""

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
_PLACES: Final = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
_OPTIONS: Final = (
    "--headless=new",
    "--remote-debugging-port=0",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--password-store=basic",
    "--use-mock-keychain",
    "--host-resolver-rules=MAP *.test 127.0.0.1",  # names that nobody owns (RFC 6761), for what is foreign
)


def find_chromium() -> Path | None:
    """The Chromium, Chrome or Edge of this machine; the variable CHROMIUM names another one."""
    named = os.environ.get("CHROMIUM")
    if named:
        return Path(named)
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    return Path(found) if found else next((Path(place) for place in _PLACES if Path(place).is_file()), None)


@contextmanager
def launched(executable: Path) -> Iterator[str]:
    """A browser with an empty profile, for as long as the block lasts: the URL of its DevTools connection."""
    profile = Path(tempfile.mkdtemp(prefix="browser-"))
    unconfined = ("--no-sandbox",) if sys.platform == "linux" and os.geteuid() == 0 else ()
    process = subprocess.Popen(
        [executable, *_OPTIONS, *unconfined, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    assert process.stderr is not None
    url: Future[str] = Future()
    reader = threading.Thread(target=_read_errors, args=[process.stderr, url], name="browser: stderr")
    reader.start()
    try:
        yield url.result(PATIENCE)
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join()
        shutil.rmtree(profile, ignore_errors=True)


def _read_errors(stderr: IO[str], url: Future[str]) -> None:
    """Find the address that the browser tells when it is ready, and read on, so that it never has to wait."""
    told = ""
    with stderr:
        for line in stderr:
            told += line
            found = re.search(r"DevTools listening on (ws://\S+)", line)
            if found and not url.done():
                url.set_result(found[1])
    if not url.done():
        url.set_exception(AssertionError(f"the browser did not start; it said:\n{told}"))


class Browser:
    """A running browser, on whose DevTools connection all its pages speak."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._pages: dict[str, Page] = {}

    @classmethod
    @asynccontextmanager
    async def launch(cls, executable: Path) -> AsyncIterator["Browser"]:
        """A browser of one's own, for as long as the block lasts."""
        with launched(executable) as url:
            async with cls.connect(url) as browser:
                yield browser

    @classmethod
    @asynccontextmanager
    async def connect(cls, url: str) -> AsyncIterator["Browser"]:
        """The browser whose DevTools connection is at `url`, for as long as the block lasts."""
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(url, max_msg_size=0, heartbeat=None) as socket,
            asyncio.TaskGroup() as tasks,
        ):
            browser = cls(socket)
            reader = tasks.create_task(browser._read(), name="browser: read")
            try:
                yield browser
            finally:
                reader.cancel()

    @asynccontextmanager
    async def page(
        self, *, width: int = 1280, height: int = 800, dark: bool = False, phone: bool = False
    ) -> AsyncIterator["Page"]:
        """A tab with nothing in common with other tabs, for as long as the block lasts."""
        context = (await self.call("Target.createBrowserContext"))["browserContextId"]
        target = await self.call("Target.createTarget", url="about:blank", browserContextId=context)
        attached = await self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        page = self._pages[attached["sessionId"]] = Page(self, attached["sessionId"])
        try:
            for domain in ("Page", "Runtime", "Log", "Network"):
                await page.call(f"{domain}.enable")
            await page.call(
                "Emulation.setDeviceMetricsOverride",
                width=width,
                height=height,
                deviceScaleFactor=1,
                mobile=phone,
            )
            scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
            await page.call("Emulation.setEmulatedMedia", features=[scheme])
            await page.call("Emulation.setFocusEmulationEnabled", enabled=True)
            yield page
        finally:
            del self._pages[attached["sessionId"]]
            await self.call("Target.disposeBrowserContext", browserContextId=context)

    async def call(self, method: str, session: str | None = None, /, **parameters: Any) -> dict[str, Any]:
        """One DevTools command and its result.  Raises AssertionError where the browser refuses it."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        await self._socket.send_str(json.dumps(message))
        try:
            async with asyncio.timeout(PATIENCE):
                told = await answer
        finally:
            del self._answers[number]
        assert "error" not in told, f"{method}: {told['error']}"
        result: dict[str, Any] = told["result"]
        return result

    async def _read(self) -> None:
        """Take what the browser says to whoever waits for it; the browser's end is nobody's surprise."""
        async for message in self._socket:
            told = json.loads(message.data)
            if "id" in told:
                waiting = self._answers.get(told["id"])
                if waiting is not None and not waiting.done():
                    waiting.set_result(told)
            elif (page := self._pages.get(told.get("sessionId", ""))) is not None:
                page.note(told["method"], told["params"])
        for waiting in self._answers.values():
            if not waiting.done():
                waiting.set_exception(ConnectionError("the browser has ended"))


class Page:
    """One tab."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session
        self.console: list[str] = []
        """Errors and warnings: of scripts, of the network, of the policy; and exceptions nobody caught."""
        self.requests: list[str] = []
        """The URLs of all requests, WebSockets aside."""

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One DevTools command for this tab and its result."""
        return await self._browser.call(method, self._session, **parameters)

    def note(self, event: str, about: dict[str, Any]) -> None:
        """Keep what a test may want to know of an event."""
        if event == "Runtime.exceptionThrown":
            self.console.append(str(about["exceptionDetails"]))
        elif event == "Runtime.consoleAPICalled" and about["type"] in {"error", "warning", "assert"}:
            self.console.append(" ".join(str(each.get("value")) for each in about["args"]))
        elif event == "Log.entryAdded" and about["entry"]["level"] in {"error", "warning"}:
            self.console.append(about["entry"]["text"])
        elif event == "Network.requestWillBeSent":
            self.requests.append(about["request"]["url"])

    async def open(self, url: str) -> None:
        """Go to `url`; returns when the document has been loaded."""
        told = await self.call("Page.navigate", url=url)
        assert "errorText" not in told, told["errorText"]
        await self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    async def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression, promises awaited.  Raises AssertionError where it throws."""
        told = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    async def text(self, selector: str) -> str:
        """What a reader sees of the first element that matches `selector`."""
        return str(await self.ask(f"document.querySelector({json.dumps(selector)}).innerText"))

    async def until(self, expression: str, *, patience: float = PATIENCE - 5) -> None:
        """Wait until a JavaScript expression is true."""
        script = f"""new Promise((done) => {{
            const end = performance.now() + {patience * 1000};
            (function look() {{
                if ({expression}) done(true);
                else if (performance.now() > end) done(false);
                else setTimeout(look, 20);
            }})();
        }})"""
        if not await self.ask(script):
            body = await self.ask("document.body.innerText")
            raise AssertionError(f"not so within {patience} s: {expression}; the page says:\n{body}")

    async def type(self, text: str) -> None:
        """Type `text` where the focus is."""
        await self.call("Input.insertText", text=text)

    async def press(self, key: str) -> None:
        """Press and release Enter, Tab, Space or the like."""
        code, number, text = {"Enter": ("Enter", 13, "\r"), "Tab": ("Tab", 9, ""), " ": ("Space", 32, " ")}[
            key
        ]
        down = {"type": "keyDown", "key": key, "code": code, "windowsVirtualKeyCode": number}
        await self.call("Input.dispatchKeyEvent", **down, **({"text": text} if text else {}))
        await self.call("Input.dispatchKeyEvent", **{**down, "type": "keyUp"})

    async def accessibility(self) -> list[dict[str, Any]]:
        """The nodes of the accessibility tree that a screen reader meets."""
        tree = await self.call("Accessibility.getFullAXTree")
        return [node for node in tree["nodes"] if not node.get("ignored")]

    async def screenshot(self) -> bytes:
        """What the tab shows, as PNG."""
        return base64.b64decode((await self.call("Page.captureScreenshot"))["data"])
