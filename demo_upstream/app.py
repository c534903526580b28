"""The routes, and what is true of every response."""

import time
from pathlib import Path

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from demo_upstream.access import Access
from demo_upstream.clock import Clock
from demo_upstream.connections import Connections
from demo_upstream.echo import Echo
from demo_upstream.page import Page
from demo_upstream.whoami import whoami

_WEBSOCKETS = frozenset({"/ws", "/echo"})


def make_app(*, page: Path, access: Access, connections: Connections) -> web.Application:
    """The demo upstream as an aiohttp application; its shutdown closes every WebSocket with 1001."""
    app = web.Application(middlewares=[_guard(access)])
    app.router.add_get("/", Page(page).handle)
    app.router.add_get("/ws", Clock(connections, time.time).handle, allow_head=False)
    app.router.add_get("/echo", Echo(connections).handle, allow_head=False)
    app.router.add_route("*", "/whoami", whoami)
    app.on_response_prepare.append(_harden)

    async def stop(_: web.Application) -> None:
        await connections.stop()

    app.on_shutdown.append(stop)
    return app


def _guard(access: Access) -> Middleware:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let in who is welcome: a WebSocket by its Origin, any other request by its Host."""
        hosts = request.headers.getall(hdrs.HOST, [])
        forwarded = request.headers.getall(hdrs.X_FORWARDED_HOST, [])
        if request.path in _WEBSOCKETS:
            refusal = access.refuse_origin(request.headers.getall(hdrs.ORIGIN, []), forwarded or hosts)
        else:
            refusal = access.refuse_host(hosts + forwarded)
        if refusal is None:
            return await handler(request)
        response = web.Response(status=403, text=refusal + "\n")
        response.force_close()  # what a refused client sent ahead is not a request
        return response

    return guard


async def _harden(_: web.Request, response: web.StreamResponse) -> None:
    """Say what no browser should guess, and keep other sites from embedding an answer."""
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
