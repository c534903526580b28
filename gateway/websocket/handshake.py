"""The opening handshake (RFC 6455 section 4), on both legs.  Pure.

Strategy
    Downstream, `read_request` takes the requests that are plainly opening handshakes, which is nearly all
    of them; any other request is left, from its first byte on, to somebody who reads requests of all
    kinds.  Whoever has read it, `refusal` says what is wrong with it.  Upstream,
    the request is written by `message_head`, and `AnswerReader` is fed with what comes back until it
    knows what that is: a 101 whose head it has read itself, strictly, or any other answer, which it
    leaves untouched, from its first byte on, to somebody who reads ordinary responses.

Rules
    * Strict on both legs: a gateway that believes in an upgrade which one side does not believe in
      would carry requests that nobody checked ("WebSocket smuggling").
    * What follows the head of a 101 belongs to the tunnel, and is kept.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Final

from gateway.headers import Field, Fields, Header, is_host, members, readable, unsendable, values
from gateway.limits import HEADER_FIELDS

VERSION: Final = b"13"
"""The only version of the protocol there is (section 4.1)."""

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY_BYTES: Final = 16
_LONGEST_HEAD: Final = 64 * 1024
"""Bytes that the head of an upstream's answer may have, interim responses before it included."""

_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")

_STATUS_LINE: Final = re.compile(rb"HTTP/1\.1 (1[0-9]{2})(?: [^\x00-\x08\x0a-\x1f\x7f]*)?")
_INTERIM: Final = b"HTTP/1.1 1"
_SWITCHING: Final = 101


_REQUEST_LINE: Final = re.compile(rb"GET (/[!-~]*) HTTP/1\.1\r\n")
_FIELD_LINE: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\x00-\x08\x0a-\x1f\x7f]*"
_FIELD_LINES: Final = re.compile(_FIELD_LINE + rb"(?:\r\n" + _FIELD_LINE + rb")*")
"""Field lines as they should be (RFC 9112 section 5): no fold, no bare CR or LF, no control character."""


_ODD: Final = frozenset({b"content-length", b"transfer-encoding", b"sec-websocket-key1"})
"""Fields that no plain handshake has: it has no body, and the last is of a draft."""

_ONCE: Final = (
    b"content-location",
    b"content-range",
    b"content-type",
    b"etag",
    b"max-forwards",
    b"server",
    b"user-agent",
)
"""Fields that a request has once, if at all; aiohttp refuses it otherwise."""


@dataclass(slots=True)
class OpeningRequest:
    """A client's request for an opening handshake, or what looks like one."""

    target: str
    """The request target, in origin-form: printable ASCII."""
    fields: Header
    """All that may be sent on as they are (see `unsendable`), one Host and one Upgrade, none of a body."""
    rest: bytes
    """What came behind the head."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a client's opening handshake is refused."""

    status: int
    reason: str
    fields: tuple[tuple[str, str], ...] = ()
    """Fields that the answer must carry."""


@dataclass(slots=True, kw_only=True)
class Switching:
    """A 101, and the bytes that came behind its head."""

    status_line: bytes
    fields: Header
    rest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordinary:
    """An answer other than 101, or something that is no answer at all: all that was received of it."""

    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Nonsense:
    """A 101 that is none."""

    reason: str


Answer = Switching | Ordinary | Nonsense


@dataclass(slots=True, kw_only=True)
class Extensions:
    """What the agreed extensions mean to someone who reads the frames (RFC 7692 section 7)."""

    deflate: bool
    client_takeover: bool
    """Whether the client's deflate context lives on from message to message."""
    upstream_takeover: bool
    rsv_known: int
    """The RSV bits that some extension other than permessage-deflate may set, as a mask of byte 0."""


def read_request(data: bytes, longest: int, most_fields: int = HEADER_FIELDS) -> OpeningRequest | None:
    """The request for an opening handshake that `data` begins with; None where it is anything else.

    None as well where that is not plain at once: the head is not whole, has more than `longest` bytes or
    `most_fields` fields, or has anything about it that one recipient might read differently from another.
    """
    line = _REQUEST_LINE.match(data)
    end = data.find(b"\r\n\r\n")
    if line is None or not line.end() < end <= longest - 4:
        return None
    if data.count(b"\r\n", line.end(), end) >= most_fields:
        return None
    if _FIELD_LINES.fullmatch(data, line.end(), end) is None:
        return None
    header = Header(_fields(data[line.end() : end]))
    found = header.by_name
    hosts = found.get(b"host", ())
    if len(hosts) != 1 or not is_host(hosts[0]) or len(found.get(b"upgrade", ())) != 1:
        return None
    if not found.keys().isdisjoint(_ODD) or any(len(found.get(name, ())) > 1 for name in _ONCE):
        return None
    if not wants_websocket(header):
        return None
    return OpeningRequest(line[1].decode("ascii"), header, data[end + 4 :])


def wants_websocket(fields: Fields) -> bool:
    """Whether a request asks to speak WebSocket (section 4.2.1, items 3 and 4)."""
    return b"upgrade" in members(fields, b"connection") and b"websocket" in members(fields, b"upgrade")


def refusal(method: str, version: tuple[int, int], fields: Fields) -> Refusal | None:
    """What is wrong with a client's opening handshake (section 4.2.1); None where it is sound."""
    if method != "GET":
        return Refusal(status=400, reason=f"a WebSocket opens with GET, not with {method}")
    if version != (1, 1):
        return Refusal(status=400, reason="a WebSocket opens with HTTP/1.1")
    if values(fields, b"transfer-encoding") or any(
        value != b"0" for value in values(fields, b"content-length")
    ):
        return Refusal(status=400, reason="a WebSocket opens with a request that has no body")
    if [value.lower() for value in values(fields, b"upgrade")] != [b"websocket"]:
        return Refusal(status=400, reason="a WebSocket opens with Upgrade: websocket, and nothing else")
    if values(fields, b"sec-websocket-version") != [VERSION]:
        return Refusal(
            status=426,
            reason="Sec-WebSocket-Version must be 13",
            fields=(("Sec-WebSocket-Version", "13"),),
        )
    keys = values(fields, b"sec-websocket-key")
    if len(keys) != 1 or not _is_key(keys[0]):
        return Refusal(status=400, reason="Sec-WebSocket-Key must be 16 bytes in base64, once")
    return None


