"""The printer for a terminal: what is shown of the traffic, and what the keys do.

Strategy
    Records wait until the next drawing, a dozen times a second.  Each drawing shows what an eye and a
    terminal can take: everything while there is little, an even sample of the frames when there is much.
    Opens, closes, violations and errors are the last to be left out.  One line a second, and a number in
    the footer, say how many lines were left out; the totals come from the session and are exact.

Rules
    * Nothing is drawn while the terminal has not taken the last drawing, and nothing piles up meanwhile.
    * A pause shows nothing; when it is over, one line counts what has passed.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import Final

from rich.text import Text

from gateway.events import Event, Frame, Listening, Omitted, Reload, Stopping
from gateway.text import count
from launcher import signals, view
from launcher.events import ChildState, Ready, Summary
from launcher.filter import Filter, FilterError, parse
from launcher.footer import Look, footer
from launcher.keys import ENTER, ESCAPE, Editor
from launcher.kit import Kit
from launcher.output import Output
from launcher.printers import FLUSH, Action, Own
from launcher.screen import Screen
from launcher.session import Session
from launcher.terminal import Keyboard
from launcher.view import CONTROL

DRAWING: Final = 1 / 12
"""Seconds between two drawings."""
LINES: Final = 12
"""Lines of steady traffic in each drawing; an eye takes in less."""
BURST: Final = 150
"""Lines of traffic that comes all at once after some quiet."""
KEPT: Final = 4_000
"""Records that wait for the next drawing at most."""
ACTIONS: Final[dict[str, Action]] = {"q": "quit", "o": "open"}
"""Keys that are the supervisor's business."""
TELL: Final = 1.0
"""Seconds between two lines that tell how many others were left out."""
FILTER_PATIENCE: Final = 0.3
"""Seconds that a filter may take over what came since the last drawing."""


_Waiting = Text | tuple[Event, str | None]
"""A line for the next drawing: ready, or a record and the path of its connection."""


