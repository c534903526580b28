"""Request smuggling by the end of a body: Content-Length, Transfer-Encoding, chunks and trailers.

The classes are those of RFC 9112 section 11.2 and of what was published since: CL.TE, TE.CL, TE.TE, 0.CL.
"""

from typing import Final

import pytest

from tests.attacks.attacks import SMUGGLED, Attack, passed_on, unexpected
from tests.attacks.recorder import Recorder
from tests.gateways import GatewayProcess
from tests.servers import Peer

CHUNKED: Final = b"Transfer-Encoding: chunked\r\n"
HELLO: Final = b"5\r\nhello\r\n0\r\n\r\n"
HIDDEN: Final = b"0\r\n\r\n" + SMUGGLED


def post(fields: bytes, body: bytes = b"", *, line: bytes = b"POST /a HTTP/1.1") -> bytes:
    """A request with a body."""
    return line + b"\r\nHost: gw\r\n" + fields + b"\r\n" + body


def unread(name: str, fields: bytes, body: bytes = b"hello", status: int = 400) -> Attack:
    """An attack that is refused, with nothing of it sent on."""
    return Attack(name=name, sent=post(fields, body), statuses=(status,))


CODED: Final = passed_on(b"POST /a HTTP/1.1", body=HELLO, framing=CHUNKED)
"""A chunked request as the upstream gets it: in chunks of the gateway's own making."""


def coded(name: str, body: bytes, fields: bytes = CHUNKED) -> Attack:
    """A chunked body that is sent on as `HELLO`; it is the last request of its connection."""
    return Attack(name=name, sent=post(fields, body), statuses=(200,), reached=(CODED,))


def measured(name: str, length: bytes) -> Attack:
    """A body with a length that is sent on as it came."""
    reached = passed_on(b"POST /a HTTP/1.1", length + b"\r\n", b"hello")
    return Attack(
        name=name, sent=post(length + b"\r\n", b"hello"), statuses=(200,), reached=(reached,), kept=True
    )


BOTH: Final = (
    unread("CL.TE", b"Content-Length: %d\r\n%s" % (len(HIDDEN), CHUNKED), HIDDEN),
    unread("CL.TE, TE first", b"%sContent-Length: %d\r\n" % (CHUNKED, len(HIDDEN)), HIDDEN),
    unread(
        "TE.CL", b"%sContent-Length: 4\r\n" % CHUNKED, b"%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)
    ),
    unread("0.CL", b"%sContent-Length: 0\r\n" % CHUNKED, HIDDEN),
    unread("both, and they agree", b"%sContent-Length: %d\r\n" % (CHUNKED, len(HELLO)), HELLO),
)

CODINGS: Final = {
    "unknown": b"Transfer-Encoding: xchunked",
    "chunked, then identity": b"Transfer-Encoding: chunked, identity",
    "identity": b"Transfer-Encoding: identity",
    "chunked twice": b"Transfer-Encoding: chunked, chunked",
    "trailing comma": b"Transfer-Encoding: chunked,",
    "trailing tab": b"Transfer-Encoding: chunked\t",
    "vertical tab before it": b"Transfer-Encoding: \x0bchunked",
    "vertical tab behind it": b"Transfer-Encoding: chunked\x0b",
    "form feed": b"Transfer-Encoding: \x0cchunked",
    "no-break space": b"Transfer-Encoding: \xa0chunked",
    "NUL behind it": b"Transfer-Encoding: chunked\x00",
    "Kelvin sign": "Transfer-Encoding: chun\N{KELVIN SIGN}ed".encode(),
    "quoted": b'Transfer-Encoding: "chunked"',
    "parameter": b"Transfer-Encoding: chunked;q=1",
    "empty": b"Transfer-Encoding:",
    "space before the name": b" Transfer-Encoding: chunked",
    "space before the colon": b"Transfer-Encoding : chunked",
    "tab before the colon": b"Transfer-Encoding\t: chunked",
    "behind a bare LF": b"X: y\nTransfer-Encoding: chunked",
    "behind a bare CR": b"X: y\rTransfer-Encoding: chunked",
    "folded": b"Transfer-Encoding:\r\n chunked",
    "two fields": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "two fields, the other known": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "two fields, the other unknown": b"Transfer-Encoding: chunked\r\ntransfer-encoding: cow",
}
"""TE.TE: what one recipient takes for chunked and another does not."""

