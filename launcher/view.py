"""Session → what rich draws; pure.

Rules
    * One record, one line: a line is cut where the terminal ends (`…`), never wrapped.  Width is counted in
      cells, so wide characters and emoji end where they seem to end.
    * All words about records come from `gateway.text`, escaped; nothing here is read as markup.
    * Meaning never hangs on colour alone: directions differ by arrow and place, states by sign and word.
    * Colours have enough contrast on black and on white (3:1 and more); no background is taken for granted.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from rich.text import Text

from gateway.events import Close, Event, Frame, Open
from gateway.text import Words, count, duration, escape, size, words
from launcher.events import Summary
from launcher.filter import Filter
from launcher.keys import Editor
from launcher.kit import GATEWAY, UPSTREAM, Kit
from launcher.session import Session

CLIENT: Final = "color(33)"
SERVER: Final = "color(166)"
GOOD: Final = "bold color(29)"
BAD: Final = "bold color(196)"
WARN: Final = "bold color(130)"
QUIET: Final = "dim"
CONNECTIONS: Final = tuple(f"color({number})" for number in (135, 64, 168, 30, 100, 99, 131, 29, 163, 67))
"""One after the other for connection 1, 2, 3, …."""

CONTROL: Final = ("ping", "pong")
"""What `h` hides; Close frames are control frames as well, but nobody means those."""

WIDE: Final = 90
"""Cells from which a line has room for long arrows and milliseconds."""
FOOTER_WIDTH: Final = 100
"""The footer grows no wider: what is short does not wrap when the terminal is made narrower."""

KEYS: Final = (
    ("p", "pause"),
    ("h", "hide pings"),
    ("/", "filter"),
    ("c", "clear"),
    ("o", "open page"),
    ("q", "quit"),
    ("?", "help"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How the person wants to see it, and what was kept from them."""

    paused_at: int | None = None
    """Frames that had passed when the pause began; None while lines are shown."""
    control_hidden: bool = False
    filter: Filter = Filter()  # noqa: RUF009  (immutable)
    editor: Editor | None = None
    """The filter that is being written."""
    help: bool = False
    left_out: int = 0
    """Lines that came too fast to be shown."""
    stopping: bool = False
    note: str = ""
    """Something to say in the footer, until the next key."""


def conn_style(conn: int) -> str:
    """Return the colour of connection `conn`."""
    return CONNECTIONS[(conn - 1) % len(CONNECTIONS)]


def record(event: Event, width: int) -> Text:
    """Draw one record as one line of at most `width` cells."""
    said = words(event)
    wide = width >= WIDE
    style, rest_style = _styles(event)
    conn = getattr(event, "conn", None)
    return _cut(
        Text.assemble(
            (said.time if wide else said.time[:8], QUIET),
            "  ",
            (f"{said.conn:>3}", conn_style(conn) if conn else ""),
            " ",
            (_arrow(event, said, wide=wide), style),
            " ",
            (f"{said.what:<7}", style),
            (f"{said.size:>8}" if wide or said.size else "", ""),
            "  ",
            (said.rest, rest_style),
        ),
        width,
    )


def _styles(event: Event) -> tuple[str, str]:
    """Return the styles of a line's sign and of its words."""
    match event:
        case Frame(opcode=opcode, sender=sender):
            colour = CLIENT if sender == "client" else SERVER
            if opcode in CONTROL:
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
    return event.how == "close" and (event.by == "gateway" or first.code in (None, 1000, 1001))


def _arrow(event: Event, said: Words, *, wide: bool) -> str:
    """Return the direction, left for the client and right for the upstream, or the sign of what happened."""
    sender = getattr(event, "sender", None)
    if not wide:
        return said.glyph
    if sender is None:
        return f"{said.glyph:<6}"
    return "──→   " if sender == "client" else "   ←──"


def not_shown(what: str, why: str) -> Text:
    """Draw the one line that stands for those that are not shown."""
    return Text(f"          ⋯  {what} not shown: {why}", style=QUIET)