class LivePrinter:
    """Draws on `screen`, which is `size()` cells wide and high; without a keyboard there are no keys."""

    def __init__(  # noqa: PLR0913  (the terminal comes in its parts, so that each can be another one)
        self,
        kit: Kit,
        version: str,
        chosen: Filter,
        *,
        screen: Screen,
        keyboard: Keyboard | None,
        words: Output,
        size: Callable[[], os.terminal_size],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kit, self._version = kit, version
        self._screen, self._keyboard, self._words = screen, keyboard, words
        self._size, self._clock = size, clock
        self._look = Look(filter=chosen, keys=keyboard is not None)
        self._waiting: list[_Waiting] = []
        self._budget = BURST
        self._untold = 0
        """Lines that were left out and not yet told of."""
        self._drawn: object = None
        self._drawn_at = self._told_at = -1.0
        self._clear = False

    def record(self, session: Session, event: Event, _raw: bytes) -> None:
        """Keep the record for the next drawing."""
        if self._look.paused_at is not None or isinstance(event, Stopping):
            return
        if isinstance(event, Listening) and session.ready is None:
            return  # which is what the banner says
        if isinstance(event, Omitted):
            self._leave_out(event.frames)
            return
        if isinstance(event, Frame) and self._look.control_hidden and event.opcode in CONTROL:
            return
        self._add((event, session.path_of(event)))
        for problem in event.problems if isinstance(event, Reload) else ():
            for line in view.below(problem, self._size().columns - 1):
                self._add(line)

    def own(self, session: Session, event: Own) -> None:
        """Show the banner and the summary; a child's state is in the footer."""
        width = self._size().columns - 1
        match event:
            case Ready():
                self._waiting += view.banner(self._kit, session, self._version, width)
                if chosen := self._look.filter.expression:
                    self._add(view.filtering(chosen, width))
            case Summary() if session.ready:
                self._waiting += view.summary(event)
            case ChildState(state="stopping"):
                self._look = replace(self._look, stopping=True, editor=None, help=False)
                self._go_on(session)

    def said(self, child: str, text: str) -> None:
        """Show it among the records."""
        self._add(view.said_by(child, text, self._size().columns - 1))

    def note(self, text: str) -> None:
        """Show it in the footer until the next key."""
        self._look = replace(self._look, note=text)

    def press(self, session: Session, key: str) -> Action | None:
        """Do what the key says; the editor takes all keys while it is open."""
        look = self._look = replace(self._look, note="")
        if look.editor:
            self._edit(look.editor, key)
            return None
        match key:
            case "p" if look.paused_at is None:
                self._look = replace(look, paused_at=session.frames)
            case "p":
                self._go_on(session)
            case "h":
                self._look = replace(look, control_hidden=not look.control_hidden)
            case "/":
                self._look = replace(look, editor=Editor())
            case "c":
                self._waiting.clear()
                self._clear, self._untold = True, 0
            case "?" | "escape":
                self._look = replace(look, help=key == "?" and not look.help)
        return ACTIONS.get(key)

    def _edit(self, editor: Editor, key: str) -> None:
        if key == ESCAPE:
            self._look = replace(self._look, editor=None)
        elif key == ENTER:
            try:
                self._choose(parse(editor.text))
            except FilterError as error:
                self._look = replace(self._look, editor=editor.wrong(error.problem, error.column))
        else:
            self._look = replace(self._look, editor=editor.press(key))

    def _choose(self, chosen: Filter) -> None:
        """Let `chosen` hold from here on, and say so among the lines: those above came through another."""
        if chosen.expression != self._look.filter.expression:
            self._add(view.filtering(chosen.expression, self._size().columns - 1))
        self._look = replace(self._look, filter=chosen, editor=None)

    def _go_on(self, session: Session) -> None:
        """End a pause, if there is one."""
        if self._look.paused_at is None:
            return
        passed = session.frames - self._look.paused_at
        if passed:
            self._add(view.left_out(count(passed, "frame"), "paused"))
        self._look = replace(self._look, paused_at=None)

    def refresh(self, session: Session) -> None:
        """Draw, if it is time to, the terminal is ready, and there is something new."""
        now = self._clock()
        if now - self._drawn_at < DRAWING or self._screen.busy:
            return
        size = self._size()
        new = (session, self._look, size)
        if self._waiting or self._clear or self._untold or new != self._drawn:
            self._draw(session, now, size)
            self._drawn = (session, self._look, size)
        self._drawn_at = now

    def _draw(self, session: Session, now: float, size: os.terminal_size) -> None:
        width = size.columns - 1
        lines = self._take(width)
        if self._untold and now - self._told_at >= TELL:
            lines.append(view.left_out(count(self._untold, "line"), "too many at once"))
            self._untold, self._told_at = 0, now
        # One row stays for the lines themselves, however low the terminal is.
        below = footer(session, self._look, width, max(1, size.lines - 1))
        self._screen.draw(lines, below, size.columns, clear=self._clear)
        self._clear = False

    def _take(self, width: int) -> list[Text]:
        """Draw a fair choice of what has been waiting."""
        waiting, self._waiting = self._waiting, []
        shows = self._look.filter.shows
        try:
            with _patience(FILTER_PATIENCE):
                chosen = [each for each in waiting if isinstance(each, Text) or shows(*each)]
        except TimeoutError:
            why = "the filter took too long and is off"
            self._look = replace(self._look, filter=Filter(), note=why)
            chosen = [view.filtering("", width, why), *waiting]
        self._budget = min(BURST, self._budget + LINES)
        if len(chosen) > self._budget:
            sampled = _sample(chosen, self._budget)
            self._leave_out(len(chosen) - len(sampled))
            chosen = sampled
        self._budget = max(0, self._budget - len(chosen))
        return [each if isinstance(each, Text) else view.record(each[0], width) for each in chosen]

    def _add(self, line: _Waiting) -> None:
        if len(self._waiting) < KEPT:
            self._waiting.append(line)
        else:
            self._leave_out(1)

    def _leave_out(self, lines: int) -> None:
        self._untold += lines
        self._look = replace(self._look, left_out=self._look.left_out + lines)

    @property
    def full(self) -> bool:
        """Never: what the terminal cannot take is left out."""
        return False

    def suspend(self) -> None:
        """Give the terminal back, stop, and take it again when we go on."""
        self._leave([])
        signals.suspend()
        self.resume()

    def resume(self) -> None:
        """Take the terminal, in whatever state it is by now."""
        if self._keyboard:
            self._keyboard.take()
        self._drawn = None

    def _leave(self, lines: Sequence[Text]) -> None:
        try:
            self._screen.leave(lines, self._size().columns)
            self._screen.flush(FLUSH)
        finally:
            if self._keyboard:
                self._keyboard.give_back()

    def close(self, problem: Sequence[str]) -> None:
        """Show what is still waiting, then leave the terminal as it was."""
        lines = self._take(self._size().columns - 1)
        if self._untold:
            lines.append(view.left_out(count(self._untold, "line"), "too many at once"))
        if problem and sys.stderr.isatty():
            lines += view.problem(problem)
        self._leave(lines)
        if problem and not sys.stderr.isatty():
            self._words.write("".join(f"{text.plain}\n" for text in view.problem(problem)).encode())
            self._words.flush(FLUSH)


def _sample(lines: Sequence[_Waiting], room: int) -> list[_Waiting]:
    """Choose `room` of `lines`, in order: words of the kit all, then what is no frame, then frames.

    Where not all of a kind find room, it is those at even distances.
    """
    words = [at for at, each in enumerate(lines) if isinstance(each, Text)]
    frames = [at for at, each in enumerate(lines) if isinstance(each, tuple) and isinstance(each[0], Frame)]
    others = sorted(set(range(len(lines))) - set(words) - set(frames))
    chosen = words + _even(others, room - len(words))
    chosen += _even(frames, room - len(chosen))
    return [lines[at] for at in sorted(chosen)]


def _even(places: Sequence[int], room: int) -> list[int]:
    """Choose at most `room` of `places` at even distances."""
    if len(places) <= room:
        return list(places)
    room = max(0, room)
    return [places[number * len(places) // room] for number in range(room)]


@contextmanager
def _patience(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the block when it takes longer, where the system has alarms (POSIX).

    A regular expression can take for ever, and Python's engine looks up from it for nothing but a signal.
    """
    if sys.platform == "win32":
        yield
    else:

        def give_up(_number: int, _frame: FrameType | None) -> None:
            raise TimeoutError

        before = signal.signal(signal.SIGALRM, give_up)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
