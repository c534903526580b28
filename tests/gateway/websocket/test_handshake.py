"""The opening handshake: what is let in downstream, and what is believed upstream."""

import asyncio
import base64
import random
import re
import time

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParser
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.utils import accept_key, generate_key

from gateway.headers import Field, Header
from gateway.websocket.handshake import (
    Answer,
    AnswerReader,
    Extensions,
    Nonsense,
    Ordinary,
    Switching,
    accept,
    extensions,
    message_head,
    mismatch,
    read_request,
    refusal,
    upgrading,
    wants_websocket,
)
from tests.gateway.websocket.wire import cut

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""Key and answer of RFC 6455 section 1.3."""

HTTP_1_1 = (1, 1)

REQUEST: list[Field] = [
    (b"Host", b"server.example.com"),
    (b"Upgrade", b"websocket"),
    (b"Connection", b"Upgrade"),
    (b"Sec-WebSocket-Key", KEY),
    (b"Sec-WebSocket-Version", b"13"),
]
"""RFC 6455's own example (section 1.2)."""

RESPONSE: list[Field] = [
    (b"Upgrade", b"websocket"),
    (b"Connection", b"Upgrade"),
    (b"Sec-WebSocket-Accept", ACCEPT),
]

SWITCHING = b"HTTP/1.1 101 Switching Protocols"
HEAD = message_head(SWITCHING, RESPONSE)


def but(fields: list[Field], name: bytes, *values: bytes) -> list[Field]:
    """`fields`, with `values` in place of the one that is called `name`."""
    kept = [field for field in fields if field[0].lower() != name.lower()]
    return kept + [(name, value) for value in values]


# Downstream: what is plainly an opening handshake.

LONGEST = 1 << 16

TOKEN_BYTES = b"!#$%&'*+-.^_`|~0123456789ABCXYZabcxyz"
names = st.lists(st.sampled_from(TOKEN_BYTES), min_size=1, max_size=8).map(bytes)
field_values = (
    st.lists(st.sampled_from(b"\t !:;=az\x80\xc3\xff"), max_size=12)
    .map(bytes)
    .map(lambda value: value.strip(b" \t"))
)
more_fields = st.lists(st.tuples(names.map(lambda name: b"X-" + name), field_values), max_size=6)
targets = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=20).map("/{}".format)


def head_of(target: str, fields: list[Field]) -> bytes:
    """The head of a request for `target`."""
    return message_head(b"GET %s HTTP/1.1" % target.encode(), fields)


@given(targets, more_fields, st.binary(max_size=20), st.randoms(use_true_random=False))
def test_a_plain_handshake_is_read(target: str, more: list[Field], rest: bytes, dice: random.Random) -> None:
    """Target, fields in their order and spelling, and what came behind them."""
    fields = REQUEST + more
    dice.shuffle(fields)
    found = read_request(head_of(target, fields) + rest, LONGEST)
    assert found is not None
    assert (found.target, list(found.fields), found.rest) == (target, fields, rest)


def test_only_what_is_whole_is_read() -> None:
    """Nor is what is longer than it may be."""
    head = head_of("/ws", REQUEST)
    assert read_request(head, len(head)) is not None
    assert read_request(head, len(head) - 1) is None
    assert all(read_request(head[:end], LONGEST) is None for end in range(len(head)))
    assert read_request(head, LONGEST, len(REQUEST)) is not None
    assert read_request(head, LONGEST, len(REQUEST) - 1) is None


