"""The usual aiohttp frame relay, as its users write it: relay.py PORT UPSTREAM.

A WebSocket is accepted, another one is opened to the upstream, and two tasks hand messages on.  Anything
else goes through a client session.
"""

import asyncio
import sys

from aiohttp import ClientSession, ClientWebSocketResponse, TCPConnector, WSMsgType, web

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade", "content-length", "host"}

upstream = web.AppKey("upstream", str)
session = web.AppKey("session", ClientSession)


async def forward(
    source: web.WebSocketResponse | ClientWebSocketResponse,
    target: web.WebSocketResponse | ClientWebSocketResponse,
) -> None:
    """Hand on messages until `source` ends, then end `target`."""
    async for message in source:
        if message.type is WSMsgType.TEXT:
            await target.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await target.send_bytes(message.data)
    await target.close()


async def websocket(request: web.Request) -> web.StreamResponse:
    """Stand between a client and the upstream."""
    downstream = web.WebSocketResponse(max_msg_size=0)
    await downstream.prepare(request)
    url = f"{request.app[upstream]}{request.path_qs}"
    async with request.app[session].ws_connect(url, max_msg_size=0) as connection:
        await asyncio.gather(
            asyncio.create_task(forward(downstream, connection)),
            asyncio.create_task(forward(connection, downstream)),
        )
    return downstream


async def plain(request: web.Request) -> web.StreamResponse:
    """Ask the upstream, and stream its answer back."""
    headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
    url = f"{request.app[upstream]}{request.path_qs}"
    body = request.content if request.body_exists else None
    async with request.app[session].request(request.method, url, headers=headers, data=body) as answer:
        response = web.StreamResponse(status=answer.status)
        response.headers.extend(
            (name, value) for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP
        )
        response.content_length = answer.content_length
        await response.prepare(request)
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
        await response.write_eof()
        return response


async def handle(request: web.Request) -> web.StreamResponse:
    """One way for WebSockets, another for the rest."""
    if request.headers.get("Upgrade", "").lower() == "websocket":
        return await websocket(request)
    return await plain(request)


async def application(target: str) -> web.Application:
    """The application that relays to `target`."""
    app = web.Application()
    app[upstream] = target
    # The default admits 100 connections at a time, which is 100 WebSockets.
    app[session] = ClientSession(connector=TCPConnector(limit=0), auto_decompress=False)
    app.on_cleanup.append(lambda app: app[session].close())
    app.router.add_route("*", "/{path:.*}", handle)
    return app


if __name__ == "__main__":
    port, to = sys.argv[1:]
    web.run_app(application(f"http://127.0.0.1:{to}"), host="127.0.0.1", port=int(port), access_log=None)
