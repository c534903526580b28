"""Response splitting and response queue poisoning: what an upstream's answer can do to the next one.

Each attack is the answer to the first of two requests of one client.  What the client gets is compared byte
by byte: the first answer, made unmistakable or replaced by a 502, and behind it the second one, which is the
upstream's own answer to the second request, or nothing where the first one broke off.
"""

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import pytest

from tests.gateways import GatewayProcess
from tests.servers import Peer, Upstream

REQUESTS: Final = (
    b"GET /first HTTP/1.1\r\nHost: gw\r\n\r\nGET /second HTTP/1.1\r\nHost: gw\r\nConnection: close\r\n\r\n"
)
POISON: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
SECOND: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond"
SECOND_SENT: Final = SECOND.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
BAD: Final = (
    b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 41\r\n"
    b'Vary: Accept\r\nX-Content-Type-Options: nosniff\r\n\r\n{"status":502,"statusText":"Bad Gateway"}'
)
LENGTH: Final = b"Content-Length: 5\r\n"
CHUNKED: Final = b"Transfer-Encoding: chunked\r\n"
CHUNKS: Final = b"5\r\nhello\r\n0\r\n\r\n"


def ok(fields: bytes, body: bytes = b"hello", line: bytes = b"HTTP/1.1 200 OK") -> bytes:
    """A response."""
    return line + b"\r\n" + fields + b"\r\n" + body


PLAIN: Final = ok(LENGTH)
CODED: Final = ok(CHUNKED, CHUNKS)
NOTHING: Final = ok(b"Content-Length: 0\r\n", b"")
OLD: Final = ok(LENGTH, b"", b"HTTP/1.1 304 Old")


@dataclass(frozen=True, slots=True)
class Case:
    """An upstream's answer, and what the client gets for it."""

    answer: bytes
    got: bytes
    ends: bool = False
    """Whether the upstream ends its connection behind it."""
    cut: bool = False
    """Whether the client's connection is cut, because the answer broke off."""
    method: bytes = b"GET"


