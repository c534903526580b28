"""Session → what rich draws; pure.

Rules
    * One record, one line: a line is cut where the terminal ends (`…`), never wrapped; only what is wrong
      with a config that was reloaded is folded.  Width is counted in cells, so wide characters and emoji end
      where they seem to end.
    * All words about records come from `gateway.text`, escaped; nothing here is read as markup.
    * Meaning never hangs on colour alone: directions differ by arrow and place, states by sign and word.
    * Colours have enough contrast on black and on white (3:1 and more); no background is taken for granted.
"""

from collections.abc import Sequence
from typing import Final

from rich.cells import chop_cells
from rich.text import Text

from gateway.events import Close, Event, Frame, Open
from gateway.printable import escape
from gateway.text import Words, count, duration, words
from launcher.events import Summary
from launcher.kit import Kit
from launcher.session import Session

CLIENT: Final = "color(33)"
SERVER: Final = "color(166)"
GOOD: Final = "bold color(29)"
BAD: Final = "bold color(196)"
WARN: Final = "bold color(130)"
QUIET: Final = "dim"
CONNECTIONS: Final = tuple(f"color({number})" for number in (135, 64, 168, 30, 100, 99, 131, 29, 163, 67))
"""One after the other for connection 1, 2, 3, …."""

CONTROL: Final = ("close", "ping", "pong")
"""Control frames (RFC 6455 section 5.5)."""

WIDE: Final = 90
"""Cells from which a line has room for long arrows and milliseconds."""


def conn_style(conn: int) -> str:
    """Return the colour of connection `conn`."""
    return CONNECTIONS[(conn - 1) % len(CONNECTIONS)]


def record(event: Event, width: int) -> Text:
    """Draw one record as one line of at most `width` cells."""
    said = words(event)
    wide = width >= WIDE
    style, rest_style = _styles(event)
    conn = getattr(event, "conn", None)
    head = Text.assemble(
        (said.time if wide else said.time[:8], QUIET),
        "  ",
        (f"{said.conn:>3}", conn_style(conn) if conn else ""),
        " ",
        (_arrow(event, said, wide=wide), style),
        " ",
        (f"{said.what:<7}", style),
        (f"{said.size:>8}" if wide or said.size else "", ""),
        "  ",
    )
    room = width - head.cell_len
    tellings = [Text(_beginning(told, room), style=rest_style) for told in (said.rest, *said.brief)]
    return cut(head + next((told for told in tellings if told.cell_len <= room), tellings[-1]), width)


def _beginning(told: str, room: int) -> str:
    """`told` without what finds no place in `room` cells anyhow: to measure a megabyte takes a second."""
    most = 8 * max(1, room)  # a letter with all the marks that it may have takes a cell
    return told if len(told) <= most else f"{told[:most]}…"


def _styles(event: Event) -> tuple[str, str]:
    """Return the styles of a line's sign and of its words."""
    match event:
        case Frame(opcode=opcode, sender=sender):
            colour = CLIENT if sender == "client" else SERVER
            if opcode in ("ping", "pong"):
                return colour, QUIET
            return f"bold {colour}", "bold" if opcode == "close" else ""
        case Open():
            return GOOD, "bold"
        case Close():
            return (GOOD if _went_well(event) else BAD), "bold"
        case _ if event.event in ("violation", "error"):
            return BAD, ""
        case _:
            return QUIET, QUIET


def _went_well(event: Close) -> bool:
    """Whether a tunnel ended as tunnels should: by a Close that says so."""
    first = event.client if event.by == "client" else event.upstream
    fine = event.by == "gateway" or first.code in (None, 1000, 1001) or (first.code or 0) >= 3000
    return event.how == "close" and fine


def _arrow(event: Event, said: Words, *, wide: bool) -> str:
    """Return the direction, left for the client and right for the upstream, or the sign of what happened."""
    sender = getattr(event, "sender", None)
    if not wide:
        return said.glyph
    if sender is None:
        return f"{said.glyph:<6}"
    return "──→   " if sender == "client" else "   ←──"


def left_out(what: str, why: str) -> Text:
    """Draw the one line that stands for those that are left out."""
    return Text(f"          ⋯  {what} left out: {why}", style=QUIET)


def filtering(expression: str, width: int, why: str = "") -> Text:
    """Draw the line below which another filter holds."""
    words = f"filter {escape(expression)}" if expression else "no filter"
    return cut(Text(f"          ⋯  {words}{why and f': {why}'}", style=QUIET), width)


def said_by(child: str, line: str, width: int) -> Text:
    """Draw a line that a child wrote for people."""
    return cut(Text.assemble((f"{child}: ", WARN), escape(line)), width)


