"""Messages → lines, for whoever reads stdout; nothing else in the launcher formats.

    live.LivePrinter    a terminal: coloured lines in the scrollback, a live footer below
    PlainPrinter        a pipe, --plain, TERM=dumb: plain lines
    JsonPrinter         --json: the gateway's records as they came, the launcher's own among them

Words for people that are no records (what a child says, what went wrong) go to stderr.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Literal, Protocol

from rich.text import Text

from gateway.events import Event, Listening, encode
from gateway.printable import escape
from gateway.text import lines
from launcher import view
from launcher.events import ChildState, Ready, Summary
from launcher.filter import Filter
from launcher.kit import Kit
from launcher.output import Output
from launcher.session import Session

Action = Literal["quit", "open"]
Own = Ready | ChildState | Summary

PLAIN_WIDTH: Final = 100
"""Cells to which the banner is folded where there is no terminal to ask."""
FLUSH: Final = 1.0
"""Seconds that a reader has, at the end, to take what was written."""


class Printer(Protocol):
    """What the supervisor tells, and how it is shown."""

    def record(self, session: Session, event: Event, raw: bytes) -> None:
        """Show a record of the gateway, not yet folded into `session`; `raw` is its line."""

    def own(self, session: Session, event: Own) -> None:
        """Show a record of the launcher, folded into `session` already."""

    def said(self, child: str, text: str) -> None:
        """Show a line that `child` wrote for people."""

    def note(self, text: str) -> None:
        """Tell something in passing."""

    def press(self, session: Session, key: str) -> Action | None:
        """Take a key; return what the supervisor has to do about it."""

    def refresh(self, session: Session) -> None:
        """Draw what has changed, if it is time to."""

    @property
    def full(self) -> bool:
        """Whether the reader is so far behind that nothing more should be told for now."""

    def suspend(self) -> None:
        """Ctrl-Z: give the terminal back and stop this process until it is continued."""

    def resume(self) -> None:
        """Go on after having been stopped, by whomever: the terminal may be in any state."""

    def close(self, problem: Sequence[str]) -> None:
        """Show the last things, and `problem` (lines) where there is one; give the terminal back."""


class _LinePrinter:
    """What the two printers of lines have in common: no keys, nothing to draw again."""

    def __init__(self, kit: Kit, version: str, chosen: Filter, out: Output, words: Output) -> None:
        self._kit, self._version, self._filter = kit, version, chosen
        self._out, self._words = out, words

    def said(self, child: str, text: str) -> None:
        self.note(f"{child}: {text}")

    def note(self, text: str) -> None:
        self._words.write(f"{escape(text)}\n".encode())

    def press(self, _session: Session, _key: str) -> Action | None:
        return None

    def refresh(self, session: Session) -> None:
        pass

    @property
    def full(self) -> bool:
        return self._out.full

    def suspend(self) -> None:
        pass

    def resume(self) -> None:
        pass

    def close(self, problem: Sequence[str]) -> None:
        self._out.flush(FLUSH)
        _write(self._words, view.problem(problem))
        self._words.flush(FLUSH)

    def _own(self, session: Session, event: Own, to: Output) -> None:
        """Tell people what the launcher's own record says."""
        if isinstance(event, Ready):
            _write(to, view.banner(self._kit, session, self._version, PLAIN_WIDTH))
        elif isinstance(event, Summary) and session.ready:
            _write(to, view.summary(event))


class JsonPrinter(_LinePrinter):
    """Records for a program; people who look on learn from stderr when it is ready and when it is over."""

    def record(self, session: Session, event: Event, raw: bytes) -> None:
        """Pass the record on, byte for byte."""
        if self._filter.shows(event, session.path_of(event)):
            self._out.write(raw + b"\n")

    def own(self, session: Session, event: Own) -> None:
        """Write a record of our own."""
        self._out.write(encode(event))
        self._own(session, event, self._words)


class PlainPrinter(_LinePrinter):
    """The same story in plain lines."""

    def record(self, session: Session, event: Event, _raw: bytes) -> None:
        """Write the record's line; that the gateway listens at the start is what the banner says."""
        at_start = isinstance(event, Listening) and session.ready is None
        if not at_start and self._filter.shows(event, session.path_of(event)):
            self._out.write("".join(f"{each}\n" for each in lines(event)).encode(errors="replace"))

    def own(self, session: Session, event: Own) -> None:
        """Write the banner and the summary."""
        self._own(session, event, self._out)


def _write(to: Output, lines: Iterable[Text]) -> None:
    to.write("".join(f"{text.plain.rstrip()}\n" for text in lines).encode(errors="replace"))
