"""Gateways whose config changes: configs of several servers, upstreams with names, clients that stay."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from tests.servers import PATIENCE, Peer


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A server of a config, which sends everything to `url`."""

    url: str
    addr: str = "127.0.0.1:0"
    name: str = "first"
    http: str = "{}"
    """Its httpConfig, in YAML's flow style."""


def config_for(*servers: Serving, shutdown_timeout: int = 5) -> str:
    """A config.yaml with these servers."""
    runners = "".join(
        f"    - {{apiVersion: core/v1, kind: HTTPServer, name: {each.name}}}\n" for each in servers
    )
    documents = [f"apiVersion: core/v1\nkind: Entrypoint\nspec:\n  runners:\n{runners}"]
    for each in servers:
        documents += [
            f"""\
apiVersion: core/v1
kind: HTTPServer
metadata: {{name: {each.name}}}
spec:
  addr: "{each.addr}"
  shutdownTimeout: {shutdown_timeout}
  httpConfig: {each.http}
  virtualHosts:
    - handlers:
        - handler: {{apiVersion: core/v1, kind: ReverseProxyHandler, name: {each.name}}}
""",
            f"""\
apiVersion: core/v1
kind: ReverseProxyHandler
metadata: {{name: {each.name}}}
spec:
  loadBalancers:
    - pathMatcher: {{match: "/", matchType: Prefix}}
      upstreams:
        - url: {each.url}
""",
        ]
    return "---\n".join(documents)


@asynccontextmanager
async def named(name: str) -> AsyncIterator[str]:
    """An upstream that answers every request with its name, and every WebSocket with an echo: its url."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if "Upgrade" not in request.headers:
            return web.Response(text=name)
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        async for message in websocket:
            await websocket.send_str(message.data)
        return websocket

    server = web.ServerRunner(web.Server(answer), shutdown_timeout=1)
    await server.setup()
    try:
        await web.TCPSite(server, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{server.addresses[0][1]}"
    finally:
        await server.cleanup()


async def get(client: Peer, path: str = "/") -> str:
    """Who answers a request over the connection of `client`, which stays open."""
    await client.send(f"GET {path} HTTP/1.1\r\nHost: gateway.example\r\n\r\n".encode())
    return await answer_to(client)


async def answer_to(client: Peer) -> str:
    """The body of the answer that is under way to `client`, which has to be a 200."""
    head = await client.read_head()
    assert head.startswith(b"HTTP/1.1 200 "), head
    size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return (await client.read(size)).decode()


async def get_new(port: int) -> str:
    """Who answers a request over a new connection."""
    with await Peer.connect(port) as client:
        return await get(client)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something holds of which nobody tells."""
    async with asyncio.timeout(PATIENCE):
        while not await holds():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.01)
