"""The matrix of clients and servers: a gateway between them makes no difference to either."""

import json

import pytest

from tests.demo_upstream.browser import Browser, find_chromium
from tests.gateways import GatewayProcess
from tests.interop import npm
from tests.interop.clients import CLIENTS
from tests.interop.npm import FOLDER, WORDS, needs_node
from tests.interop.pairs import Pair, pairs, verdict
from tests.interop.servers import Listener
from tests.interop.talk import Transcript, converse, converse_at_length, within_patience

LARGE = 16 << 20


async def _python(client: str, found: list[Pair], *, size: int = 0) -> list[dict[str, Transcript]]:
    """What a client of Python sees of each pair, on each way."""
    connect = CLIENTS[client]

    async def talk(url: str, deflate: bool) -> Transcript:
        if size:
            return await within_patience(converse_at_length(connect, url, deflate, size), patience=40)
        return await within_patience(converse(connect, url, deflate))

    return [{way: await talk(url, pair.deflate) for way, url in pair.urls.items()} for pair in found]


async def _node(client: str, found: list[Pair], *, size: int = 0) -> list[dict[str, Transcript]]:
    """What a client of Node sees of each pair, on each way."""
    calls = [(url, pair.deflate) for pair in found for url in pair.urls.values()]
    told = iter(await npm.call(client, calls, size=size))
    return [{way: next(told) for way in pair.urls} for pair in found]


async def _chromium(found: list[Pair], *, size: int = 0) -> list[dict[str, Transcript]]:
    """What Chromium sees of each pair, on each way."""
    executable = find_chromium()
    assert executable is not None
    script = (FOLDER / "standard.js").read_text()
    async with Browser.launch(executable) as browser, browser.page() as page:
        await page.ask(f"globalThis.words = {json.dumps(WORDS)}, globalThis.talk = {script.strip()}, 0")

        async def talk(url: str) -> Transcript:
            call = f"talk({json.dumps(url)}, words, {size}).catch((error) => ({{error: `${{error}}`}}))"
            transcript: Transcript = await page.ask(call)
            return transcript

        return [{way: await talk(url) for way, url in pair.urls.items()} for pair in found]


def _assert_same(found: list[Pair], transcripts: list[dict[str, Transcript]], *, size: int = 0) -> None:
    wrong: list[str] = []
    for pair, told in zip(found, transcripts, strict=True):
        wrong += verdict(pair, told, size=size)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("client", CLIENTS)
async def test_python_with_python(
    client: str, python_servers: list[Listener], python_gateway: GatewayProcess
) -> None:
    """Handshakes, messages, fragments, pings and closes are what they are directly."""
    found = pairs(python_servers, python_gateway.port)
    _assert_same(found, await _python(client, found))


@pytest.mark.long
@needs_node
@pytest.mark.parametrize("client", CLIENTS)
async def test_python_with_node(
    client: str, node_servers: list[Listener], full_gateway: GatewayProcess
) -> None:
    """The same with servers of `ws`."""
    found = pairs(node_servers, full_gateway.port)
    _assert_same(found, await _python(client, found))


@pytest.mark.long
@needs_node
@pytest.mark.parametrize("client", ["ws", "standard"])
async def test_node_with_all(
    client: str,
    python_servers: list[Listener],
    node_servers: list[Listener],
    full_gateway: GatewayProcess,
) -> None:
    """The same from Node, by `ws` and by the WebSocket that it has itself."""
    found = pairs([*python_servers, *node_servers], full_gateway.port)
    _assert_same(found, await _node(client, found))


@pytest.mark.long
@needs_node
@pytest.mark.skipif(find_chromium() is None, reason="needs Chromium, Chrome or Edge")
async def test_chromium_with_all(
    python_servers: list[Listener], node_servers: list[Listener], full_gateway: GatewayProcess
) -> None:
    """The same from a browser."""
    found = pairs([*python_servers, *node_servers], full_gateway.port)
    _assert_same(found, await _chromium(found))


async def test_large_messages(python_servers: list[Listener], python_gateway: GatewayProcess) -> None:
    """A text and a binary message of 16 MiB each come back whole, with TLS as well."""
    plain = [each for each in python_servers if each.server == "websockets" and not each.deflate]
    found = pairs(plain, python_gateway.port)
    _assert_same(found, await _python("websockets", found, size=LARGE), size=LARGE)


@pytest.mark.long
@pytest.mark.timeout(300)
@needs_node
@pytest.mark.parametrize("client", [*CLIENTS, "ws", "standard", "chromium"])
async def test_large_messages_of_each_client(
    client: str,
    python_servers: list[Listener],
    node_servers: list[Listener],
    full_gateway: GatewayProcess,
) -> None:
    """The same for each client with a server of either language, compressed or not."""
    listeners = [
        each for each in [*python_servers, *node_servers] if each.server in {"uvicorn-wsproto", "ws"}
    ]
    if client == "standard":  # which gives up where a compressed message becomes that long, directly as well
        listeners = [each for each in listeners if not each.deflate]
    elif client == "chromium" and find_chromium() is None:
        pytest.skip("needs Chromium, Chrome or Edge")
    found = pairs(listeners, full_gateway.port)
    if client in CLIENTS:
        transcripts = await _python(client, found, size=LARGE)
    elif client == "chromium":
        transcripts = await _chromium(found, size=LARGE)
    else:
        transcripts = await _node(client, found, size=LARGE)
    _assert_same(found, transcripts, size=LARGE)
