"""Records as words for people, safe for a terminal.

Strategy
    `words` turns a record into the parts of one line; `line` sets them out as plain text, and whoever draws
    in colour sets out the same parts.  Everything in them that came from the wire has gone through `escape`.

Rules
    * What a payload, a header or a path holds is only ever text: nothing in it moves a cursor, changes a
      colour, turns the direction of writing round, or stays invisible.
    * Times are shown in this machine's time zone, as on the wall clock beside the screen.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, assert_never
from unicodedata import category

from gateway.events import (
    Close,
    Error,
    Event,
    Frame,
    Listening,
    Omitted,
    Open,
    Request,
    Side,
    SideTotals,
    Stopping,
    Violation,
)

ARROWS: Final[dict[Side, str]] = {"client": "→ ", "upstream": " ←"}
"""From the client, from the upstream: told apart by glyph and by position."""

OPENED: Final = "● "
CLOSED: Final = "○ "
EXCHANGE: Final = "⇄ "
"""A plain HTTP exchange."""
WARNING: Final = "! "

CLOSE_NAMES: Final[dict[int, str]] = {
    1000: "Normal Closure",
    1001: "Going Away",
    1002: "Protocol Error",
    1003: "Unsupported Data",
    1004: "Reserved",
    1005: "No Status Received",
    1006: "Abnormal Closure",
    1007: "Invalid Frame Payload Data",
    1008: "Policy Violation",
    1009: "Message Too Big",
    1010: "Mandatory Extension",
    1011: "Internal Error",
    1012: "Service Restart",
    1013: "Try Again Later",
    1014: "Bad Gateway",
    1015: "TLS Handshake",
    3000: "Unauthorized",
    3003: "Forbidden",
    3008: "Timeout",
}
"""RFC 6455 section 7.4.1 and IANA's WebSocket Close Code Number Registry."""

# Unicode calls these printable (they are marks and letters), yet nothing of them is seen.  The two
# variation selectors that choose between a symbol and its emoji stay where they follow a symbol.
_UNSEEN: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\ufe00-\ufe0d\uffa0\U000e0100-\U000e01ef]"
    "|(?<![\u203c-\u3299\U0001f000-\U0001faff])[\ufe0e\ufe0f]"
)
_SHORT: Final = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


def escape(text: str) -> str:
    r"""`text` as a terminal can show it, on one line: what is unsafe or unseen becomes `\x1b`, `\u202e`, ….

    That is every control, format, surrogate and unassigned character, line and paragraph separators, and
    characters that are invisible by design.  A backslash stays as it is.
    """
    if not text.isprintable():
        text = "".join(map(_visible, text))
    return _UNSEEN.sub(lambda match: _code(match[0]), text)


def _visible(character: str) -> str:
    """`character`, or its escape where Unicode gives it nothing to show (categories C*, Zl and Zp)."""
    if character.isprintable() or category(character) == "Zs":
        return character
    return _SHORT.get(character) or _code(character)


def _code(character: str) -> str:
    """Write one character in Python's and JavaScript's own notation."""
    point = ord(character)
    if point < 0x100:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