@pytest.mark.parametrize(
    "head",
    [
        head_of("/ws", REQUEST).replace(b"GET", b"POST"),
        head_of("/ws", REQUEST).replace(b"GET ", b"GET  "),
        head_of("/ws", REQUEST).replace(b"HTTP/1.1", b"HTTP/1.0"),
        head_of("/ws", REQUEST).replace(b"/ws", b"/w\xc3\xa9"),
        head_of("*", REQUEST),
        head_of("http://server.example.com/ws", REQUEST),
        head_of("/ws", REQUEST).replace(b"\r\n", b"\n"),
        head_of("/ws", REQUEST).replace(b"\r\nUpgrade", b"\nUpgrade"),
        head_of("/ws", REQUEST).replace(b"\r\nUpgrade", b"\r\n Upgrade"),
        head_of("/ws", REQUEST).replace(b"Upgrade:", b"Upgrade :"),
        head_of("/ws", [*REQUEST, (b"X-Odd", b"a\0b")]),
        head_of("/ws", [*REQUEST, (b"X-Odd", b"a\rb")]),
        head_of("/ws", [*REQUEST, (b"X Odd", b"a")]),
        head_of("/ws", [*REQUEST, (b"Host", b"other.example")]),
        head_of("/ws", but(REQUEST, b"Host", b"server.example.com/x")),
        head_of("/ws", [*REQUEST, (b"Content-Length", b"0")]),
        head_of("/ws", [*REQUEST, (b"Transfer-Encoding", b"chunked")]),
        head_of("/ws", [*REQUEST, (b"User-Agent", b"a"), (b"user-agent", b"a")]),
        head_of("/ws", [*REQUEST, (b"Sec-WebSocket-Key1", b"a")]),
        head_of("/ws", but(REQUEST, b"Host")),
        head_of("/ws", but(REQUEST, b"Upgrade", b"h2c")),
        head_of("/ws", but(REQUEST, b"Connection", b"keep-alive")),
        b"\r\n" + head_of("/ws", REQUEST),
        b"GET /ws HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_not_plain_is_left_alone(head: bytes) -> None:
    """It may be a fault, an attack or another request: one reader of all of HTTP is to decide."""
    assert read_request(head, LONGEST) is None


LINES = head_of("/ws", REQUEST).split(b"\r\n")[1:-2]
ODD_LINES = [b"X:y", b"x-Y:\t z ", b": z", b"X", b" X: y", b"A:\x01", b"A:\xff", b"Upgrade: x", b"Host: b"]
ODD_LINES += [b"%s: a" % name for name in (b"User-Agent", b"Content-Type", b"Cookie", b"Sec-WebSocket-Key1")]
TARGETS = [b"/ws", b"/a?b#c", b"*", b"http://a/ws", b" /ws", b"/a b"]


@given(
    st.permutations(LINES),
    st.lists(st.sampled_from(ODD_LINES), max_size=2),
    st.sampled_from(TARGETS),
    st.sampled_from([b"\r\n", b"\n"]),
    st.integers(0, 7),
)
async def test_what_is_read_is_what_aiohttp_reads(
    lines: list[bytes], odd: list[bytes], target: bytes, ending: bytes, at: int
) -> None:
    """Two readers that disagree are what smugglers live on."""
    head = ending.join([b"GET %s HTTP/1.1" % target, *lines[:at], *odd, *lines[at:], b"", b""])
    found = read_request(head, LONGEST)
    if found is not None:
        loop = asyncio.get_running_loop()
        parser = HttpRequestParser(BaseProtocol(loop), loop, 1 << 16)
        ((message, _),), upgraded, tail = parser.feed_data(head)
        assert (message.path, message.raw_headers) == (found.target, tuple(found.fields))
        assert (upgraded, tail, found.rest) == (True, b"", b"")


# Downstream: whoever has read it.


@pytest.mark.parametrize(
    ("connection", "upgrade", "wanted"),
    [
        ([b"Upgrade"], [b"websocket"], True),
        ([b"upgrade"], [b"WebSocket"], True),
        ([b"keep-alive, Upgrade"], [b"websocket"], True),
        ([b"keep-alive", b"x ,\tUPGRADE"], [b"h2c, websocket"], True),
        ([b"keep-alive"], [b"websocket"], False),
        ([], [b"websocket"], False),
        ([b"Upgrade"], [], False),
        ([b"Upgrade, HTTP2-Settings"], [b"h2c"], False),
        ([b"Upgraded"], [b"websocket"], False),
        ([b"Upgrade"], [b"websocket2"], False),
        ([b"Upgrade"], [b"websocket/13"], False),
    ],
)
def test_who_wants_a_websocket(connection: list[bytes], upgrade: list[bytes], wanted: bool) -> None:
    """Both lists must say so, in any letters and at any place; anything else is a plain request."""
    fields = [(b"CONNECTION", value) for value in connection] + [(b"upgrade", value) for value in upgrade]
    assert wants_websocket(fields) is wanted


def test_a_sound_handshake() -> None:
    """RFC 6455's example, and one with all that a browser adds, are let in."""
    assert refusal("GET", HTTP_1_1, REQUEST) is None
    more = [
        (b"Origin", b"http://example.com"),
        (b"Sec-WebSocket-Protocol", b"chat, superchat"),
        (b"Sec-WebSocket-Extensions", b"permessage-deflate; client_max_window_bits"),
        (b"Content-Length", b"0"),
    ]
    assert refusal("GET", HTTP_1_1, [*REQUEST, *more]) is None


@pytest.mark.parametrize(
    ("method", "version", "status", "word"),
    [
        ("POST", (1, 1), 400, "GET"),
        ("HEAD", (1, 1), 400, "GET"),
        ("CONNECT", (1, 1), 400, "GET"),
        ("get", (1, 1), 400, "GET"),
        ("GET", (1, 0), 400, "HTTP/1.1"),
        ("GET", (2, 0), 400, "HTTP/1.1"),
    ],
)
def test_method_and_version_of_http(method: str, version: tuple[int, int], status: int, word: str) -> None:
    """A handshake is a GET, in HTTP/1.1."""
    refused = refusal(method, version, REQUEST)
    assert refused is not None
    assert (refused.status, refused.fields) == (status, ())
    assert word in refused.reason


@pytest.mark.parametrize(
    "upgrades", [[b"h2c, websocket"], [b"websocket, h2c"], [b"websocket", b"websocket"], []]
)
def test_a_choice_of_protocols(upgrades: list[bytes]) -> None:
    """Where there is one, who reads on may make another one."""
    refused = refusal("GET", HTTP_1_1, but(REQUEST, b"Upgrade", *upgrades))
    assert refused is not None
    assert (refused.status, refused.fields) == (400, ())
    assert "Upgrade: websocket" in refused.reason


@pytest.mark.parametrize(
    "versions", [[], [b"12"], [b"8"], [b"013"], [b"13, 8"], [b"13", b"13"], [b"13", b"8"], [b""]]
)
def test_version_of_websocket(versions: list[bytes]) -> None:
    """Anything but one 13 is answered with 426 and the version that is spoken (section 4.4)."""
    refused = refusal("GET", HTTP_1_1, but(REQUEST, b"Sec-WebSocket-Version", *versions))
    assert refused is not None
    assert (refused.status, refused.fields) == (426, (("Sec-WebSocket-Version", "13"),))
    assert "13" in refused.reason


@pytest.mark.parametrize(
    "keys",
    [
        [],
        [b""],
        [KEY, KEY],
        [KEY + b", " + KEY],
        [KEY[:-1]],
        [KEY[:-2]],
        [KEY + b"="],
        [KEY[:-4]],
        [b"A" + KEY],
        [b" " + KEY],
        [KEY.replace(b"0", b" ")[:12] + b" " + KEY[12:]],
        [base64.b64encode(bytes(15))],
        [base64.b64encode(bytes(17))],
        [base64.urlsafe_b64encode(b"\xff" * 16)],
        ["dGhlIHNhbXBsZSBub25jZé==".encode()],
        [b"=" * 24],
        [b"\xff" * 24],
        [b"sixteen bytes !!"],
    ],
)
def test_keys_that_are_none(keys: list[bytes]) -> None:
    """A key is 16 bytes in base64, once."""
    refused = refusal("GET", HTTP_1_1, but(REQUEST, b"Sec-WebSocket-Key", *keys))
    assert refused is not None
    assert (refused.status, refused.fields) == (400, ())
    assert "Sec-WebSocket-Key" in refused.reason


@given(st.binary(min_size=16, max_size=16))
def test_every_true_key_is_let_in_and_answered(nonce: bytes) -> None:
    """Any 16 bytes make a key, and its answer is the one that the websockets library gives."""
    key = base64.b64encode(nonce)
    assert refusal("GET", HTTP_1_1, but(REQUEST, b"Sec-WebSocket-Key", key)) is None
    assert accept(key).decode() == accept_key(key.decode())


@given(st.binary(max_size=40))
def test_any_bytes_may_stand_for_a_key(key: bytes) -> None:
    """Whatever it is, it is let in or refused."""
    refused = refusal("GET", HTTP_1_1, but(REQUEST, b"Sec-WebSocket-Key", key))
    assert refused is None or refused.status == 400


@pytest.mark.parametrize(
    "field",
    [
        (b"Content-Length", b"1"),
        (b"content-length", b"00"),
        (b"Content-Length", b"0, 0"),
        (b"Content-Length", b""),
        (b"Transfer-Encoding", b"chunked"),
        (b"transfer-encoding", b""),
    ],
)
def test_a_handshake_has_no_body(field: Field) -> None:
    """What announces one is refused: its bytes would be taken for frames."""
    refused = refusal("GET", HTTP_1_1, [*REQUEST, field])
    assert refused is not None
    assert refused.status == 400
    assert "body" in refused.reason


def test_the_answer_of_the_rfc() -> None:
    """Section 1.3 computes one."""
    assert accept(KEY) == ACCEPT
    assert accept(generate_key().encode()) != ACCEPT


# Upstream: what is written.


def test_the_head_that_is_written() -> None:
    """Start line, fields as they are, the upgrade, an empty line."""
    fields = upgrading([(b"Host", b"up:9090"), (b"X-Odd", b"\xe9 , ")])
    assert message_head(b"GET /ws HTTP/1.1", fields) == (
        b"GET /ws HTTP/1.1\r\nHost: up:9090\r\nX-Odd: \xe9 , \r\n"
        b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    )
    assert wants_websocket(fields)


# Upstream: what is believed.


def switching(fields: list[Field]) -> Switching:
    """A 101 with `fields`."""
    return Switching(status_line=SWITCHING, fields=Header(fields), rest=b"")


@pytest.mark.parametrize(
    "fields",
    [
        RESPONSE,
        but(RESPONSE, b"UPGRADE", b"WebSocket"),
        but(RESPONSE, b"connection", b"keep-alive, upgrade"),
        but(RESPONSE, b"Connection", b"keep-alive", b"Upgrade"),
        [
            *RESPONSE,
            (b"Sec-WebSocket-Protocol", b"chat"),
            (b"Sec-WebSocket-Extensions", b"permessage-deflate"),
        ],
    ],
)
def test_a_true_101(fields: list[Field]) -> None:
    """Upgrade, Connection and the answer to the key are there, once; all else is between the two ends."""
    assert mismatch(switching(fields), KEY) is None


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ([], "Upgrade: websocket"),
        (but(RESPONSE, b"Upgrade"), "Upgrade: websocket"),
        (but(RESPONSE, b"Upgrade", b"h2c"), "Upgrade: websocket"),
        (but(RESPONSE, b"Upgrade", b"websocket, h2c"), "Upgrade: websocket"),
        (but(RESPONSE, b"Upgrade", b"websocket", b"websocket"), "Upgrade: websocket"),
        (but(RESPONSE, b"Connection"), "Connection: Upgrade"),
        (but(RESPONSE, b"Connection", b"close"), "Connection: Upgrade"),
        (but(RESPONSE, b"Sec-WebSocket-Accept"), "Sec-WebSocket-Accept"),
        (but(RESPONSE, b"Sec-WebSocket-Accept", b""), "Sec-WebSocket-Accept"),
        (but(RESPONSE, b"Sec-WebSocket-Accept", KEY), "Sec-WebSocket-Accept"),
        (but(RESPONSE, b"Sec-WebSocket-Accept", ACCEPT.lower()), "Sec-WebSocket-Accept"),
        (but(RESPONSE, b"Sec-WebSocket-Accept", ACCEPT, ACCEPT), "Sec-WebSocket-Accept"),
        (but(RESPONSE, b"Sec-WebSocket-Accept", ACCEPT[:-1]), "Sec-WebSocket-Accept"),
        ([*RESPONSE, (b"Content-Length", b"0")], "body"),
        ([*RESPONSE, (b"Transfer-Encoding", b"chunked")], "body"),
    ],
)
def test_a_false_101(fields: list[Field], word: str) -> None:
    """What does not answer this very handshake is no upgrade, and the reason says why."""
    reason = mismatch(switching(fields), KEY)
    assert reason is not None
    assert word in reason