CASES: Final = {
    # What is no head.
    "CR in a value": Case(ok(LENGTH + b"X: a\rInjected: 1\r\n"), BAD),
    "NUL in a value": Case(ok(LENGTH + b"X: a\x00b\r\n"), BAD),
    "escape in a value": Case(ok(LENGTH + b"X: \x1b[31m\r\n"), BAD),
    "DEL in a value": Case(ok(LENGTH + b"X: \x7f\r\n"), BAD),
    "Latin-1 in a value": Case(ok(LENGTH + b"X: \xfc\r\n"), BAD),
    "a space in a name": Case(ok(LENGTH + b"X Y: a\r\n"), BAD),
    "a space before a colon": Case(ok(b"Content-Length : 5\r\n"), BAD),
    "no colon": Case(ok(LENGTH + b"X\r\n"), BAD),
    "no name": Case(ok(LENGTH + b": x\r\n"), BAD),
    "no ASCII in a name": Case(ok(LENGTH + b"X\xfc: a\r\n"), BAD),
    "bare CR everywhere": Case(PLAIN.replace(b"\r\n", b"\r"), BAD, ends=True),
    "CR in the reason": Case(ok(LENGTH, line=b"HTTP/1.1 200 OK\rX: y"), BAD),
    "NUL in the reason": Case(ok(LENGTH, line=b"HTTP/1.1 200 \x00"), BAD),
    "escape in the reason": Case(ok(LENGTH, line=b"HTTP/1.1 200 \x1b]0;x\x07"), BAD),
    "a reason without an end": Case(ok(LENGTH, line=b"HTTP/1.1 200 " + b"x" * 100_000), BAD),
    "status 0": Case(ok(LENGTH, line=b"HTTP/1.1 000 OK"), BAD),
    "status 99": Case(ok(LENGTH, line=b"HTTP/1.1 99 OK"), BAD),
    "status 1000": Case(ok(LENGTH, line=b"HTTP/1.1 1000 OK"), BAD),
    "status +200": Case(ok(LENGTH, line=b"HTTP/1.1 +200 OK"), BAD),
    "HTTP/0.9": Case(b"<html>hello</html>", BAD, ends=True),
    "HTTP/1.2": Case(ok(LENGTH, line=b"HTTP/1.2 200 OK"), BAD),
    "HTTP/2": Case(ok(LENGTH, line=b"HTTP/2.0 200 OK"), BAD),
    "another protocol": Case(ok(LENGTH, line=b"ICY 200 OK"), BAD),
    "two spaces": Case(ok(LENGTH, line=b"HTTP/1.1  200 OK"), BAD),
    "something before it": Case(b"x\r\n" + PLAIN, BAD),
    "nothing": Case(b"", BAD, ends=True),
    "half a head": Case(b"HTTP/1.1 200 OK\r\nX:", BAD, ends=True),
    "a head without an end": Case(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000, BAD),
    "a field without an end": Case(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000, BAD),
    "fields without an end": Case(ok(LENGTH + b"X: y\r\n" * 300), BAD),
    "a 101 that nobody asked for": Case(b"HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", BAD),
    # What ends in two places.
    "two lengths": Case(ok(LENGTH + b"Content-Length: 4\r\n"), BAD),
    "the same length twice": Case(ok(LENGTH * 2), BAD),
    "a list of lengths": Case(ok(b"Content-Length: 5, 5\r\n"), BAD),
    "a length with a sign": Case(ok(b"Content-Length: +5\r\n"), BAD),
    "a negative length": Case(ok(b"Content-Length: -1\r\n"), BAD),
    "a length with an underscore": Case(ok(b"Content-Length: 0_5\r\n"), BAD),
    "no length in its field": Case(ok(b"Content-Length:\r\n"), BAD),
    "a length of 5,000 digits": Case(ok(b"Content-Length: " + b"0" * 5000 + b"5\r\n"), BAD),
    "a length past 63 bits": Case(ok(b"Content-Length: 9223372036854775808\r\n"), BAD),
    "the last length of 64 bits": Case(ok(b"Content-Length: 18446744073709551615\r\n"), BAD, ends=True),
    "a length past 64 bits": Case(ok(b"Content-Length: 18446744073709551621\r\n"), BAD),
    "length and chunks": Case(ok(LENGTH + CHUNKED, CHUNKS), BAD),
    "chunks and a lying length": Case(ok(CHUNKED + b"Content-Length: 1\r\n", CHUNKS), BAD),
    "chunked twice": Case(ok(CHUNKED * 2, CHUNKS), BAD),
    "a coding before chunked": Case(ok(b"Transfer-Encoding: gzip, chunked\r\n", CHUNKS), BAD),
    "a coding behind chunked": Case(ok(b"Transfer-Encoding: chunked, identity\r\n", CHUNKS), BAD, ends=True),
    "another coding": Case(ok(b"Transfer-Encoding: gzip\r\n"), BAD, ends=True),
    "almost chunked": Case(ok(b"Transfer-Encoding: \x0bchunked\r\n", CHUNKS), BAD, ends=True),
    "chunks in HTTP/1.0": Case(ok(CHUNKED, CHUNKS, b"HTTP/1.0 200 OK"), BAD, ends=True),
    "a chunk of no size": Case(ok(CHUNKED, b"g\r\nhello\r\n0\r\n\r\n"), BAD),
    "a chunk of a negative size": Case(ok(CHUNKED, b"-5\r\nhello\r\n0\r\n\r\n"), BAD),
    "a chunk past 64 bits": Case(ok(CHUNKED, b"10000000000000005\r\nhello\r\n0\r\n\r\n"), BAD),
    "a chunk longer than its size": Case(ok(CHUNKED, b"5\r\nhelloworld\r\n0\r\n\r\n"), BAD),
    "a chunk behind a bare LF": Case(ok(CHUNKED, b"5\nhello\n0\n\n"), BAD),
    # What is odd, but reads in one way, and is passed on so that everybody reads it in that way.
    "bare LF in a value": Case(ok(LENGTH + b"X: a\nY: b\r\n"), ok(LENGTH + b"X: a\r\nY: b\r\n")),
    "bare LF everywhere": Case(PLAIN.replace(b"\r\n", b"\n"), PLAIN),
    "a folded value": Case(ok(LENGTH + b"X: a\r\n b\r\n"), ok(LENGTH + b"X: a b\r\n")),
    "a folded length": Case(ok(b"Content-Length:\r\n 5\r\n"), PLAIN),
    "a folded coding": Case(ok(b"Transfer-Encoding:\r\n chunked\r\n", CHUNKS), CODED),
    "a folded first field": Case(ok(b" X: y\r\n" + LENGTH), ok(b"X: y\r\n" + LENGTH)),
    "an empty line before it": Case(b"\r\n" + PLAIN, PLAIN),
    "no reason": Case(ok(LENGTH, line=b"HTTP/1.1 299"), ok(LENGTH, line=b"HTTP/1.1 299 ")),
    "a status that nobody knows": Case(*(ok(LENGTH, line=b"HTTP/1.1 999 X"),) * 2),
    "extensions of chunks": Case(ok(CHUNKED, b"5;a=b\r\nhello\r\n0;c\r\n\r\n"), CODED),
    "a space behind a size": Case(ok(CHUNKED, b"5 \r\nhello\r\n0\r\n\r\n"), CODED),
    "a trailer": Case(ok(CHUNKED, b"5\r\nhello\r\n0\r\nSet-Cookie: a=1\r\n\r\n"), CODED),
    "what Connection names": Case(
        ok(LENGTH + b"Connection: set-cookie\r\nSet-Cookie: a=1\r\nKeep-Alive: 5\r\nTrailer: x\r\n"), PLAIN
    ),
    "Connection names the length": Case(ok(LENGTH + b"Connection: content-length\r\n"), CODED),
    "encoded line ends": Case(*(ok(LENGTH + "X: \u560d\u560aSet-Cookie: x\r\n".encode()),) * 2),
    "interim answers": Case(b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" * 500 + PLAIN, PLAIN),
    "205 with a body": Case(*(ok(LENGTH, line=b"HTTP/1.1 205 Reset"),) * 2),
    "304 with a length": Case(OLD, OLD),
    "HEAD with a length": Case(*(ok(LENGTH, b""),) * 2, method=b"HEAD"),
    "no length": Case(ok(b""), CODED, ends=True),
    # What comes behind its end.
    "a response behind it": Case(PLAIN + POISON, PLAIN),
    "a response behind chunks": Case(CODED + POISON, CODED),
    "a response behind nothing": Case(NOTHING + POISON, NOTHING),
    "half a response behind it": Case(PLAIN + POISON[:20], PLAIN),
    "something behind it": Case(PLAIN + b"junk", BAD),
    "a response behind 304": Case(OLD + POISON, OLD),
    "204 with a body": Case(ok(LENGTH, line=b"HTTP/1.1 204 Empty"), BAD),
    "304 with a body": Case(ok(LENGTH, line=b"HTTP/1.1 304 Old"), BAD),
    "102 with a body": Case(ok(LENGTH, line=b"HTTP/1.1 102 Wait") + PLAIN, BAD),
    "no length, and a response behind it": Case(
        ok(b"", POISON), ok(CHUNKED, b"%x\r\n%s\r\n0\r\n\r\n" % (len(POISON), POISON)), ends=True
    ),
    # What breaks off.
    "a length that is too long": Case(ok(b"Content-Length: 9\r\n"), ok(b"Content-Length: 9\r\n"), True, True),
    "chunks without an end": Case(ok(CHUNKED, CHUNKS[:10]), ok(CHUNKED, CHUNKS[:10]), True, True),
}


async def serve(server: Peer, case: Case) -> None:
    """Answer the requests of one connection."""
    with server:
        while True:
            try:
                first = b" /first " in await server.read_head()
                await server.send(case.answer if first else SECOND)
            except (EOFError, ConnectionError):
                return
            if first and case.ends:
                server.end()


async def answers(gateway: GatewayProcess, upstream: Upstream, case: Case, kept: Peer | None = None) -> bytes:
    """All that the client gets for both requests; `kept` is a connection that is there already."""
    serving = set() if kept is None else {asyncio.create_task(serve(kept, case))}

    async def accept() -> None:
        while True:
            serving.add(asyncio.create_task(serve(await upstream.accept(patience=60), case)))

    serving.add(asyncio.create_task(accept()))
    data = b""
    with await Peer.connect(gateway.port) as client:
        await client.send(REQUESTS.replace(b"GET", case.method, 1))
        with suppress(ConnectionResetError):  # one way of cutting it
            while piece := await client.read_some():
                data += piece
    for task in serving:
        task.cancel()
    await asyncio.wait(serving)
    return re.sub(rb"Date: [^\r]*\r\n", b"", data)


@pytest.mark.parametrize(
    "early",
    [POISON, POISON[:30], b"x", b"\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 408 Late\r\n\r\n"],
)
async def test_what_comes_before_it_is_asked_for(
    gateway: GatewayProcess, upstream: Upstream, early: bytes
) -> None:
    """A kept upstream connection that speaks unasked gives the next client nothing of it."""
    with await Peer.connect(gateway.port) as first:
        await first.send(b"GET /first HTTP/1.1\r\nHost: gw\r\n\r\n")
        server = await upstream.accept()
        await server.read_head()
        await server.send(PLAIN)
        assert (await first.read_until(b"hello")).startswith(b"HTTP/1.1 200 ")
        await server.send(early)
    got = await answers(gateway, upstream, Case(PLAIN, PLAIN), kept=server)
    assert got == PLAIN + SECOND_SENT


async def test_no_answer_reaches_into_the_next(gateway: GatewayProcess, upstream: Upstream) -> None:
    """Each answer is passed on in a form that reads in one way, or is a 502; the second is the second's."""
    wrong = {}
    for name, case in CASES.items():
        got = await answers(gateway, upstream, case)
        if got != (case.got if case.cut else case.got + SECOND_SENT):
            wrong[name] = got
    assert wrong == {}
