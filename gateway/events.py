"""What the gateway tells the world: typed records, one JSON object a line.

Strategy
    Every record is a frozen struct.  `encode` turns one into a line, `decode` turns a line back, so
    that a reader (the launcher is one) never handles a dict.  The JSON names are the attribute names,
    but for `from`, which Python keeps for itself and which is `sender` here.

Rules
    * Every record carries `event`, `time` (wall clock, RFC 3339 in UTC with milliseconds) and `t_ns`
      (monotonic nanoseconds; only differences mean something).
    * Every field is always present; null stands for "there is none".
    * Text that came from the wire is data: whoever puts it on a screen escapes it.  A line itself harms no
      screen that it is put on: what a terminal would obey is written as an escape of JSON's.
      Secrets are redacted before a record is made (`gateway.headers`).

`docs/events.md` explains each field to readers in any language; a test holds it against this module.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, Literal

import msgspec

Side = Literal["client", "upstream"]
"""Who sent it: the client (downstream) or the upstream."""

Party = Literal["client", "upstream", "gateway"]
"""Whose Close, end or reset came first."""

How = Literal["close", "fin", "reset", "timeout"]
"""The way a tunnel ended: `timeout` by the gateway where a limit was reached, else `close` where a Close
frame has passed, else what the transport saw."""

Headers = tuple[tuple[str, str], ...]
"""Header fields in wire order, names as they were written."""


def rfc3339(seconds: float) -> str:
    """Wall-clock `seconds` since the epoch as the records' `time`: `2026-01-31T12:00:00.250Z`."""
    milliseconds = int(seconds * 1000)
    return f"{_to_the_second(milliseconds // 1000)}.{milliseconds % 1000:03d}Z"


@lru_cache(maxsize=2)
def _to_the_second(seconds: int) -> str:
    """Kept, since many records share one."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


class Record(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """What every record carries.

    A subclass names its `event` with `tag=`; `t_ns` comes from `time.monotonic_ns`.
    """

    time: str
    t_ns: int

    @property
    def event(self) -> str:
        """The record's name, as in JSON."""
        return str(self.__struct_config__.tag)


class Listening(Record, frozen=True, kw_only=True, tag="listening"):
    """A listener accepts connections."""

    addr: str
    """The address it is bound to, `host:port` or `unix:///path`; `[::]:8080` stands for every interface."""
    url: str
    """What to open in a browser on this machine; of a unix socket, its address."""


class Request(Record, frozen=True, kw_only=True, tag="request"):
    """A plain HTTP exchange, told at its end."""

    method: str
    path: str
    """The request target as received, with its query."""
    status: int | None
    """What the client was sent; null where it left before the head of a response."""
    upstream: str | None
    """The upstream's url, or null where no upstream was chosen."""
    ms: float
    bytes: int
    """Bytes of response body sent to the client, without transfer coding."""
    client: str


class HandshakeLeg(msgspec.Struct, frozen=True, kw_only=True):
    """The headers of one message of the opening handshake, on either side of the gateway."""

    received: Headers
    sent: Headers


class Handshake(msgspec.Struct, frozen=True, kw_only=True):
    """Both messages of an opening handshake (RFC 6455 section 4)."""

    request: HandshakeLeg
    response: HandshakeLeg


class Open(Record, frozen=True, kw_only=True, tag="open"):
    """A tunnel: the opening handshake has checked out on both legs."""

    conn: int
    """Counts up from 1."""
    client: str
    path: str
    upstream: str
    subprotocol: str | None
    extensions: str | None
    """Sec-WebSocket-Extensions as the upstream agreed to them."""
    handshake: Handshake