def test_a_101_to_a_handshake_without_a_key() -> None:
    """Where Connection named the key, the upstream never got it, and cannot have answered the client's."""
    assert mismatch(switching(RESPONSE), b"") is not None


@pytest.mark.parametrize(
    ("values", "deflate", "client", "upstream", "rsv"),
    [
        ([], False, False, False, 0),
        ([b"permessage-deflate"], True, True, True, 0),
        ([b"PerMessage-Deflate ; Server_No_Context_Takeover"], True, True, False, 0),
        ([b"permessage-deflate;client_no_context_takeover"], True, False, True, 0),
        (
            [b"permessage-deflate; server_no_context_takeover; client_no_context_takeover"],
            True,
            False,
            False,
            0,
        ),
        ([b'permessage-deflate; client_max_window_bits="12"'], True, True, True, 0),
        ([b"x-counter"], False, False, False, 0x70),
        ([b"x-webkit-deflate-frame"], False, False, False, 0x70),
        ([b"permessage-deflate, x-counter; a=b"], True, True, True, 0x70),
        ([b"x-counter", b"permessage-deflate"], True, True, True, 0x70),
        ([b""], False, False, False, 0),
    ],
)
def test_what_was_agreed(
    *, values: list[bytes], deflate: bool, client: bool, upstream: bool, rsv: int
) -> None:
    """The extensions of the answer, in all fields that name them, as a reader of frames needs them."""
    fields = [(b"Sec-WebSocket-Extensions", value) for value in values]
    assert extensions(fields) == Extensions(
        deflate=deflate, client_takeover=client, upstream_takeover=upstream, rsv_known=rsv
    )


