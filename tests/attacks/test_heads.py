"""Heads of requests that two readers may read in two ways: lines, targets, hosts, hop-by-hop fields."""

from typing import Final

import pytest

from tests.attacks.attacks import SMUGGLED, Attack, passed_on, unexpected
from tests.attacks.recorder import Recorder
from tests.gateways import GatewayProcess
from tests.servers import Peer

HOST: Final = b"Host: gw\r\n"


def get(line: bytes = b"GET /a HTTP/1.1", fields: bytes = HOST) -> bytes:
    """A request without a body."""
    return line + b"\r\n" + fields + b"\r\n"


def refused(name: str, sent: bytes, status: int = 400) -> Attack:
    """An attack that is refused, with nothing of it sent on."""
    return Attack(name=name, sent=sent, statuses=(status,))


def harmless(name: str, sent: bytes, reached: bytes, *, kept: bool = True) -> Attack:
    """Something odd that can be understood in one way alone, and is sent on in that way."""
    return Attack(name=name, sent=sent, statuses=(200,), reached=(reached,), kept=kept)


LINES: Final = {
    "bare LF behind the request line": b"GET /a HTTP/1.1\n" + HOST + b"\r\n",
    "bare LF behind a field": b"GET /a HTTP/1.1\r\nHost: gw\n\r\n",
    "bare LF everywhere": b"GET /a HTTP/1.1\nHost: gw\n\n",
    "bare LF at the end": b"GET /a HTTP/1.1\r\nHost: gw\r\n\n",
    "bare LF in a value": get(fields=HOST + b"X: a\nY: b\r\n"),
    "bare LF at the end of a value": get(fields=HOST + b"X: a\n\r\n"),
    "bare CR in a value": get(fields=HOST + b"X: a\rY: b\r\n"),
    "bare CR between fields": b"GET /a HTTP/1.1\r\nHost: gw\rX: y\r\n\r\n",
    "bare CR everywhere": b"GET /a HTTP/1.1\rHost: gw\r\r",
    "CR CR LF": b"GET /a HTTP/1.1\r\r\n" + HOST + b"\r\n",
    "folded": get(fields=HOST + b"X: a\r\n b\r\n"),
    "folded by a tab": get(fields=HOST + b"X: a\r\n\tb\r\n"),
    "folded Host": get(fields=b"Host:\r\n gw\r\n"),
    "folded first field": get(fields=b" X: y\r\n" + HOST),
    "NUL in a value": get(fields=HOST + b"X: a\x00b\r\n"),
    "NUL in a name": get(fields=HOST + b"X\x00: a\r\n"),
    "escape in a value": get(fields=HOST + b"X: \x1b[31m\r\n"),
    "DEL in a value": get(fields=HOST + b"X: a\x7f\r\n"),
    "space in a name": get(fields=HOST + b"X Y: a\r\n"),
    "tab in a name": get(fields=HOST + b"X\tY: a\r\n"),
    "space behind a name": get(fields=HOST + b"X : a\r\n"),
    "space before a name": get(fields=HOST + b" X: a\r\n"),
    "no colon": get(fields=HOST + b"X\r\n"),
    "a request for a field": get(fields=HOST + b"GET /smuggled HTTP/1.1\r\n"),
    "no name": get(fields=HOST + b": a\r\n"),
    "a name that is no token": get(fields=HOST + b"X(): a\r\n"),
    "a name that is not ASCII": get(fields=HOST + "X\N{LATIN SMALL LETTER U WITH DIAERESIS}: a\r\n".encode()),
    "a space before it all": b" " + get(),
    "a NUL before it all": b"\x00" + get(),
}

VERSIONS: Final = {
    "HTTP/0.9": b"GET /a",
    "HTTP/0.9 by name": b"GET /a HTTP/0.9",
    "HTTP/1.2": b"GET /a HTTP/1.2",
    "HTTP/1.10": b"GET /a HTTP/1.10",
    "HTTP/01.1": b"GET /a HTTP/01.1",
    "HTTP/2.0": b"GET /a HTTP/2.0",
    "HTTP/3": b"GET /a HTTP/3",
    "small letters": b"GET /a http/1.1",
    "HTTPS": b"GET /a HTTPS/1.1",
    "another protocol": b"GET /a ICY/1.1",
    "SIP": b"OPTIONS /a SIP/2.0",
    "a tab": b"GET\t/a\tHTTP/1.1",
    "a vertical tab": b"GET /a\x0bHTTP/1.1",
    "a space behind it": b"GET /a HTTP/1.1 ",
    "two targets": b"GET /a /smuggled HTTP/1.1",
    "a request in a target": b"GET /a HTTP/1.1 GET /smuggled HTTP/1.1",
    "no method": b"/a HTTP/1.1",
    "a method in small letters": b"get /a HTTP/1.1",
    "a method that is no token": b"G{T /a HTTP/1.1",
    "a method that nobody knows": b"FROBNICATE /a HTTP/1.1",
    "a method without an end": b"A" * 900 + b" /a HTTP/1.1",
}