def said_by(child: str, line: str, width: int) -> Text:
    """Draw a line that a child wrote for people."""
    return _cut(Text.assemble((f"{child}: ", WARN), escape(line)), width)


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
            ("  ➜  ", GOOD), "Open ", (f" {url}/ ", f"{GOOD} reverse"), " in a browser", style="bold"
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
    lines += [_fact("warning", text, WARN) for text in kit.warnings]
    if ready.upstream:
        lines.append(_fact("try", "send a message on the page; watch it go → and come back ←"))
        lines.append(_fact("", f"{ready.upstream}/ is the same page, without the gateway"))
    return [line for text in lines for line in _folded(text, width)] + [Text()]


def _path(kit: Kit, session: Session, width: int) -> Text:
    """Draw the way of a frame: browser, gateway, upstream."""
    ready = session.ready
    gateway = ready.gateway[0].partition("//")[2] if ready and ready.gateway else ""
    ours = ready.upstream.partition("//")[2] if ready and ready.upstream else None
    targets = [each.authority for each in kit.routes]
    target = ours if ours and not any("sends nothing" in each for each in kit.warnings) else None
    upstream = target or ", ".join(targets) or "nowhere"
    roomy = width >= 80
    between = " ←──→ " if roomy else " ⇄ "
    return Text.assemble(
        "     " if roomy else "  ",
        ("browser", f"bold {CLIENT}"),
        between,
        ("gateway ", "bold"),
        gateway,
        between,
        ("upstream ", f"bold {SERVER}"),
        upstream,
    )


def _fact(name: str, value: str, style: str = "") -> Text:
    return Text.assemble("     ", (f"{name:<9}", style or QUIET), (value, style))


def _folded(text: Text, width: int) -> list[Text]:
    """Fold a line of the banner at spaces; what follows stands under the words."""
    if text.cell_len <= width:
        return [text]
    indent = 14
    at = text.plain.rfind(" ", indent, _offset(text, width))
    if at <= indent:
        return [_cut(text, width)]
    head, rest = text.divide([at])
    rest = Text(" " * (indent - 1)) + rest
    return [head, *_folded(rest, width)]


def _offset(text: Text, width: int) -> int:
    """Return how many characters of `text` fit into `width` cells."""
    cut = text.copy()
    cut.truncate(width)
    return len(cut.plain)


def footer(session: Session, look: Look, width: int, height: int) -> list[Text]:
    """Draw the live lines below the scrollback: at most `height` of them, at most `width` cells each."""
    width = min(width, FOOTER_WIDTH)
    lines = [Text("─" * width, style=QUIET)]
    lines += _flow(_states(session, look), width)
    if session.ready:
        lines += _flow(_totals(session, look), width)
        lines += _flow(_settings(session, look), width)
    if look.help:
        lines += _help()
    if look.editor:
        lines += _editing(look.editor, width)
    elif not look.stopping and session.ready:
        lines += _flow(_keys(look), width)
    # The last lines are those that a person needs to go on: the editor, the keys.
    room = max(1, height)
    shown = lines if len(lines) <= room else [*lines[:1], *lines[len(lines) - room + 1 :]][-room:]
    return [_cut(line, width) for line in shown]


def _states(session: Session, look: Look) -> Iterable[Text]:
    if look.stopping:
        yield Text(" STOPPING ", style=f"{WARN} reverse")
    urls = {GATEWAY: "", UPSTREAM: ""}
    if session.ready:
        urls = {GATEWAY: next(iter(session.ready.gateway), ""), UPSTREAM: session.ready.upstream or ""}
    for name in (GATEWAY, UPSTREAM):
        child = session.children.get(name)
        if child is None:
            continue
        sign, style = {"ready": ("●", GOOD), "exited": ("✗", BAD)}.get(child.state, ("○", WARN))
        word = urls[name] if child.state == "ready" else child.state
        yield Text.assemble((sign, style), " ", (name, "bold"), " ", word or child.state)
    if session.ready:
        yield Text.assemble(
            (f"{len(session.paths):,}", "bold"), f" open of {count(session.connections, 'connection')}"
        )