def _is_key(value: bytes) -> bool:
    try:
        return len(base64.b64decode(value, validate=True)) == _KEY_BYTES
    except binascii.Error:
        return False


def accept(key: bytes) -> bytes:
    """The Sec-WebSocket-Accept that answers a Sec-WebSocket-Key (section 4.2.2, item 5.4)."""
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())


def upgrading(fields: Fields) -> list[Field]:
    """End-to-end `fields` as a message of the opening handshake carries them, with the upgrade itself."""
    return [*fields, (b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")]


def message_head(start_line: bytes, fields: Fields) -> bytes:
    """The head of a request or a response, as it goes over the wire."""
    return start_line + b"\r\n" + b"".join([b"%s: %s\r\n" % field for field in fields]) + b"\r\n"


def mismatch(answer: Switching, key: bytes) -> str | None:
    """Why a 101 is no answer to the handshake that carried `key` (section 4.1); None where it is one.

    `key` is empty where the upstream was sent none.
    """
    fields = answer.fields
    if [value.lower() for value in values(fields, b"upgrade")] != [b"websocket"]:
        return "its 101 does not say Upgrade: websocket"
    if b"upgrade" not in members(fields, b"connection"):
        return "its 101 does not say Connection: Upgrade"
    if values(fields, b"sec-websocket-accept") != [accept(key)]:
        return "the Sec-WebSocket-Accept of its 101 does not answer the key"
    if values(fields, b"transfer-encoding") or values(fields, b"content-length"):
        return "its 101 announces a body"
    return None


def extensions(fields: Fields) -> Extensions:
    """What was agreed in the Sec-WebSocket-Extensions of an answer (section 9.1)."""
    deflate = client_takeover = upstream_takeover = False
    rsv_known = 0
    for member in members(fields, b"sec-websocket-extensions"):
        name, *parameters = (part.strip() for part in member.split(b";"))
        if name == b"permessage-deflate":
            deflate = True
            client_takeover = b"client_no_context_takeover" not in parameters
            upstream_takeover = b"server_no_context_takeover" not in parameters
        else:
            rsv_known = 0x70
    return Extensions(
        deflate=deflate,
        client_takeover=client_takeover,
        upstream_takeover=upstream_takeover,
        rsv_known=rsv_known,
    )


class AnswerReader:
    """Reads an upstream's answer to an opening handshake until it is clear what it is."""

    def __init__(self, most_fields: int = HEADER_FIELDS) -> None:
        self._most_fields = most_fields
        self._held = b""
        self._at = 0
        """Where the head begins that is being read."""

    def receive_data(self, data: bytes) -> Answer | None:
        """Take `data`; None means that more is needed.  Must not be called again after an answer."""
        unseen = max(0, len(self._held) - 3)
        self._held += data
        held = self._held
        while True:
            start = held[self._at : self._at + len(_INTERIM)]
            if not _INTERIM.startswith(start):
                return Ordinary(data=held[self._at :])
            if len(start) < len(_INTERIM):
                return None
            end = _HEAD_END.search(held, max(self._at, unseen), _LONGEST_HEAD)
            if end is None:
                if len(held) < _LONGEST_HEAD:
                    return None
                return Nonsense(reason="the head of its answer is longer than 64 KiB")
            if end[0] != b"\r\n\r\n":
                return Nonsense(reason="the head of its answer has a line that does not end in CR LF")
            answer = _read_head(held[self._at : end.start()], held[end.end() :], self._most_fields)
            if answer is not None:
                return answer
            # 100, 102 and 103 announce that the answer is still to come (RFC 9110 section 15.2).
            self._at = end.end()


def _read_head(head: bytes, rest: bytes, most_fields: int) -> Switching | Nonsense | None:
    """What `head`, without the empty line at its end, says; None where it is another 1xx than a 101.

    `rest` is what came behind it.
    """
    status_line, _, lines = head.partition(b"\r\n")
    matched = _STATUS_LINE.fullmatch(status_line)
    if matched is None:
        return Nonsense(reason=f"its answer begins with {readable(status_line[:80])!r}")
    status = int(matched[1])
    if lines.count(b"\r\n") >= most_fields:
        return Nonsense(reason=f"its {status} has more than {most_fields} header fields")
    if lines and not _FIELD_LINES.fullmatch(lines):
        return Nonsense(reason=_what_is_wrong(lines, status))
    if status != _SWITCHING:
        return None
    return Switching(status_line=status_line, fields=Header(_fields(lines) if lines else ()), rest=rest)


def _fields(lines: bytes) -> list[Field]:
    """The fields in `lines`, without the CR LF at their end."""
    fields: list[Field] = []
    for line in lines.split(b"\r\n"):
        name, _, value = line.partition(b":")
        fields.append((name, value.strip(b" \t")))
    return fields


def _what_is_wrong(lines: bytes, status: int) -> str:
    """What is wrong with the field lines of a 101, or of an interim response before it."""
    for number, line in enumerate(lines.split(b"\r\n"), 1):
        if b":" not in line:
            # Not the line itself, which may be the rest of a cookie.
            return f"header line {number} of its {status} has no colon"
    return f"its {status} cannot be passed on: {unsendable(_fields(lines))}"