# Upstream: what is read.


def read(pieces: list[bytes]) -> tuple[Answer | None, bytes]:
    """Give the answer in `pieces`, and what the reader was not shown any more."""
    reader = AnswerReader()
    for place, piece in enumerate(pieces):
        answer = reader.receive_data(piece)
        if answer is not None:
            return answer, b"".join(pieces[place + 1 :])
    return None, b""


def whole(answer: Answer | None, unread: bytes) -> tuple[object, ...]:
    """Give what does not depend on the pieces: what is left unread belongs behind what was read."""
    match answer:
        case Switching():
            return "101", answer.status_line, answer.fields, answer.rest + unread
        case Ordinary():
            return "ordinary", answer.data + unread
        case Nonsense():
            return "nonsense", answer.reason
        case None:
            return ("more",)


def test_a_101_of_many_fields() -> None:
    """As many as may be are read; one more is nonsense, and told; those of each head count by themselves."""
    fields = [(b"X-%d" % number, b"x") for number in range(9)]
    early = message_head(b"HTTP/1.1 103 Early Hints", fields)
    answer = early + message_head(b"HTTP/1.1 101 Switching Protocols", fields)
    assert isinstance(AnswerReader(most_fields=9).receive_data(answer), Switching)
    told = AnswerReader(most_fields=8).receive_data(answer)
    assert told == Nonsense(reason="its 103 has more than 8 header fields")
    told = AnswerReader(most_fields=8).receive_data(answer[len(early) :])
    assert told == Nonsense(reason="its 101 has more than 8 header fields")