def size(count: int) -> str:
    """`count` bytes in words: exact up to five digits, then in KiB, MiB, …."""
    if count < 100_000:
        return f"{count} B"
    power = min((count.bit_length() - 1) // 10, 4)
    return f"{count / 1024**power:.1f} {'KMGT'[power - 1]}iB"


def duration(ms: float) -> str:
    """`ms` milliseconds in words: `3.2 ms`, `12.3 s`, `5m 07s`, `2h 05m`."""
    if ms < 1000:
        return f"{ms:.1f} ms"
    seconds = ms / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m {rest:02d}s" if minutes < 60 else f"{minutes // 60}h {minutes % 60:02d}m"


def count(number: int, noun: str) -> str:
    """`1 frame`, `2,000 frames`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def close_name(code: int) -> str:
    """Name a close code, or the range that it lies in (RFC 6455 section 7.4.2)."""
    if name := CLOSE_NAMES.get(code):
        return name
    if 3000 <= code < 4000:
        return "Registered Range"
    if 4000 <= code < 5000:
        return "Private Use"
    return "Reserved" if 1000 <= code < 3000 else "Not a Close Code"


def close_words(code: int | None, reason: str | None) -> str:
    """Tell a Close frame's code, its name and the reason: `1000 Normal Closure "bye"`."""
    if code is None:
        return "no code"
    said = f' "{escape(reason)}"' if reason else ""
    return f"{code} {close_name(code)}{said}"


def clock(time: str) -> str:
    """Read a record's `time` off the wall clock here: `12:00:00.250`."""
    return f"{datetime.fromisoformat(time).astimezone():%H:%M:%S.%f}"[:-3]


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """One record in words; nothing in it can disturb a terminal."""

    time: str
    """`12:00:00.250`, local."""
    conn: str
    """`#3`; empty where the record belongs to no connection."""
    glyph: str
    """Two cells: an arrow for what passed, a sign for what happened."""
    what: str
    """A frame's opcode (with `…` where more fragments follow), a request's method, or what happened."""
    size: str
    """Payload length of a frame, body length of a response; else empty."""
    rest: str
    """The preview, or what there is to say."""


def words(event: Event) -> Words:
    """`event` in words."""
    conn: int | None = None
    glyph, length = "  ", ""
    match event:
        case Frame():
            conn, glyph, length = event.conn, ARROWS[event.sender], size(event.len)
            what, rest = _opcode(event), _preview(event)
        case Open():
            conn, glyph, what, rest = event.conn, OPENED, "open", _open(event)
        case Close():
            conn, glyph, what, rest = event.conn, CLOSED, "closed", _close(event)
        case Omitted():
            conn, glyph, what = event.conn, ARROWS[event.sender], "…"
            rest = f"{count(event.frames, 'frame')} left out of the log, {size(event.bytes)}"
        case Violation():
            conn, glyph, what = event.conn, ARROWS[event.sender], "wrong"
            section = f"RFC 6455 section {event.rfc}" if event.rfc[:1].isdigit() else escape(event.rfc)
            rest = f"{escape(event.what)} ({section})"
        case Request():
            glyph, what, length, rest = EXCHANGE, escape(event.method), size(event.bytes), _request(event)
        case Error():
            conn, glyph, what, rest = event.conn, WARNING, "error", _error(event)
        case Listening():
            what, rest = "listens", f"on {escape(event.url)} ({escape(event.addr)})"
        case Stopping():
            what, rest = "stops", f"{escape(event.signal)}; {count(event.open, 'tunnel')} open"
        case _:
            assert_never(event)
    number = "" if conn is None else f"#{conn}"
    return Words(time=clock(event.time), conn=number, glyph=glyph, what=what, size=length, rest=rest)


def line(event: Event) -> str:
    """`event` as one plain line, without the newline."""
    parts = words(event)
    head = f"{parts.time}  {parts.conn:>4} {parts.glyph} {parts.what:<7} {parts.size:>8}  "
    return (head + parts.rest).rstrip()


def _opcode(frame: Frame) -> str:
    name = "cont" if frame.opcode == "continuation" else escape(frame.opcode)
    return name if frame.fin else f"{name}…"


def _preview(frame: Frame) -> str:
    if frame.opcode == "close":
        return close_words(frame.code, frame.reason)
    shown = " ".join(re.findall("..?", frame.hex or "")) if frame.text is None else escape(frame.text)
    note = "compressed: " if frame.rsv & 4 else ""
    return f"{note}{shown}{'…' if frame.truncated else ''}"


def _open(event: Open) -> str:
    parts = (
        ("to", event.upstream),
        ("subprotocol", event.subprotocol),
        ("with", event.extensions),
        ("from", event.client),
    )
    return " ".join([escape(event.path), *(f"{name} {escape(value)}" for name, value in parts if value)])


def _close(event: Close) -> str:
    sides = (_sent("→", event.client), _sent("←", event.upstream))
    return f"{_ending(event)}; after {duration(event.ms)}, {', '.join(sides)}"


def _ending(event: Close) -> str:
    """Who ended a tunnel, and how."""
    who = f"by the {event.by}"
    match event.how:
        case "close" if event.by == "gateway":
            # The only Close that the gateway itself ever sends, when it stops (RFC 6455 section 7.4.1).
            return f"{who}: {close_words(1001, None)}"
        case "close":
            first = event.client if event.by == "client" else event.upstream
            return f"{who}: {close_words(first.code, first.reason)}"
        case "fin":
            return f"{who}: end of stream without a Close frame"
        case "reset":
            return f"{who}: connection reset"
        case "timeout":
            return f"{who}: no answer in time"


def _sent(arrow: str, side: SideTotals) -> str:
    return f"{arrow} {count(side.frames, 'frame')} {size(side.bytes)}"


def _request(event: Request) -> str:
    status = "left before an answer" if event.status is None else str(event.status)
    upstream = f" from {escape(event.upstream)}" if event.upstream else ""
    return f"{status} {escape(event.path)}{upstream} in {duration(event.ms)}"


def _error(event: Error) -> str:
    about = [
        f"{name} {escape(str(value))}"
        for name, value in (
            ("client", event.client),
            ("upstream", event.upstream),
            ("request", " ".join(filter(None, (event.method, event.path)))),
            ("answered", event.status),
        )
        if value
    ]
    return "; ".join([escape(event.message), *about])