TE_TE: Final = (
    *(unread(f"coding: {name}", line + b"\r\n", HIDDEN) for name, line in CODINGS.items()),
    *(
        unread(f"length and coding: {name}", b"Content-Length: %d\r\n%s\r\n" % (len(HIDDEN), line), HIDDEN)
        for name, line in CODINGS.items()
    ),
    unread("a coding before chunked", b"Transfer-Encoding: gzip, chunked\r\n", HIDDEN, 501),
    unread("identity before chunked", b"Transfer-Encoding: identity, chunked\r\n", HIDDEN, 501),
    unread("leading comma", b"Transfer-Encoding: ,chunked\r\n", HIDDEN, 501),
    coded("any letters", HELLO, b"tRANSFER-eNCODING: cHUNKED\r\n"),
    coded("blanks around it", HELLO, b"Transfer-Encoding:\t chunked \r\n"),
    Attack(
        name="HTTP/1.0 with a coding",
        sent=post(CHUNKED + b"Connection: keep-alive\r\n", HIDDEN, line=b"POST /a HTTP/1.0"),
        statuses=(400,),
    ),
    Attack(
        name="a name that only CGI takes for it",
        sent=post(b"Content-Length: 5\r\nTransfer_Encoding: chunked\r\n", b"hello"),
        statuses=(200,),
        reached=(
            passed_on(b"POST /a HTTP/1.1", b"Content-Length: 5\r\nTransfer_Encoding: chunked\r\n", b"hello"),
        ),
        kept=True,
    ),
)

LENGTHS: Final = {
    "twice the same": b"Content-Length: 5\r\nContent-Length: 5",
    "two": b"Content-Length: 5\r\ncontent-length: 6",
    "nothing, then something": b"Content-Length: 0\r\nContent-Length: 5",
    "a list": b"Content-Length: 5, 5",
    "a list of two": b"Content-Length: 5, 6",
    "trailing comma": b"Content-Length: 5,",
    "plus": b"Content-Length: +5",
    "minus": b"Content-Length: -1",
    "minus nothing": b"Content-Length: -0",
    "hexadecimal": b"Content-Length: 0x5",
    "underscore": b"Content-Length: 0_5",
    "Arabic": "Content-Length: \N{ARABIC-INDIC DIGIT FIVE}".encode(),
    "fullwidth": "Content-Length: \N{FULLWIDTH DIGIT FIVE}".encode(),
    "superscript": b"Content-Length: \xb2",
    "fraction": b"Content-Length: 5.0",
    "exponent": b"Content-Length: 5e0",
    "empty": b"Content-Length:",
    "two numbers": b"Content-Length: 5 5",
    "vertical tab": b"Content-Length: \x0b5",
    "NUL": b"Content-Length: 5\x00",
    "letters behind it": b"Content-Length: 5a",
    "quoted": b'Content-Length: "5"',
    "space before the colon": b"Content-Length : 5",
    "folded": b"Content-Length:\r\n 5",
    "behind a bare LF": b"X: y\nContent-Length: 5",
    "past 63 bits": b"Content-Length: 9223372036854775808",
    "the last of 64 bits": b"Content-Length: 18446744073709551615",
    "past 64 bits": b"Content-Length: 18446744073709551621",
    "5,000 digits": b"Content-Length: " + b"0" * 5000 + b"5",
}

CL: Final = (
    *(unread(f"length: {name}", line + b"\r\n") for name, line in LENGTHS.items()),
    measured("any letters", b"CONTENT-length: 5"),
    measured("zeros before it", b"Content-Length: 0005"),
    Attack(
        name="no length, and a body",
        sent=post(b"", b"hello"),
        statuses=(400,),
        sound=(passed_on(b"POST /a HTTP/1.1", framing=b"Content-Length: 0\r\n"),),
    ),
    Attack(
        name="GET with a body",
        sent=post(b"Content-Length: %d\r\n" % len(SMUGGLED), SMUGGLED, line=b"GET /a HTTP/1.1"),
        statuses=(200,),
        reached=(passed_on(b"GET /a HTTP/1.1", b"Content-Length: %d\r\n" % len(SMUGGLED), SMUGGLED),),
        kept=True,
    ),
    Attack(
        name="GET with a chunked body",
        sent=post(CHUNKED, HELLO, line=b"GET /a HTTP/1.1"),
        statuses=(200,),
        reached=(passed_on(b"GET /a HTTP/1.1", body=HELLO, framing=CHUNKED),),
    ),
    Attack(
        name="HEAD with a body",
        sent=post(b"Content-Length: %d\r\n" % len(SMUGGLED), SMUGGLED, line=b"HEAD /a HTTP/1.1"),
        statuses=(200,),
        reached=(passed_on(b"HEAD /a HTTP/1.1", b"Content-Length: %d\r\n" % len(SMUGGLED), SMUGGLED),),
        kept=True,
    ),
    Attack(
        name="CONNECT with a body",
        sent=post(b"Content-Length: %d\r\n" % len(SMUGGLED), SMUGGLED, line=b"CONNECT gw:80 HTTP/1.1"),
        statuses=(400,),
    ),
    Attack(
        name="CONNECT with a chunked body",
        sent=post(CHUNKED, HIDDEN, line=b"CONNECT gw:80 HTTP/1.1"),
        statuses=(400,),
    ),
)