def everywhere(data: bytes) -> tuple[object, ...]:
    """Read `data` whole and byte by byte, which must be the same."""
    result = whole(*read([data]))
    assert whole(*read([data[place : place + 1] for place in range(len(data))])) == result
    return result


@pytest.mark.parametrize("glued", [b"", b"\x81\x05Hello", b"\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
@pytest.mark.parametrize(
    "before",
    [
        b"",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n",
        b"HTTP/1.1 102\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n",
    ],
)
def test_a_101_and_what_is_glued_to_it(before: bytes, glued: bytes) -> None:
    """The head is read field by field; interim responses before it are dropped, what is behind it is kept."""
    assert everywhere(before + HEAD + glued) == ("101", SWITCHING, tuple(RESPONSE), glued)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b"A:b", b"b"),
        (b"A:  b\t ", b"b"),
        (b"A:", b""),
        (b"A: b:c", b"b:c"),
        (b"A: caf\xc3\xa9 \xff", b"caf\xc3\xa9 \xff"),
        (b"A: b\tc", b"b\tc"),
    ],
)
def test_a_field_of_a_101(line: bytes, value: bytes) -> None:
    """Its value is what stands between the blanks; bytes above ASCII are left as they are."""
    assert everywhere(SWITCHING + b"\r\n" + line + b"\r\n\r\n") == ("101", SWITCHING, ((b"A", value),), b"")


