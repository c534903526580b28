"""The reader of opening handshakes.

Oracle: whatever `read_request` takes, aiohttp and h11 understand alike: target, fields, and what stands
behind the head.  It takes no more and no less of it where more follows, and nothing of a head that is
cut.  What is then written to the upstream is a request that h11 and `read_request` itself read as it was
meant.
"""

import asyncio
from typing import Final

import h11
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParser

from gateway.headers import Field, for_upstream, unsendable
from gateway.websocket.handshake import (
    OpeningRequest,
    message_head,
    read_request,
    refusal,
    upgrading,
    wants_websocket,
)
from tests.fuzz.choices import Choices
from tests.gateway.proxy.raw import HANDSHAKE

TOKENS: Final = (
    HANDSHAKE,
    *(line + b"\r\n" for line in HANDSHAKE.split(b"\r\n")[:-2]),
    b"GET / HTTP/1.1\r\n",
    b"\r\n\r\n",
    b"\r\n ",
    b"\n",
    b"Connection: keep-alive, Upgrade\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"X-Forwarded-For: 192.0.2.1\r\n",
    b"TE: trailers\r\n",
    b"Cookie: a=b\r\n",
)

_LONGEST: Final = 1 << 16

_closed_loop = asyncio.new_event_loop()
_closed_loop.close()
"""aiohttp's parser wants a loop, and never runs it."""


def check(data: bytes) -> None:
    """Read `data` as the head of a request, and what comes behind it."""
    choices = Choices(data)
    longest = _LONGEST if choices.byte() else choices.number()
    data = choices.rest()
    found = read_request(data, longest)
    if found is None:
        return
    head = data[: len(data) - len(found.rest)]
    assert len(head) <= longest
    assert head.endswith(b"\r\n\r\n")
    assert head.count(b"\r\n\r\n") == 1
    assert unsendable(found.fields) is None
    assert wants_websocket(found.fields)
    for cut in {1, len(head) // 2, len(head) - 1}:
        assert read_request(head[:cut], longest) is None
    alone = read_request(head, longest)
    assert alone is not None
    assert (alone.target, alone.fields, alone.rest) == (found.target, found.fields, b"")
    _as_aiohttp_reads(data, found)
    _as_h11_reads(data, found.target, list(found.fields), found.rest)
    refused = refusal("GET", (1, 1), found.fields)
    assert refused is None or refused.status in {400, 426}
    _sent_on(found)


def _as_aiohttp_reads(data: bytes, found: OpeningRequest) -> None:
    parser = HttpRequestParser(
        BaseProtocol(_closed_loop), _closed_loop, 1 << 16, max_headers=_LONGEST // 4, max_field_size=_LONGEST
    )
    ((message, _),), upgraded, tail = parser.feed_data(data)
    assert (message.method, message.path) == ("GET", found.target)
    assert message.raw_headers == tuple(found.fields)
    # aiohttp takes no list in Upgrade for an upgrade, though one is allowed (RFC 9110 section 7.8).
    if found.fields.by_name[b"upgrade"][0].lower() == b"websocket":
        assert (upgraded, tail) == (True, found.rest)


def _as_h11_reads(data: bytes, target: str, fields: list[Field], rest: bytes) -> None:
    reader = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    reader.receive_data(data)
    event = reader.next_event()
    assert isinstance(event, h11.Request)
    assert (event.method, event.target, event.http_version) == (b"GET", target.encode(), b"1.1")
    assert list(event.headers) == [(name.lower(), value) for name, value in fields]
    assert isinstance(reader.next_event(), h11.EndOfMessage)
    assert reader.next_event() is h11.PAUSED
    assert reader.trailing_data == (rest, False)


def _sent_on(found: OpeningRequest) -> None:
    """The upstream gets what was meant for it, and can read it in one way only."""
    (host,) = found.fields.by_name[b"host"]
    sent = upgrading(
        for_upstream(
            found.fields, authority="upstream:80", client=("192.0.2.7", 4711), host=host, scheme="http"
        )
    )
    assert sent.count((b"Host", b"upstream:80")) == 1
    written = message_head(b"GET %s HTTP/1.1" % found.target.encode(), sent)
    _as_h11_reads(written + b"\x81\x80", found.target, sent, b"\x81\x80")
    # A request that has as many fields as it may gets some more on its way.
    again = read_request(written, 1 << 20, len(sent))
    assert again is not None
    assert (again.target, list(again.fields), again.rest) == (found.target, sent, b"")
