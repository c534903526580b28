"""Socket.IO: it polls first and upgrades then, and comes back when the gateway does."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from gateway.events import Error, Open, Request
from tests.demo_upstream.browser import Browser, Page, find_chromium
from tests.gateways import GatewayProcess, config_of
from tests.interop.chat import Guest, serving
from tests.interop.npm import Process, needs_node
from tests.servers import reserved_port


@asynccontextmanager
async def _chat(server: str) -> AsyncIterator[int]:
    """The chat by python-socketio, or by socket.io: its port."""
    if server == "python-socketio":
        async with serving() as port:
            yield port
        return
    with Process("chat.mjs") as node:
        yield int(node.line())


SERVERS = [
    "python-socketio",
    pytest.param("socket.io", marks=[pytest.mark.long, needs_node]),
]


@pytest.mark.parametrize("server", SERVERS)
async def test_guests_of_python(server: str) -> None:
    """Acknowledgements, bytes and rooms work, and go on when another gateway stands where the first was."""
    with reserved_port() as port:
        async with _chat(server) as upstream, AsyncExitStack() as guests:
            config = config_of(f"http://127.0.0.1:{upstream}", addr=f"127.0.0.1:{port}")
            with GatewayProcess(config) as gateway:
                ann, bob, outsider = [
                    await guests.enter_async_context(Guest.at(port, room))
                    for room in ("room", "room", "elsewhere")
                ]
                assert {each.transport for each in (ann, bob, outsider)} == {"websocket"}
                for past in range(3):
                    poll = await gateway.records.wait_for(Request, status=200, past=past)
                    assert "transport=polling" in poll.path
                    upgrade = await gateway.records.wait_for(Open, past=past)
                    assert "transport=websocket" in upgrade.path
                    assert "sid=" in upgrade.path
                for data in ("é and ☃", {"list": [1, None, 2.5]}, bytes(range(256)), b"b" * 500_000):
                    assert await ann.ask("echo", data) == data
                assert await ann.ask("say", "room", "hello") == "said"
                assert await bob.ask("say", "elsewhere", "psst") == "said"
                await bob.until(lambda: bob.heard == ["hello"])
                await outsider.until(lambda: outsider.heard == ["psst"])
            assert not gateway.records.all(Error)
            with GatewayProcess(config):
                for each in (ann, bob, outsider):
                    await each.until(lambda each=each: each.joined == 2)  # type: ignore[misc]  # bound now
                assert await bob.ask("say", "room", "again") == "said"
                await ann.until(lambda: ann.heard == ["hello", "again"])
                assert outsider.heard == ["psst"]
                await guests.aclose()


@pytest.mark.long
@needs_node
@pytest.mark.skipif(find_chromium() is None, reason="needs Chromium, Chrome or Edge")
@pytest.mark.parametrize("server", ["python-socketio", "socket.io"])
async def test_guests_in_a_browser(server: str) -> None:
    """Two tabs talk by the client of npm, and go on talking through another gateway."""
    executable = find_chromium()
    assert executable is not None

    async def say(speaker: Page, text: str) -> None:
        assert await speaker.ask(f"socket.emitWithAck('say', 'room', {text!r})") == "said"

    with reserved_port() as port:
        async with _chat(server) as upstream, Browser.launch(executable) as browser:
            config = config_of(f"http://127.0.0.1:{upstream}", addr=f"127.0.0.1:{port}")
            async with browser.page() as ann, browser.page() as bob:
                with GatewayProcess(config) as gateway:
                    for past, each in enumerate((ann, bob)):
                        await each.open(f"http://127.0.0.1:{port}/")
                        await each.until("connections === 1")
                        await each.until("document.getElementById('transport').innerText === 'websocket'")
                        opened = await gateway.records.wait_for(Open, past=past)
                        assert "transport=websocket" in opened.path
                    await say(ann, "hello")
                    await bob.until("document.getElementById('said').innerText === 'hello'")
                assert not gateway.records.all(Error)
                with GatewayProcess(config):
                    for each in (ann, bob):
                        await each.until("connections === 2")
                    await say(bob, "again")
                    await ann.until("document.getElementById('said').innerText === 'hello\\nagain'")