@pytest.mark.parametrize("line", [b"HTTP/1.1 101", b"HTTP/1.1 101 ", b"HTTP/1.1 101 \xe9t\xe9 \t!"])
def test_status_lines(line: bytes) -> None:
    """The reason may be missing, empty or in any language."""
    assert everywhere(line + b"\r\n\r\n") == ("101", line, (), b"")


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 426 Upgrade Required\r\n",
        b"HTTP/1.1 ",
        b"HTTP/1.0 101 Switching Protocols\r\n\r\n",
        b"HTTP/2 101\r\n\r\n",
        b"http/1.1 101 Switching Protocols\r\n\r\n",
        b" HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"\r\nHTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\x00\x02\x02P",
        b"\x00",
    ],
)
def test_other_answers_are_not_touched(data: bytes) -> None:
    """Whatever does not begin as a 1xx is somebody else's to read, from its first byte on."""
    expected = ("more",) if data == b"HTTP/1.1 " else ("ordinary", data)
    assert everywhere(data) == expected
    assert everywhere(b"HTTP/1.1 103 Early Hints\r\n\r\n" + data) == expected


def test_an_answer_is_known_by_its_first_bytes() -> None:
    """Nothing but a 1xx is held back."""
    reader = AnswerReader()
    assert reader.receive_data(b"HTTP/1.1") is None
    assert reader.receive_data(b" 4") == Ordinary(data=b"HTTP/1.1 4")


@pytest.mark.parametrize(
    ("head", "word"),
    [
        (SWITCHING + b"\r\nUpgrade: websocket\r\n and: more\r\n\r\n", "not a token"),
        (SWITCHING + b"\r\nUpgrade: web\r\n\tsocket\r\n\r\n", "header line 2 of its 101 has no colon"),
        (SWITCHING + b"\r\nUpgrade : websocket\r\n\r\n", "not a token"),
        (SWITCHING + b"\r\nUpgrade\r\n\r\n", "header line 1 of its 101 has no colon"),
        (SWITCHING + b"\r\n: websocket\r\n\r\n", "not a token"),
        (SWITCHING + b"\r\nA: b\x00c\r\n\r\n", "control character"),
        (SWITCHING + b"\r\nA: b\rC: d\r\n\r\n", "control character"),
        (SWITCHING + b"\r\nA: b\nC: d\r\n\r\n", "control character"),
        (SWITCHING + b"\r\nA: b\x7f\r\n\r\n", "control character"),
        (SWITCHING + b"\r\nA: b\x0c\r\n\r\n", "control character"),
        (SWITCHING + b"\r\nA\x00: b\r\n\r\n", "not a token"),
        (SWITCHING + b"\r\n\xc3\xa9: b\r\n\r\n", "not a token"),
        (SWITCHING + b"\nA: b\n\n", "CR LF"),
        (SWITCHING + b"\n\r\n", "CR LF"),
        (SWITCHING + b"\r\nA: b\n\r\n", "CR LF"),
        (SWITCHING + b"\r\nA: b\r\n\n", "CR LF"),
        (b"HTTP/1.1 103 Early Hints\n\n", "CR LF"),
        (
            b"HTTP/1.1 103 Early Hints\r\nA\r\n\r\n" + SWITCHING + b"\r\n\r\n",
            "header line 1 of its 103 has no colon",
        ),
        (b"HTTP/1.1 100\r\nA: b\nC: d\r\n\r\n" + SWITCHING + b"\r\n\r\n", "its 100 cannot be passed on"),
        (b"HTTP/1.1 101 Switching\x00\r\n\r\n", "begins with"),
        (b"HTTP/1.1 101 Switching\nA: b\r\n\r\n", "begins with"),
        (b"HTTP/1.1 1010 Odd\r\n\r\n", "begins with"),
        (b"HTTP/1.1 1\r\n\r\n", "begins with"),
        (b"HTTP/1.1 1x1\r\n\r\n", "begins with"),
        (b"HTTP/1.1 101Odd\r\n\r\n", "begins with"),
        (b"HTTP/1.1 1\xd9\xa0\xd9\xa1 Odd\r\n\r\n", "begins with"),  # digits, but Arabic ones
    ],
)
def test_heads_that_are_none(head: bytes, word: str) -> None:
    """Folded lines, bare LF, NUL and the like are refused with a reason that can be shown."""
    kind, reason = everywhere(head + b"\x81\x00")
    assert kind == "nonsense"
    assert word in str(reason)
    assert str(reason).isprintable()


