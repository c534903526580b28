"""Records as words for people, safe for a terminal.

Strategy
    `words` turns a record into the parts of one line; `line` sets them out as plain text, and whoever draws
    in colour sets out the same parts.  Everything in them that came from the wire has gone through `escape`.
    Times are shown in this machine's time zone, as on the wall clock beside the screen.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, assert_never

from gateway.events import (
    Close,
    Error,
    Event,
    Frame,
    Listening,
    Omitted,
    Open,
    Reload,
    Request,
    Side,
    SideTotals,
    Stopping,
    Violation,
)
from gateway.printable import escape

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
    """Length of a payload or a body, duration of a tunnel, status of the answer to an error; or empty."""
    rest: str
    """The preview, or what there is to say, the most telling first."""
    brief: tuple[str, ...] = ()
    """The same in fewer and fewer words, for where `rest` finds no room."""


def words(event: Event) -> Words:
    """`event` in words."""
    conn: int | None = None
    glyph, length = "  ", ""
    brief: list[str] = []
    match event:
        case Frame():
            conn, glyph, length = event.conn, ARROWS[event.sender], size(event.len)
            what, rest = _opcode(event), _preview(event)
        case Open():
            conn, glyph, what, rest = event.conn, OPENED, "open", _open(event)
        case Close():
            conn, glyph, what, length = event.conn, CLOSED, "closed", duration(event.ms)
            rest, *brief = _close(event)
        case Omitted():
            conn, glyph, what = event.conn, ARROWS[event.sender], "…"
            rest = f"{count(event.frames, 'frame')} left out, {size(event.bytes)}"
        case Violation():
            conn, glyph, what = event.conn, ARROWS[event.sender], "wrong"
            section = escape(f"RFC 6455 section {event.rfc}" if event.rfc[:1].isdigit() else event.rfc)
            rest = f"{escape(event.what)} ({section})"
        case Request():
            glyph, what, length, rest = EXCHANGE, escape(event.method), size(event.bytes), _request(event)
        case Error():
            conn, glyph, what, length = event.conn, WARNING, "error", str(event.status or "")
            rest, *brief = _error(event)
        case Listening() | Reload() | Stopping():
            glyph, what, rest = _own_life(event)
        case _:
            assert_never(event)
    number = "" if conn is None else f"#{conn}"
    return Words(
        time=clock(event.time),
        conn=number,
        glyph=glyph,
        what=what,
        size=length,
        rest=rest,
        brief=tuple(brief),
    )


def _own_life(event: Listening | Reload | Stopping) -> tuple[str, str, str]:
    """Sign, what and rest of a record about the gateway itself."""
    match event:
        case Listening():
            return "  ", "listens", f"on {escape(event.url)} ({escape(event.addr)})"
        case Stopping():
            waits = (
                ": each is sent a Close and waited for; a second signal ends them now" if event.open else ""
            )
            return "  ", "stops", f"{count(event.open, 'WebSocket')} open{waits}"
        case Reload(ok=True):
            return "  ", "reloads", escape("; ".join(event.changes)) or "nothing has changed"
    wrong = count(len(event.problems), "problem")
    return WARNING, "reloads", f"not: the config is wrong, so the one before goes on ({wrong})"


def lines(event: Event) -> list[str]:
    """`line`, and below it the problems of a reload, one each."""
    problems = event.problems if isinstance(event, Reload) else ()
    return [line(event), *(f"  {escape(problem)}" for problem in problems)]


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
    # What was inflated reads like any other payload; what was not would pass for the message itself.
    note = "still compressed: " if frame.rsv & 4 and not frame.inflated else ""
    return f"{note}{shown}{'…' if frame.truncated else ''}"


def _open(event: Open) -> str:
    parts = (
        ("to", event.upstream),
        ("subprotocol", event.subprotocol),
        ("with", event.extensions),
        ("from", event.client),
    )
    return " ".join([escape(event.path), *(f"{name} {escape(value)}" for name, value in parts if value)])


def _close(event: Close) -> tuple[str, ...]:
    """Tell how a tunnel ended, and what went through it; then the same in fewer words, twice."""
    sums = (_sent("→", event.client), _sent("←", event.upstream))
    code, reason = _goodbye(event)
    match event.how:
        case "close":
            how = (close_words(code, reason), close_words(code, None), close_words(code, None).split(" ")[0])
        case "fin":
            how = ("end of stream without a Close frame", "no Close frame", "no Close")
        case "reset":
            how = ("connection reset", "reset", "reset")
        case "timeout":
            what = "a time limit was reached" if event.by == "gateway" else "no answer in time"
            how = (what, "timeout", "timeout")
    who = (f"by the {event.by}: ", f"{event.by} ", f"{event.by} ")
    between = (" · ", " ", " ")
    return tuple(f"{by}{gap.join((end, *sums))}" for by, end, gap in zip(who, how, between, strict=True))


def _goodbye(event: Close) -> tuple[int | None, str | None]:
    """Return code and reason of the Close frame that came first."""
    if event.by == "gateway":
        # The only Close that the gateway itself ever sends, when it stops (RFC 6455 section 7.4.1).
        return 1001, None
    first = event.client if event.by == "client" else event.upstream
    return first.code, first.reason


def _sent(arrow: str, side: SideTotals) -> str:
    return f"{arrow} {count(side.frames, 'frame')} {size(side.bytes)}"


def _request(event: Request) -> str:
    status = "left before an answer" if event.status is None else str(event.status)
    upstream = f" via {escape(event.upstream)}" if event.upstream else ""
    return f"{status} {escape(event.path)}{upstream} in {duration(event.ms)}"


def _error(event: Error) -> tuple[str, ...]:
    """Tell what went wrong, and what it concerns; then, where an upstream did it, the same in fewer words."""
    url, message = event.upstream or "", event.message
    by_upstream = bool(url) and message.startswith(f"{url} ")
    concerns = [
        f"{name}{escape(value)}"
        for name, value in (
            ("", " ".join(filter(None, (event.method, event.path)))),
            ("via ", "" if by_upstream else url),
            ("from ", event.client),
        )
        if value
    ]
    told = " · ".join([escape(message), *concerns])
    if not by_upstream:
        return (told,)
    where = url.partition("://")[2].partition("/")[0].rpartition("@")[2]
    did = escape(f"{where}{message.removeprefix(url)}")
    return told, " · ".join([did, *concerns]), did, did.partition(";")[0]
