"""What goes back to the client: an upstream's answer as it comes, or an error of our own.

Rules
    * The head of a response is sent at once, its body piece by piece, with the client's own back-pressure;
      a body that came with its head leaves with it.
    * A body that breaks off upstream breaks off downstream: the connection is cut, never ended cleanly.
    * One function, `refuse`, turns an error into a response.
"""

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from email.utils import formatdate
from functools import cache, lru_cache
from http import HTTPStatus
from typing import Final

import jinja2
from aiohttp import web
from multidict import CIMultiDict

from gateway.errors import Answer
from gateway.headers import Field, Fields, end_to_end, members, unsendable, values
from gateway.proxy.dial import UpstreamError
from gateway.proxy.endings import reset

ALT_SVC: Final = "alt_svc"
"""Where a request keeps the Alt-Svc that its response has to carry (core-v1 section 4.1)."""

_NO_BODY: Final = frozenset({204, 304})
"""Statuses whose responses have no body, whatever their fields say (RFC 9112 section 6.3)."""


_POLICY: Final = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Of the page that explains an error; the last three do not follow from the first."""

_JSON: Final = '{{"status":{status},"statusText":"{phrase}"}}'
_XML: Final = "<result><status>{status}</status><statusText>{phrase}</statusText><errors></errors></result>"
_YAML: Final = "status: {status}\nstatusText: {phrase}\n"

_BODIES: Final = {
    "application/json": _JSON,
    "text/json": _JSON,
    "application/xml": _XML,
    "text/xml": _XML,
    "application/yaml": _YAML,
    "text/yaml": _YAML,
    "text/plain": _YAML,
}
"""AILERON's bodies by their types; no phrase of a status has a character that any of them would escape."""


class BrokenOffError(Exception):
    """The upstream ended a response before its end."""


@dataclass(slots=True, kw_only=True)
class UpstreamResponse:
    """An upstream's answer; its body raises BrokenOffError where it ends too early."""

    status: int
    reason: str
    fields: Fields
    body: AsyncIterator[bytes]
    whole: bytes | None = None
    """The body, where all of it has come along with the head; `body` is not to be asked for it then."""
    close: Callable[[], None]
    """Must be called at the end, however that comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why a request is answered by the gateway itself."""

    status: int
    what: str
    """What happened, as a sentence."""
    hint: str | None = None
    """What to do about it."""
    command: str | None = None
    """A command that may help."""
    fields: tuple[tuple[str, str], ...] = ()
    """Fields that the answer must carry."""
    close: bool = False
    """Whether the client's connection may not be used again."""
    answer: Answer | None = None
    """What an ErrorHandler has to say instead."""


@dataclass(slots=True, kw_only=True)
class Head:
    """What of a response's head is not a header field."""

    status: int
    reason: str
    length: int | None
    """Bytes of body; None where they are not known beforehand."""
    empty: bool = False
    """Whether no body follows, whatever the length says."""
    close: bool = False


class Done(web.StreamResponse):
    """Tells aiohttp that the response has gone out, or that the connection is no longer its own."""

    def __init__(self, status: int, *, keep_alive: bool, sent: int = 0) -> None:
        super().__init__(status=status)
        self._reusable = keep_alive
        self.sent = sent
        """Bytes of body that were sent."""

    @property
    def keep_alive(self) -> bool:
        """Whether the connection may carry another request."""
        return self._reusable

    async def prepare(self, request: web.BaseRequest) -> None:
        """Do nothing: the head has been sent."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Do nothing: the end has been sent."""


async def relay(request: web.BaseRequest, response: UpstreamResponse, *, close: bool = False) -> Done:
    """Stream an upstream's response to the client; with `close` it is the last one of its connection.

    Raises UpstreamError where its head cannot be passed on as it is; once the head has been sent,
    BrokenOffError where the body ends too early, the client's connection having been cut.
    """
    fields = end_to_end(response.fields)
    if members(response.fields, b"transfer-encoding"):
        # Where both are given, the length is a lie (RFC 9112 section 6.3).
        fields = [field for field in fields if field[0].lower() != b"content-length"]
    headers = _sendable(fields)
    # It means nothing to programs (RFC 9112 section 4); to a person's terminal it may, if it is no text.
    reason = response.reason if response.reason.isprintable() else _phrase(response.status)
    empty = request.method == "HEAD" or response.status in _NO_BODY
    lengths = set(values(fields, b"content-length"))
    length = int(lengths.pop()) if len(lengths) == 1 else None
    head = Head(status=response.status, reason=reason, length=length, empty=empty, close=close)
    keep_alive = await _start(request, head, headers)
    writer = request.writer
    if empty:
        await writer.write_eof()
        return Done(response.status, keep_alive=keep_alive)
    if response.whole is not None:
        await writer.write_eof(response.whole)  # with the head, in one piece
        return Done(response.status, keep_alive=keep_alive, sent=len(response.whole))
    writer.send_headers()
    sent = 0
    try:
        async for piece in response.body:
            await writer.write(piece)
            sent += len(piece)
    except BrokenOffError:
        cut(request)
        raise
    await writer.write_eof()
    return Done(response.status, keep_alive=keep_alive, sent=sent)


