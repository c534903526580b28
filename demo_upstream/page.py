"""`/`: index.html with its Content-Security-Policy; where that file lies.

Strategy
    The file is read for each request, so that an edit shows at the next reload, and answered with an ETag
    and `no-cache`: a browser asks each time, and is told 304 where nothing has changed.  The policy names
    the page's inline scripts and styles by their hashes, which are computed from what is served: the page
    stays one file without 'unsafe-inline', and an edited page needs no other step.

Rules
    * The path of a request has no say in which file is read.
    * Browsers hash inline text after they have turned CRLF into LF, and so does this.
"""

import asyncio
import base64
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from aiohttp import ETag, hdrs, web

from demo_upstream.access import host_of

_INLINE: Final = re.compile(
    r"<!--.*?-->|<(?P<element>script|style)\b[^>]*>(?P<text>.*?)</(?P=element)\s*>", re.DOTALL | re.IGNORECASE
)


def packaged_page() -> Path:
    """The page that comes with this package: inside it in a wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "static" / "index.html"
    return inside if inside.is_file() else package.parent / "static" / "index.html"


def choose_page() -> Path:
    """People's own page, `static/index.html` of the working directory, or else the packaged one."""
    own = Path("static", "index.html")
    return own.absolute() if own.is_file() else packaged_page()


class Page:
    """The handler of `/`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def handle(self, request: web.Request) -> web.Response:
        """Answer with the page, or with 304 where the browser has it."""
        try:
            octets = await asyncio.to_thread(self._path.read_bytes)
        except OSError as error:
            raise web.HTTPInternalServerError(text=f"The page cannot be read: {error.strerror}\n") from error
        tag = hashlib.sha256(octets).hexdigest()[:32]
        headers = {
            hdrs.CACHE_CONTROL: "no-cache",
            "Content-Security-Policy": policy(octets.decode(errors="replace"), _addressed(request)),
        }
        seen = request.if_none_match or ()
        response = (
            web.Response(status=304, headers=headers)
            if any(known.value in {tag, "*"} for known in seen)
            else web.Response(body=octets, content_type="text/html", charset="utf-8", headers=headers)
        )
        response.etag = ETag(value=tag)
        return response


def policy(html: str, addressed: Iterable[str] = ()) -> str:
    """The Content-Security-Policy for `html`: what stands in it runs, and nothing else does.

    `addressed` is what the browser addressed, `host:port`.  'self' covers WebSockets to the same host, but
    for browsers that came before CSP 3; those need the host by name, for which CSP has no IPv6 literals.
    """
    hosts = {host for value in addressed if (host := host_of(value)) and not host.startswith("[")}
    sockets = "".join(f" ws://{host} wss://{host}" for host in sorted(hosts))
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {_hashes(html, 'script')}",
            f"style-src {_hashes(html, 'style')}",
            "img-src 'self' data:",
            f"connect-src 'self'{sockets}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def _hashes(html: str, element: str) -> str:
    """CSP sources for the inline text of each `element` in `html`."""
    text = html.replace("\r\n", "\n").replace("\r", "\n")
    inline = [
        match["text"] for match in _INLINE.finditer(text) if (match["element"] or "").lower() == element
    ]
    digests = (hashlib.sha256(each.encode()).digest() for each in inline)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests) or "'none'"


def _addressed(request: web.Request) -> list[str]:
    """What the browser addressed: X-Forwarded-Host behind a gateway, else Host."""
    return request.headers.getall(hdrs.X_FORWARDED_HOST, []) or request.headers.getall(hdrs.HOST, [])