def below(text: str, width: int) -> list[Text]:
    """Draw what belongs to the line above and is too important to be cut."""
    indent = " " * 10
    room, rest = max(20, width - len(indent)), escape(text)
    lines: list[str] = []
    while rest:
        line = chop_cells(rest, room)[0]
        # Folded at a space, where there is one; it stands at the end of neither line.
        at = len(line) if line == rest else rest.rfind(" ", 1, len(line) + 1)
        at = len(line) if at < 0 else at
        lines.append(rest[:at].rstrip(" "))
        rest = rest[at:].lstrip(" ")
    return [Text(f"{indent}{line}") for line in lines]


def banner(kit: Kit, session: Session, version: str, width: int) -> list[Text]:
    """Draw what everybody in the room should see first."""
    ready = session.ready
    if ready is None:
        return []
    url = ready.gateway[0] if ready.gateway else ""
    lines = [
        Text(),
        Text.assemble("  ", ("aileron-demo", "bold"), f" {version}"),
        Text(),
        Text.assemble(
            ("  ➜  ", GOOD), "Open ", (f" {escape(url)}/ ", f"{GOOD} reverse"), " in a browser", style="bold"
        ),
        Text(),
        _path(kit, session, width),
        Text(),
        _fact("config", kit.config.words),
    ]
    if kit.page:
        lines.append(_fact("page", f"./{kit.page}"))
    if others := ready.gateway[1:]:
        lines.append(_fact("also", ", ".join(others)))
    lines += [_fact("network", text) for text in kit.reachable(ready)]
    if kit.bypassed:
        lines.append(_fact("note", kit.bypassed, WARN))
    elif ready.upstream:
        lines.append(_fact("try", "send a message on the page; watch it go → and come back ←"))
        lines.append(_fact("", f"{ready.upstream}/ is the same page, without the gateway"))
    return [line for text in lines for line in _folded(text, width)] + [Text()]


def _path(kit: Kit, session: Session, width: int) -> Text:
    """Draw the way of a frame: browser, gateway, upstream."""
    ready = session.ready
    gateway = ready.gateway[0].partition("//")[2] if ready and ready.gateway else ""
    ours = ready.upstream.partition("//")[2] if ready and ready.upstream else None
    targets = [each.authority for each in kit.routes]
    upstream = ours if ours and not kit.bypassed else ", ".join(targets) or "nowhere"
    roomy = width >= 80
    if not roomy:
        gateway, upstream = (each.replace("localhost:", ":") for each in (gateway, upstream))
    between = " ←──→ " if roomy else " ⇄ "
    return Text.assemble(
        "     ",
        ("browser", f"bold {CLIENT}"),
        between,
        ("gateway ", "bold"),
        escape(gateway),
        between,
        ("upstream ", f"bold {SERVER}"),
        escape(upstream),
    )


def _fact(name: str, value: str, style: str = "") -> Text:
    return Text.assemble("     ", (f"{name:<9}", style or QUIET), (escape(value), style))


def _folded(text: Text, width: int) -> list[Text]:
    """Fold a line of the banner at spaces; what follows stands under the words."""
    if text.cell_len <= width:
        return [text]
    indent = 14
    at = text.plain.rfind(" ", indent, _offset(text, width))
    if at <= indent:
        return [cut(text, width)]
    head, rest = text.divide([at])
    rest = Text(" " * (indent - 1)) + rest
    return [head, *_folded(rest, width)]


def _offset(text: Text, width: int) -> int:
    """Return how many characters of `text` fit into `width` cells."""
    cut = text.copy()
    cut.truncate(width)
    return len(cut.plain)


def summary(told: Summary) -> list[Text]:
    """Draw what it was, all in all."""
    parts = [
        Text.assemble(
            ("Stopped", "bold"),
            f" after {duration(told.ms)}: ",
            count(told.connections, "WebSocket connection"),
        )
    ]
    for arrow, name, style, total in (
        ("→", "client", CLIENT, told.client),
        ("←", "upstream", SERVER, told.upstream),
    ):
        parts.append(
            Text.assemble(
                "  ",
                (f"{arrow} from the {name:<8} ", f"bold {style}"),
                f"{count(total.frames, 'frame')}, {total.bytes:,} bytes",
            )
        )
    return parts


def cut(text: Text, width: int) -> Text:
    """Cut `text` to `width` cells, with `…` where something is missing."""
    text.truncate(width, overflow="ellipsis")
    return text


def problem(lines: Sequence[str]) -> list[Text]:
    """Draw what went wrong, if anything did."""
    if not lines:
        return []
    head, *rest = map(escape, lines)
    return [Text.assemble(("✗ ", BAD), (head, "bold")), *(Text(f"  {line}") for line in rest)]