async def refuse(request: web.BaseRequest, problem: Problem, upstream: str | None = None) -> Done:
    """Answer with an error of the gateway's own (core-v1 section 6).

    The first type in Accept decides, whatever its weight: AILERON's JSON, XML or YAML; for text/html, a page
    that explains; JSON for all others.
    """
    status = problem.status if problem.answer is None else problem.answer.status
    phrase = _phrase(status)
    headers: CIMultiDict[str] = CIMultiDict(problem.fields)
    accepted = members(request.raw_headers, b"accept")
    first = accepted[0].split(b";")[0].strip().decode("latin-1") if accepted else ""
    if problem.answer is not None:
        headers.extend(problem.answer.fields)
        content_type, body = problem.answer.mime_type, problem.answer.body.decode("utf-8", "replace")
    elif first == "text/html":
        content_type, body = first, _page().render(problem=problem, phrase=phrase, upstream=upstream)
        # The page needs nothing but its own style, and an empty icon, so that the browser asks for none.
        headers["Content-Security-Policy"] = _POLICY
    else:
        content_type = first if first in _BODIES else "application/json"
        body = _BODIES[content_type].format(status=problem.status, phrase=phrase)
    sent = body.encode()
    headers["Content-Type"] = f"{content_type}; charset=utf-8"
    headers["Content-Length"] = str(len(sent))
    headers["Vary"] = "Accept"
    headers["X-Content-Type-Options"] = "nosniff"
    empty = request.method == "HEAD"
    close = problem.close or _holds_body_back(request)
    head = Head(status=status, reason=phrase, length=len(sent), empty=empty, close=close)
    keep_alive = await _start(request, head, headers)
    await request.writer.write_eof(b"" if empty else sent)
    return Done(status, keep_alive=keep_alive, sent=0 if empty else len(sent))


def _holds_body_back(request: web.BaseRequest) -> bool:
    """Whether nobody knows if a body follows that was to wait for a 100 (RFC 9110 section 10.1.1)."""
    return bool(members(request.raw_headers, b"expect"))


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:  # an ErrorHandler may have one of its own
        return ""


async def redirect(request: web.BaseRequest, status: int, location: str) -> Done:
    """Send the client elsewhere on this server (core-v1 section 4.3)."""
    headers = CIMultiDict({"Location": location, "Content-Length": "0"})
    phrase, close = HTTPStatus(status).phrase, _holds_body_back(request)
    keep_alive = await _start(request, Head(status=status, reason=phrase, length=0, close=close), headers)
    await request.writer.write_eof()
    return Done(status, keep_alive=keep_alive)


async def bare(request: web.BaseRequest, status: int) -> Done:
    """Answer with a status and nothing else; a 400 is the last word, as in Go."""
    head = Head(status=status, reason=HTTPStatus(status).phrase, length=0, close=status >= 400)
    keep_alive = await _start(request, head, CIMultiDict({"Content-Length": "0"}))
    await request.writer.write_eof()
    return Done(status, keep_alive=keep_alive)


def plainly(status: int, why: str = "") -> bytes:
    """The whole answer that Go's server gives to what it cannot read (core-v1 sections 4.5 and 6)."""
    line = f"{status} {HTTPStatus(status).phrase}"
    head = f"HTTP/1.1 {line}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
    return f"{head}{line}{f': {why}' if why else ''}".encode()


def cut(request: web.BaseRequest) -> None:
    """Cut the client's connection, so that nobody takes for whole what is not."""
    if request.transport is None:
        return
    if request.version >= (1, 1):
        request.transport.abort()
    else:
        reset(request.transport)  # a FIN might be the end of the body


async def _start(request: web.BaseRequest, head: Head, headers: CIMultiDict[str]) -> bool:
    """Prepare the head of a response, to go with what follows; whether the connection may be used again."""
    writer = request.writer
    keep_alive = request.keep_alive and not head.close
    if head.length is not None:
        writer.length = 0 if head.empty else head.length
    elif not head.empty and request.version >= (1, 1):
        writer.enable_chunking()
        headers["Transfer-Encoding"] = "chunked"
    elif not head.empty:
        keep_alive = False  # its end is the end of the connection
    if ALT_SVC in request:
        headers.add("Alt-Svc", request[ALT_SVC])
    if "Date" not in headers:
        headers["Date"] = _date(int(time.time()))
    if not keep_alive:
        headers["Connection"] = "close"
    elif request.version < (1, 1):
        headers["Connection"] = "keep-alive"
    version = "1.1" if request.version >= (1, 1) else "1.0"
    await writer.write_headers(f"HTTP/{version} {head.status} {head.reason}", headers)
    return keep_alive


@lru_cache(maxsize=1)
def _date(seconds: int) -> str:
    """A Date field (RFC 9110 section 6.6.1); kept, since many responses share one."""
    return formatdate(seconds, usegmt=True)


def _sendable(fields: Fields) -> CIMultiDict[str]:
    """The fields as aiohttp sends them.  Raises UpstreamError where it would have to change one."""
    problem = unsendable(fields)
    if problem is None:
        try:
            return CIMultiDict(decoded(fields))
        except UnicodeDecodeError:
            problem = "a header is not UTF-8"
    raise UpstreamError(502, f"answered with a header that cannot be passed on: {problem}")


def decoded(fields: Fields) -> list[tuple[str, str]]:
    """The fields as text from which aiohttp makes the same bytes again.

    Raises UnicodeDecodeError where there is no such text.
    """
    return [_text(field) for field in fields]


def _text(field: Field) -> tuple[str, str]:
    return field[0].decode("ascii"), field[1].decode("utf-8")


@cache
def _page() -> jinja2.Template:
    loader = jinja2.PackageLoader("gateway.proxy", "templates")
    return jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined).get_template(
        "error.html"
    )