def _totals(session: Session, look: Look) -> Iterable[Text]:
    for arrow, name, style, total in (
        ("→", "client", CLIENT, session.client),
        ("←", "upstream", SERVER, session.upstream),
    ):
        rate = session.rate("client" if name == "client" else "upstream")
        yield Text.assemble(
            (f"{arrow} {name} ", f"bold {style}"),
            (f"{total.frames:,}", "bold"),
            f" frame{'' if total.frames == 1 else 's'} ",
            (size(total.bytes), "bold"),
            (f"  {_speed(rate.frames)}/s {size(round(rate.bytes))}/s", QUIET),
        )
    if look.left_out:
        yield Text(f"⋯ {count(look.left_out, 'line')} left out", style=QUIET)


def _speed(frames: float) -> str:
    return f"{frames:,.0f}" if frames >= 10 else f"{frames:.1f}"


def _settings(session: Session, look: Look) -> Iterable[Text]:
    if look.paused_at is not None:
        passed = count(session.frames - look.paused_at, "frame")
        yield Text.assemble((" PAUSED ", f"{WARN} reverse"), f" {passed} passed")
    if look.filter.expression and not look.editor:
        yield Text.assemble(("filter ", WARN), escape(look.filter.expression))
    if look.control_hidden:
        yield Text("pings and pongs hidden", style=WARN)
    if look.note:
        yield Text(escape(look.note), style=WARN)


def _keys(look: Look) -> Iterable[Text]:
    other = {"p": "go on"} if look.paused_at is not None else {}
    if look.control_hidden:
        other["h"] = "show pings"
    if look.help:
        other["?"] = "close help"
    for key, does in KEYS:
        yield Text.assemble((key, "bold"), " ", (other.get(key, does), QUIET))


def _editing(editor: Editor, width: int) -> list[Text]:
    prompt = "filter: "
    line = Text.assemble((prompt, WARN), escape(editor.text), (" ", "reverse"))
    if line.cell_len > width:
        over = line.cell_len - width + 1
        line = Text.assemble((prompt, WARN), "…", escape(editor.text)[over:], (" ", "reverse"))
    if editor.problem:
        under = min(len(prompt) + Text(editor.text[: editor.column]).cell_len, max(0, width - 2))
        return [line, Text.assemble(" " * under, ("↑", BAD)), Text(f"  {editor.problem}", style=BAD)]
    hint = "Enter applies, Esc cancels; from:client  op:text|ping  conn:3  path:/ws  /regex/  !op:ping"
    return [line, Text(hint, style=QUIET)]


def _help() -> list[Text]:
    rows = (
        ("p", "pause, and go on; what passes meanwhile is counted, not shown"),
        ("h", "hide pings and pongs, or show them again"),
        ("/", "filter: terms that must all hold, ! before one negates it"),
        ("", "from:client  op:text|ping  conn:3  path:/ws  /regex/"),
        ("c", "clear the screen"),
        ("o", "open the page in a browser"),
        ("q", "quit; Ctrl-C as well, a second Ctrl-C at once"),
        ("?", "close this help; Esc as well"),
        ("→ ←", "from the client, from the upstream"),
        ("● ○ ⇄", "a WebSocket opens, closes; a plain HTTP exchange"),
    )
    return [Text.assemble("  ", (f"{key:<7}", "bold"), words_) for key, words_ in rows]


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


def _flow(items: Iterable[Text], width: int, gap: str = "   ") -> list[Text]:
    """Set `items` side by side, as many as fit, then on the next line; none is broken."""
    lines: list[Text] = []
    for item in items:
        if lines and lines[-1].cell_len + len(gap) + item.cell_len <= width:
            lines[-1].append(gap).append_text(item)
        else:
            lines.append(item)
    return lines


def _cut(text: Text, width: int) -> Text:
    """Cut `text` to `width` cells, with `…` where something is missing."""
    text.truncate(width, overflow="ellipsis")
    return text


def problem(lines: Sequence[str]) -> list[Text]:
    """Draw what went wrong."""
    head, *rest = lines
    return [Text.assemble(("✗ ", BAD), (head, "bold")), *(Text(f"  {line}") for line in rest)]
