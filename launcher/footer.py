"""The live footer below the scrollback: how everything stands, and what the keys do; pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from textwrap import wrap
from typing import Final

from rich.text import Text

from gateway.printable import escape
from gateway.text import count, size
from launcher.filter import Filter
from launcher.keys import Editor
from launcher.kit import GATEWAY, UPSTREAM
from launcher.session import Session
from launcher.view import BAD, CLIENT, GOOD, QUIET, SERVER, WARN, WIDE, cut

FOOTER_WIDTH: Final = 100
"""What the footer tells grows no wider, so that little of it wraps when the terminal is made narrower."""

KEYS: Final = (
    ("p", "pause"),
    ("h", "hide control"),
    ("/", "filter"),
    ("c", "clear"),
    ("o", "open page"),
    ("q", "quit"),
    ("?", "help"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How the person wants to see it, and what was kept from them."""

    keys: bool = True
    """Whether there is a keyboard to press them on."""
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


def footer(session: Session, look: Look, width: int, height: int) -> list[Text]:
    """Draw the live lines below the scrollback: at most `height` of them, at most `width` cells each."""
    rule = Text("─" * width, style=QUIET)
    lines = _below_rule(session, look, min(width, FOOTER_WIDTH), wide=width >= WIDE)
    # The last lines are those that a person needs to go on: the editor, the keys.
    room = max(1, height)
    return [rule, *lines[1 - room :]] if room > 1 or not lines else lines[-1:]


def _below_rule(session: Session, look: Look, width: int, *, wide: bool) -> list[Text]:
    lines = _flow(_states(session, look, wide=wide), width, gap="  ")
    if session.ready:
        lines += _flow(_totals(session, look, wide=wide), width)
        lines += _flow(_settings(session, look), width)
    if look.help:
        lines += _help()
    if look.editor:
        lines += _editing(look.editor, look.filter, width)
    elif not look.stopping and session.ready:
        lines += _flow(_keys(look), width)
    return [cut(line, width) for line in lines]


def _states(session: Session, look: Look, *, wide: bool) -> Iterable[Text]:
    if look.stopping:
        yield Text(" STOPPING ", style=f"{WARN} reverse")
    ready = session.ready
    urls = {GATEWAY: ready.gateway[0], UPSTREAM: ready.upstream} if ready else {}
    for name in (GATEWAY, UPSTREAM):
        child = session.children.get(name)
        if child is None:
            continue
        sign, style = {"ready": ("●", GOOD), "exited": ("✗", BAD)}.get(child.state, ("○", WARN))
        word = urls.get(name) if child.state == "ready" else None
        yield Text.assemble((sign, style), " ", (name, "bold"), " ", escape(word or child.state))
    if ready:
        noun = " connections" if wide else ""
        yield Text.assemble((f"{len(session.paths):,}", "bold"), f" of {session.connections:,}{noun} open")


def _totals(session: Session, look: Look, *, wide: bool) -> Iterable[Text]:
    for arrow, side, style, total in (
        ("→", "client", CLIENT, session.client),
        ("←", "upstream", SERVER, session.upstream),
    ):
        rate = session.rate("client" if side == "client" else "upstream")
        speed = f" {_number(rate.bytes / 1024)} KiB/s" if wide else ""
        yield Text.assemble(
            (f"{arrow} {side} ", f"bold {style}"),
            (f"{total.frames:,}", "bold"),
            f" frame{'' if total.frames == 1 else 's'} ",
            (size(total.bytes), "bold"),
            (f"  {_number(rate.frames)}/s{speed}", QUIET),
        )
    if look.left_out:
        yield Text(f"⋯ {count(look.left_out, 'line')} left out", style=QUIET)


def _number(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"


def _settings(session: Session, look: Look) -> Iterable[Text]:
    if look.paused_at is not None:
        passed = count(session.frames - look.paused_at, "frame")
        yield Text.assemble((" PAUSED ", f"{WARN} reverse"), f" {passed} passed")
    if look.filter.expression and not look.editor:
        yield Text.assemble(("filter ", WARN), escape(look.filter.expression))
    if look.control_hidden:
        yield Text("control frames hidden", style=WARN)
    if look.note:
        yield Text(escape(look.note), style=WARN)


def _keys(look: Look) -> Iterable[Text]:
    other = {"p": "go on"} if look.paused_at is not None else {}
    if look.control_hidden:
        other["h"] = "show control"
    if look.help:
        other["?"] = "close help"
    if not look.keys:
        yield Text.assemble(("Ctrl-C", "bold"), " ", ("stop", QUIET))
        return
    for key, does in KEYS:
        yield Text.assemble((key, "bold"), " ", (other.get(key, does), QUIET))


def _editing(editor: Editor, current: Filter, width: int) -> list[Text]:
    prompt = "filter: "
    line = Text.assemble((prompt, WARN), escape(editor.text), (" ", "reverse"))
    if line.cell_len > width:
        over = line.cell_len - width + 1
        line = Text.assemble((prompt, WARN), "…", escape(editor.text)[over:], (" ", "reverse"))
    if editor.problem:
        under = min(len(prompt) + Text(editor.text[: editor.column]).cell_len, max(0, width - 2))
        said = [Text(part, style=BAD) for part in wrap(escape(editor.problem), width)]
        return [line, Text.assemble(" " * under, ("↑", BAD)), *said]
    hint = "Enter applies, Esc cancels; from:client  op:text|ping  conn:3  path:/ws  /regex/  !op:ping"
    if current.expression and not editor.text:
        hint = f"now {escape(current.expression)}; Enter on an empty line shows all, Esc keeps it"
    return [line, *(Text(part, style=QUIET) for part in wrap(hint, width))]


def _help() -> list[Text]:
    rows = (
        ("p", "pause, and go on; what passes meanwhile is counted, not shown"),
        ("h", "hide control frames (close, ping, pong), or show them again"),
        ("/", "filter: terms that must all hold, ! before one negates it"),
        ("", "from:client  op:text|ping  conn:3  path:/ws  /regex/; an empty line shows all"),
        ("c", "clear the screen"),
        ("o", "open the page in a browser"),
        ("q", "quit; Ctrl-C as well, a second Ctrl-C at once"),
        ("?", "close this help; Esc as well"),
        ("→ ←", "from the client, from the upstream"),
        ("● ○ ⇄", "a WebSocket opens, closes; a plain HTTP exchange"),
    )
    return [Text.assemble("  ", (f"{key:<7}", "bold"), words_) for key, words_ in rows]


def _flow(items: Iterable[Text], width: int, gap: str = "   ") -> list[Text]:
    """Set `items` side by side, as many as fit, then on the next line; none is broken."""
    lines: list[Text] = []
    for item in items:
        if lines and lines[-1].cell_len + len(gap) + item.cell_len <= width:
            lines[-1].append(gap).append_text(item)
        else:
            lines.append(item)
    return lines