TARGETS: Final = {
    "no slash": b"a",
    "asterisk": b"*",
    "only a query": b"?a",
    "only a fragment": b"#a",
    "authority": b"gw:80",
    "an authority after @": b"@internal/a",
    "ftp": b"ftp://gw/a",
    "file": b"file:///etc/passwd",
    "no host": b"http:///a",
    "no slashes": b"http:/a",
    "backslashes": b"http:\\\\gw\\a",
    "userinfo": b"http://user:secret@gw/a",
    "a host for a port": b"http://gw:80@internal/a",
    "a space in the host": b"http://g%20w /a",
    "a control character": b"/a\x01b",
    "DEL": b"/a\x7fb",
    "NUL": b"/a\x00b",
    "a percent sign that encodes nothing": b"/a%zz",
    "a percent sign at the end": b"/a%",
}

HOSTS: Final = {
    "none": b"",
    "two": b"Host: gw\r\nHost: internal\r\n",
    "two alike": b"Host: gw\r\nhost: gw\r\n",
    "a path": b"Host: gw/../internal\r\n",
    "userinfo": b"Host: gw@internal\r\n",
    "a list": b"Host: gw, internal\r\n",
    "a space": b"Host: gw internal\r\n",
    "a tab": b"Host: gw\tinternal\r\n",
    "a backslash": b"Host: gw\\internal\r\n",
    "a query": b"Host: gw?internal\r\n",
    "a fragment": b"Host: gw#internal\r\n",
    "markup": b"Host: <gw>\r\n",
    "quotes": b'Host: "gw"\r\n',
    "UTF-8": "Host: g\N{LATIN SMALL LETTER U WITH DIAERESIS}\r\n".encode(),
    "Latin-1": b"Host: g\xfc\r\n",
    "a control character": b"Host: gw\x01\r\n",
    "a space before the colon": b"Host : gw\r\n",
}

GET_A: Final = passed_on(b"GET /a HTTP/1.1")

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)

