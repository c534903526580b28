"""Server-sent events: each arrives when it is sent, for as long as the stream may live."""

import asyncio
import itertools
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import pytest
import trustme
from aiohttp import web

from gateway.events import Error
from tests.demo_upstream.browser import Browser, find_chromium
from tests.gateway.proxy.test_dial_tls import server_tls
from tests.gateways import GatewayProcess, config_of
from tests.interop.pairs import config_for
from tests.interop.servers import Listener
from tests.servers import PATIENCE, reserved_port

EVENTS = 50

WRITE_TIMEOUT = 3
"""Seconds; AILERON, whose default is 30, cuts a stream after as long as that, whether or not bytes move."""


class Stream:
    """A server of events, which sends what it is told to all who listen."""

    def __init__(self) -> None:
        self._told: list[str] = []
        self._more = asyncio.Condition()
        self.came_back: list[str] = []
        """The Last-Event-ID of those who had heard something before."""

    async def tell(self, text: str) -> None:
        """Send an event."""
        async with self._more:
            self._told.append(text)
            self._more.notify_all()

    @asynccontextmanager
    async def serving(self, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
        """Serve at every path but `/`, where a page listens to them: a port."""
        app = web.Application()
        app.router.add_get("/", self._page)
        app.router.add_get("/{path:.*}", self._stream)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()

    async def _page(self, _: web.Request) -> web.Response:
        script = """
            const heard = [];
            const source = new EventSource("/events");
            source.onmessage = ({data}) => heard.push(data);
        """
        return web.Response(text=f"<!doctype html><script>{script}</script>", content_type="text/html")

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        last = request.headers.get("Last-Event-ID")
        if last is not None:
            self.came_back.append(last)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"retry: 100\n\n")
        for number in itertools.count(int(last or 0) + 1):
            async with self._more:
                while len(self._told) < number:
                    await self._more.wait()
            await response.write(f"id: {number}\ndata: {self._told[number - 1]}\n\n".encode())
        return response


@pytest.mark.parametrize(
    ("http_config", "pause"),
    [
        pytest.param("{}", 0, id="at once"),
        pytest.param(
            f"{{writeTimeout: {WRITE_TIMEOUT}}}",
            3 * WRITE_TIMEOUT / EVENTS,
            id="longer than the writeTimeout",
            marks=pytest.mark.long,
        ),
    ],
)
async def test_each_event_arrives_when_it_is_sent(
    authority: trustme.CA, trust: dict[str, str], http_config: str, pause: float
) -> None:
    """An event is sent only when the one before has been read, for as long as the stream may take."""
    stream = Stream()
    async with (
        stream.serving() as plain,
        stream.serving(server_tls(authority, "127.0.0.1")) as secure,
        aiohttp.ClientSession() as session,
        AsyncExitStack() as responses,
    ):
        listeners = [
            Listener(server="events", deflate=False, tls=tls, port=port)
            for tls, port in ((False, plain), (True, secure))
        ]
        config = config_for(listeners).replace("  addr:", f"  httpConfig: {http_config}\n  addr:")
        assert http_config in config
        with GatewayProcess(config, env=trust) as gateway:
            readers = []
            for each in listeners:
                get = session.get(f"http://127.0.0.1:{gateway.port}{each.path}")
                response = await responses.enter_async_context(get)
                assert response.headers["Content-Type"] == "text/event-stream"
                readers.append(response.content)
            for count in range(EVENTS):
                await stream.tell(f"event {count}")
                async with asyncio.timeout(PATIENCE):
                    for reader in readers:
                        while (line := await reader.readline()) != f"data: event {count}\n".encode():
                            assert line, "the stream has ended"
                await asyncio.sleep(pause)
            await responses.aclose()
        assert not gateway.records.all(Error)


@pytest.mark.long
@pytest.mark.skipif(find_chromium() is None, reason="needs Chromium, Chrome or Edge")
async def test_a_page_hears_all_of_them() -> None:
    """EventSource comes back when the gateway does, says where it was, and misses nothing."""
    executable = find_chromium()
    assert executable is not None
    stream = Stream()
    with reserved_port() as port:
        async with stream.serving() as upstream, Browser.launch(executable) as browser:
            config = config_of(f"http://127.0.0.1:{upstream}", addr=f"127.0.0.1:{port}", shutdown_timeout=1)
            async with browser.page() as page:
                with GatewayProcess(config):
                    await page.open(f"http://127.0.0.1:{port}/")
                    await stream.tell("first")
                    await page.until("heard.join() === 'first'")
                await stream.tell("meanwhile")
                with GatewayProcess(config):
                    await page.until("heard.join() === 'first,meanwhile'")
                    await stream.tell("last")
                    await page.until("heard.join() === 'first,meanwhile,last'")
    assert stream.came_back == ["1"]