def test_an_endless_head() -> None:
    """64 KiB are enough, whether they come as one line, as many, or as interim responses; and at any pace."""
    endless = [SWITCHING + b"x" * 100_000, SWITCHING + b"\r\nA: b" * 20_000, b"HTTP/1.1 100 \r\n\r\n" * 5000]
    for data in endless:
        for pieces in ([data], cut(data, list(range(0, len(data), 1000)))):
            answer, _ = read(pieces)
            assert answer == Nonsense(reason="the head of its answer is longer than 64 KiB")
        assert read([data[: 64 * 1024 - 1]]) == (None, b"")
    started = time.perf_counter()
    everywhere(endless[0])
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize("size", [64 * 1024, 64 * 1024 + 1])
def test_the_longest_head(size: int) -> None:
    """The bound holds for a head that has come whole as it does for one that is on its way."""
    frame = len(SWITCHING + b"\r\nA: \r\n\r\n")
    data = SWITCHING + b"\r\nA: " + b"x" * (size - frame) + b"\r\n\r\n" + b"glued"
    assert len(data) == size + 5
    kinds = {whole(*read(cut(data, places)))[0] for places in ([], [100], [size - 3], [size - 1, size])}
    assert kinds == {"101" if size == 64 * 1024 else "nonsense"}


def test_interim_responses_up_to_the_bound() -> None:
    """What begins where the bound lies is read by its first bytes, in any pieces."""
    before = b"HTTP/1.1 103\r\nA: ".ljust(64 * 1024 - 4, b"x") + b"\r\n\r\n"
    assert len(before) == 64 * 1024
    assert whole(*read([before + b"HTTP/1.1 200 OK"])) == ("ordinary", b"HTTP/1.1 200 OK")
    assert whole(*read([before, b"HTTP/1.1 2", b"00 OK"])) == ("ordinary", b"HTTP/1.1 200 OK")
    assert whole(*read([before, b"HTTP/1.1 1"]))[0] == "nonsense"


heads = st.lists(
    st.one_of(
        st.sampled_from(
            [
                b"HTTP/1.1 101 Switching Protocols",
                b"HTTP/1.1 100 Continue",
                b"HTTP/1.1 200 OK",
                b"HTTP/1.1 1",
                b"\r\n",
                b"\r\n\r\n",
                b"\n",
                b"\r",
                b"A: b",
                b": ",
                b" ",
                HEAD,
            ]
        ),
        st.binary(max_size=6),
    ),
    max_size=8,
).map(b"".join)


@given(heads, st.lists(st.integers(0, 300), max_size=6))
@example(b"HTTP/1.1 101 X\r\n\r\n", [15, 16, 17])
@example(b"HTTP/1.1 100 X\r\n\r\nHTTP/1.1 101\r\nA: b\n\r\n", [18, 38])
def test_any_split_gives_the_same(data: bytes, where: list[int]) -> None:
    """Whatever an upstream sends, however it arrives, it is the same answer with the same bytes behind it."""
    assert whole(*read(cut(data, where))) == everywhere(data)


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_some_answer(data: bytes, as_head: bool) -> None:
    """Nothing that an upstream sends raises, and every reason can be shown."""
    answer, _ = read([(b"HTTP/1.1 101" if as_head else b"") + data + b"\r\n\r\n"])
    if isinstance(answer, Nonsense):
        answer.reason.encode()
        assert re.fullmatch(r"[^\x00-\x1f\x7f]+", answer.reason)