REFUSED: Final = (
    *(refused(f"line: {name}", sent) for name, sent in LINES.items()),
    *(refused(f"request line: {name}", get(line)) for name, line in VERSIONS.items()),
    *(refused(f"target: {name}", get(b"GET %s HTTP/1.1" % target)) for name, target in TARGETS.items()),
    *(refused(f"host: {name}", get(fields=hosts)) for name, hosts in HOSTS.items()),
    refused("the preface of HTTP/2", PREFACE),
    refused("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50)),
    Attack(
        name="RTSP, which is read as HTTP/1.0",
        sent=get(b"DESCRIBE /a RTSP/1.0"),
        statuses=(400,),
        sound=(passed_on(b"DESCRIBE /a HTTP/1.1", framing=b"Content-Length: 0\r\n"),),
    ),
    refused("OPTIONS *", get(b"OPTIONS * HTTP/1.1")),
    refused("CONNECT", get(b"CONNECT internal:22 HTTP/1.1") + SMUGGLED),
    refused("CONNECT with a path", get(b"CONNECT /a HTTP/1.1") + SMUGGLED),
    refused("absolute-form without a Host", get(b"GET http://gw/a HTTP/1.1", b"")),
    Attack(
        name="close, and more behind it",
        sent=get(fields=HOST + b"Connection: close\r\n") + SMUGGLED,
        statuses=(400,),
        sound=(passed_on(b"GET /a HTTP/1.1", framing=b"Connection: close\r\n"),),
    ),
)

LENIENT: Final = (
    harmless("empty lines before it", b"\r\n\r\n" + get(), GET_A),
    harmless("two spaces in the request line", get(b"GET  /a  HTTP/1.1"), GET_A),
    harmless("no Host, but its field", get(fields=b"Host:\r\n"), passed_on(b"GET /a HTTP/1.1", host=b"")),
    harmless(
        "absolute-form, for another host than Host",
        get(b"GET http://internal/a HTTP/1.1"),
        passed_on(b"GET /a HTTP/1.1", host=b"internal"),
    ),
    harmless("absolute-form by https", get(b"GET HTTPS://gw/a HTTP/1.1"), GET_A),
    harmless("a fragment", get(b"GET /a#b?c HTTP/1.1"), passed_on(b"GET /a%23b?c HTTP/1.1")),
    harmless("a second question mark", get(b"GET /a?b?c#d HTTP/1.1"), passed_on(b"GET /a?b?c%23d HTTP/1.1")),
    harmless("TRACE", get(b"TRACE /a HTTP/1.1"), passed_on(b"TRACE /a HTTP/1.1")),
    harmless(
        "HTTP/1.0 kept alive",
        get(b"GET /a HTTP/1.0", b"Connection: keep-alive\r\n"),
        passed_on(b"GET /a HTTP/1.1", host=b""),
    ),
)


def with_body(name: str, fields: bytes, reached: bytes, *, coded: bool = False) -> Attack:
    """A POST whose Connection names what it should not; `reached` is what is left of its fields."""
    body = b"5\r\nhello\r\n0\r\n\r\n" if coded else b"hello"
    framing = b"Transfer-Encoding: chunked\r\n" if coded else b""
    return harmless(
        name,
        b"POST /a HTTP/1.1\r\nHost: gw\r\n%sContent-Length: 5\r\n\r\nhello" % fields,
        passed_on(b"POST /a HTTP/1.1", reached, body, framing=framing),
    )


LENGTH: Final = b"Content-Length: 5\r\n"

HOP_BY_HOP: Final = (
    with_body(
        "Connection names the end of the body",
        b"Connection: content-length, transfer-encoding\r\n",
        b"",
        coded=True,
    ),
    with_body(
        "Connection names what the gateway writes",
        b"Connection: host, x-forwarded-for, x-forwarded-host, x-forwarded-proto, cookie\r\nCookie: a=1\r\n"
        b"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Host: bank\r\nX-Forwarded-Proto: https\r\n",
        LENGTH,
    ),
    with_body("Connection names itself", b"Connection: connection, keep-alive\r\nKeep-Alive: 5\r\n", LENGTH),
    with_body("two Connections", b"Connection: x-a\r\nX-A: 1\r\nX-B: 2\r\nConnection: X-B\r\n", LENGTH),
    with_body(
        "what the gateway writes, in other spellings",
        b"X_Forwarded_For: 6.6.6.6\r\nx_forwarded-Proto: https\r\nX-Forwarded-Host: bank\r\n",
        LENGTH,
    ),
    with_body("proxy fields", b"Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic eA==\r\n", LENGTH),
    *(
        harmless(
            f"an upgrade to {protocol.decode()}",
            get(
                fields=HOST
                + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: %s\r\n" % protocol
                + b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
            )
            + PREFACE,
            GET_A,
            kept=False,
        )
        for protocol in (b"h2c", b"TLS/1.0", b"tcp", b"websocketx")
    ),
)

EXPECTATIONS: Final = (
    Attack(
        name="100-continue and a body that does not wait",
        sent=b"POST /a HTTP/1.1\r\nHost: gw\r\nExpect: 100-CONTINUE\r\nContent-Length: 5\r\n\r\nhello",
        statuses=(100, 200),
        reached=(passed_on(b"POST /a HTTP/1.1", LENGTH, b"hello"),),
        kept=True,
    ),
    harmless("100-continue without a body", get(fields=HOST + b"Expect: 100-continue\r\n"), GET_A),
    *(
        refused(
            f"Expect: {expectation}",
            b"POST /a HTTP/1.1\r\nHost: gw\r\nExpect: %s\r\nContent-Length: %d\r\n\r\n"
            % (expectation.encode(), len(SMUGGLED))
            + SMUGGLED,
            417,
        )
        for expectation in ("x", "y 100-continue", "100-continue, x", "100-continue\r\nExpect: 100-continue")
    ),
    refused(
        "100-continue for a target that is none",
        b"POST /%zz HTTP/1.1\r\nHost: gw\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n" + SMUGGLED,
    ),
    refused(
        "100-continue for a path that is not clean",
        b"POST //a HTTP/1.1\r\nHost: gw\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(SMUGGLED)
        + SMUGGLED,
        307,
    ),
)

ATTACKS: Final = (*REFUSED, *LENIENT, *HOP_BY_HOP, *EXPECTATIONS)


@pytest.mark.parametrize("bytewise", [False, True])
async def test_every_head_is_read_in_one_way(
    gateway: GatewayProcess, upstream_port: int, *, bytewise: bool
) -> None:
    """Each attack ends as the table has it, and what reaches the upstream reads in one way alone."""
    async with Recorder(upstream_port) as recorder:
        assert await unexpected(gateway.port, recorder, ATTACKS, bytewise=bytewise) == {}


async def test_half_a_request_is_none(gateway: GatewayProcess, upstream_port: int) -> None:
    """A client that leaves inside of a head has asked for nothing."""
    async with Recorder(upstream_port) as recorder:
        for end in range(1, len(get())):
            with await Peer.connect(gateway.port) as client:
                await client.send(get()[:end])
                client.end()
                await client.read_to_end()
        assert recorder.take() == []