BROKEN_CHUNKS: Final = {
    "a letter that is no digit": b"g\r\nhello\r\n0\r\n\r\n",
    "0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "plus": b"+5\r\nhello\r\n0\r\n\r\n",
    "minus": b"-5\r\nhello\r\n0\r\n\r\n",
    "underscore": b"0_5\r\nhello\r\n0\r\n\r\n",
    "past 64 bits": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "no size": b"\r\n5\r\nhello\r\n0\r\n\r\n",
    "space before the size": b" 5\r\nhello\r\n0\r\n\r\n",
    "space behind the size": b"5 \r\nhello\r\n0\r\n\r\n",
    "tab behind the size": b"5\t\r\nhello\r\n0\r\n\r\n",
    "a word behind the size": b"5 a\r\nhello\r\n0\r\n\r\n",
    "LF behind the size": b"5\nhello\r\n0\r\n\r\n",
    "CR behind the size": b"5\rhello\r\n0\r\n\r\n",
    "LF behind the data": b"5\r\nhello\n0\r\n\r\n",
    "nothing behind the data": b"5\r\nhello0\r\n\r\n",
    "more data than its size": b"5\r\nhelloXX\r\n0\r\n\r\n",
    "two bytes for a CR LF": b"5\r\nhelloX\n0\r\n\r\n",
    "LF at the end": b"5\r\nhello\r\n0\n\n",
    "LF for the last line": b"5\r\nhello\r\n0\r\n\n",
    "an extension that ends in LF": b"5;\nhello\r\n0\r\n\r\n",
    "an extension with a CR": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "an extension with a NUL": b"5;a\x00\r\nhello\r\n0\r\n\r\n",
    "an extension whose quotes hold a CR LF": b'5;a="\r\nhello\r\n0\r\n\r\n',
    "a trailer without a colon": b"5\r\nhello\r\n0\r\n" + SMUGGLED,
    "a trailer with a space before its colon": b"5\r\nhello\r\n0\r\nX : 1\r\n\r\n",
    "a folded trailer": b"5\r\nhello\r\n0\r\nX: 1\r\n y\r\n\r\n",
    "a trailer that ends in LF": b"5\r\nhello\r\n0\r\nX: 1\n\r\n",
    "a trailer with a NUL": b"5\r\nhello\r\n0\r\nX: \x00\r\n\r\n",
}

CHUNKS: Final = (
    *(unread(f"chunks: {name}", CHUNKED, body) for name, body in BROKEN_CHUNKS.items()),
    coded("an extension", b"5;a=b\r\nhello\r\n0;c\r\n\r\n"),
    coded("an extension in quotes", b'5;a="b;c"\r\nhello\r\n0\r\n\r\n'),
    coded("a long extension", b"5;" + b"a" * 20_000 + b"\r\nhello\r\n0\r\n\r\n"),
    coded("zeros before a size", b"0" * 3000 + b"5\r\nhello\r\n000\r\n\r\n"),
    *(
        coded(f"trailer: {name.decode()}", b"5\r\nhello\r\n0\r\nX-First: 1\r\n%s: 6\r\n\r\n" % name)
        for name in (b"X-Sum", b"Cookie", b"X-Forwarded-For", b"Authorization", b"Connection")
    ),
)

ATTACKS: Final = (*BOTH, *TE_TE, *CL, *CHUNKS)


@pytest.mark.parametrize("bytewise", [False, True])
async def test_nothing_is_smuggled(gateway: GatewayProcess, upstream_port: int, *, bytewise: bool) -> None:
    """Each attack ends as the table has it, and what reaches the upstream reads in one way alone."""
    async with Recorder(upstream_port) as recorder:
        assert await unexpected(gateway.port, recorder, ATTACKS, bytewise=bytewise) == {}


@pytest.mark.parametrize("start", [b"8000000000000000", b"ffffffffffffffff"])
async def test_a_chunk_without_an_end(gateway: GatewayProcess, upstream_port: int, start: bytes) -> None:
    """What stands in it is its data for ever, in chunks that count what there is."""
    async with Recorder(upstream_port) as recorder:
        with await Peer.connect(gateway.port) as client:
            await client.send(post(CHUNKED, start + b"\r\n" + SMUGGLED))
            got = await recorder.until_pending(b"POST /a HTTP/1.1\r\n")
            head, _, body = got.partition(b"\r\n\r\n")
            assert b"Transfer-Encoding: chunked" in head
            assert body in {b"", b"%x\r\n%s\r\n" % (len(SMUGGLED), SMUGGLED)}
        await recorder.until_nothing_is_pending()
        assert recorder.take() == []