class Frame(Record, frozen=True, kw_only=True, tag="frame", rename={"sender": "from"}):
    """One WebSocket frame (RFC 6455 section 5.2), as it was on the wire."""

    conn: int
    sender: Side
    fin: bool
    rsv: int
    """RSV1 to RSV3 as a number: RSV1 is 4, RSV2 is 2, RSV3 is 1."""
    opcode: str
    """`text`, `binary`, `close`, `ping`, `pong`, `continuation`, or a reserved one as `0xB`."""
    masked: bool
    len: int
    """Payload bytes on the wire."""
    header_len: int
    """Header bytes on the wire, masking key included."""
    gap_ms: float | None
    """Since the previous frame of this direction; null for the first."""
    text: str | None
    """The preview, unmasked and inflated, where it is text; else null."""
    hex: str | None
    """The preview as hexadecimal digits where it is not text; else null."""
    truncated: bool
    """Whether the payload goes on behind the preview."""
    inflated: bool
    """Whether the preview was inflated (permessage-deflate, RFC 7692)."""
    code: int | None
    """A Close frame's code; null for other frames and for a Close without one."""
    reason: str | None
    """A Close frame's reason; null where there is no code."""


class Omitted(Record, frozen=True, kw_only=True, tag="omitted", rename={"sender": "from"}):
    """Frames that passed but were left out of the log."""

    conn: int
    sender: Side
    frames: int
    bytes: int
    """On the wire, headers included."""


class Violation(Record, frozen=True, kw_only=True, tag="violation", rename={"sender": "from"}):
    """Something that breaks RFC 6455, passed on unchanged all the same."""

    conn: int
    sender: Side
    what: str
    rfc: str
    """The section that forbids it."""


class SideTotals(msgspec.Struct, frozen=True, kw_only=True):
    """All that one side of a tunnel sent."""

    code: int | None
    """Of its Close frame; null where it sent none, or one without a code."""
    reason: str | None
    frames: int
    bytes: int
    """On the wire after the opening handshake, headers included."""


class Close(Record, frozen=True, kw_only=True, tag="close"):
    """A tunnel has ended."""

    conn: int
    by: Party
    how: How
    client: SideTotals
    upstream: SideTotals
    ms: float
    """From `open` to the end."""


class Error(Record, frozen=True, kw_only=True, tag="error"):
    """Something went wrong; what it concerns is named as far as it is known."""

    message: str
    conn: int | None = None
    client: str | None = None
    method: str | None = None
    path: str | None = None
    upstream: str | None = None
    status: int | None = None
    """What the client was answered."""


class Reload(Record, frozen=True, kw_only=True, tag="reload"):
    """The config has been loaded anew, or could not be."""

    ok: bool
    """Whether it holds now; else the one before goes on."""
    changes: tuple[str, ...]
    """What is another than before, in words; none where nothing is."""
    problems: tuple[str, ...]
    """What is wrong or may surprise, one line each, as `aileron` prints it."""


class Stopping(Record, frozen=True, kw_only=True, tag="stopping"):
    """The gateway takes no new connections and ends those it has."""

    signal: str
    """`SIGINT`, `SIGTERM`, … or `lifeline` where the program that started the gateway has gone."""
    open: int
    """Tunnels open at that moment."""


Event = Listening | Request | Open | Frame | Omitted | Violation | Close | Error | Reload | Stopping

KINDS: Final[tuple[type[Record], ...]] = (
    Listening,
    Request,
    Open,
    Frame,
    Omitted,
    Violation,
    Close,
    Error,
    Reload,
    Stopping,
)
"""Every kind of record, in the order in which the documentation tells them."""

_OBEYED: Final = re.compile(rb"\x7f|\xc2[\x80-\x9f]|\xd8\x9c|\xe2\x80[\x8e\x8f\xa8-\xae]|\xe2\x81[\xa6-\xa9]")
"""In UTF-8, what JSON lets stand in a string, but terminals obey: DEL and C1, line and paragraph separators,
and what turns the direction of writing round."""

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Event)


def encode(record: Record) -> bytes:
    """`record` as one line of JSON in UTF-8, newline included."""
    line = _encoder.encode(record)
    if not line.isascii() or b"\x7f" in line:
        line = _OBEYED.sub(_escaped, line)
    return line + b"\n"


def _escaped(found: re.Match[bytes]) -> bytes:
    return b"\\u%04x" % ord(found[0].decode())


def decode(line: bytes | str) -> Event:
    """The record that a line of `encode` stands for.

    Raises msgspec.DecodeError where the line is not one.
    """
    try:
        event: Event = _decoder.decode(line)
    except UnicodeDecodeError as error:  # which msgspec says of text alone, whose bytes are no UTF-8
        raise msgspec.DecodeError(str(error)) from None
    return event
