"""`/whoami`: what this server saw of a request, in JSON.

{
  "method": "GET", "path": "/whoami?a=1",
  "headers": [["Host", "localhost:9090"], …],        in order, names as they were written
  "peer": "127.0.0.1:50912",                         who connected: the gateway, where there is one
  "gateway": {"addressed": "localhost:8080", …}      what it tells of itself; null without a gateway
}
"""

from typing import Any

from aiohttp import hdrs, web

_TOLD = {"addressed": hdrs.X_FORWARDED_HOST, "client": hdrs.X_FORWARDED_FOR, "scheme": hdrs.X_FORWARDED_PROTO}


async def whoami(request: web.Request) -> web.Response:
    """Answer with the request itself."""
    return web.json_response(describe(request), headers={hdrs.CACHE_CONTROL: "no-store"})


def describe(request: web.Request) -> dict[str, Any]:
    """The object of this module's docstring; X-Forwarded-Host is what gives a gateway away."""
    through = hdrs.X_FORWARDED_HOST in request.headers
    return {
        "method": request.method,
        "path": request.raw_path,
        "headers": [[_text(name), _text(value)] for name, value in request.raw_headers],
        "peer": _peer(request),
        "gateway": {key: request.headers.get(name) for key, name in _TOLD.items()} if through else None,
    }


def _text(octets: bytes) -> str:
    r"""A name or value as text; what is not UTF-8 is shown as `\xff`."""
    return octets.decode(errors="backslashreplace")


def _peer(request: web.Request) -> str | None:
    address = request.transport.get_extra_info("peername") if request.transport else None
    if not address:
        return None
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
