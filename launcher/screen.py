"""The one owner of the terminal: lines go into its own scrollback, a live footer stays below them.

Strategy
    No alternate screen.  Each drawing erases the footer, row by row from its last to its first, writes the
    new lines there and then the footer again, all in one write and as one synchronized update (DEC mode
    2026), so that terminals which know it never show a half-drawn state.

Rules
    * Lines end one cell before the edge and automatic wrapping is off meanwhile: a terminal that counts the
      cells of an emoji otherwise than we do cannot push the footer onto another row.
    * When the terminal is made narrower, it may have folded the footer: its old lines are counted in rows of
      the new width.
    * Only lines go into the scrollback: some terminals (tmux is one) keep there what `erase below` takes from
      a footer in the first row, so nothing but `clear` erases more than a row at once.
    * Whoever leaves (end, Ctrl-Z, crash) calls `leave`: wrapping on, cursor visible, no footer.
"""

import io
from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.text import Text

from launcher.output import Output

_BEGIN: Final = "\x1b[?2026h\x1b[?25l\x1b[?7l"
"""Synchronized update, cursor hidden, no wrapping."""
_END: Final = "\x1b[?2026l"
_LEAVE: Final = "\x1b[?7h\x1b[?25h\x1b[0m"
_ERASE: Final = "\r\x1b[2K"
_ERASE_ABOVE: Final = "\x1b[A\x1b[2K"
_CLEAR: Final = "\x1b[H\x1b[2J"


class Screen:
    """Draws on a terminal through `output`; `colours` as rich names them, None for none."""

    def __init__(self, output: Output, console: Console) -> None:
        self._output = output
        self._buffer = io.StringIO()
        self._console = Console(
            file=self._buffer,
            force_terminal=True,
            color_system=console.color_system,  # type: ignore[arg-type]  # its own names, typed as str there
            no_color=console.no_color,
            legacy_windows=False,
            width=1000,
            markup=False,
            highlight=False,
            emoji=False,
        )
        self._footer: list[int] = []

    @property
    def busy(self) -> bool:
        """Whether the terminal has not yet taken what was drawn last."""
        return not self._output.idle

    def flush(self, patience: float) -> None:
        """Wait until the terminal has taken everything, `patience` seconds at most."""
        self._output.flush(patience)

    def draw(self, lines: Sequence[Text], footer: Sequence[Text], width: int, *, clear: bool = False) -> None:
        """Put `lines` into the scrollback, and `footer` below them; the terminal is `width` cells wide."""
        above = self._back(width) + (_CLEAR if clear else "")
        text = "".join(f"{self._ansi(line)}\r\n" for line in lines)
        below = "\r\n".join(map(self._ansi, footer))
        self._footer = [line.cell_len for line in footer]
        self._output.write(f"{_BEGIN}{above}{text}{below}{_END}".encode(errors="replace"))

    def leave(self, lines: Sequence[Text], width: int) -> None:
        """Take the footer away, give the terminal back, and put `lines` there, which it may fold."""
        above = self._back(width)
        text = "".join(f"{self._ansi(line)}\r\n" for line in lines)
        self._footer = []
        self._output.write(f"{above}{_LEAVE}{text}".encode(errors="replace"))

    def _back(self, width: int) -> str:
        """Return what erases the footer and goes to its beginning."""
        if not self._footer:
            return _ERASE
        *before, last = self._footer
        rows = sum(max(1, -(-cells // width)) for cells in before) + max(0, last - 1) // width
        return _ERASE + _ERASE_ABOVE * rows

    def _ansi(self, text: Text) -> str:
        """`text` with its styles as escape sequences."""
        self._console.print(text, end="", no_wrap=True, overflow="ignore", crop=False)
        result = self._buffer.getvalue()
        self._buffer.seek(0)
        self._buffer.truncate()
        return result
