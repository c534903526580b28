"""The printer for a terminal: what is shown, what is left out, and what the keys do."""

import os
import sys
from collections.abc import Iterator, Sequence

import pytest
from rich.text import Text

from gateway.events import Event
from launcher.filter import parse
from launcher.live import BURST, DRAWING, KEPT, LINES, LivePrinter, _sample
from launcher.output import Output
from launcher.session import Session, fold
from tests.launcher import records
from tests.launcher.kits import kit

READY = fold(Session(), records.ready())


class Paper:
    """A screen that remembers what is drawn."""

    def __init__(self) -> None:
        self.busy = False
        self.lines: list[str] = []
        self.footer: list[str] = []
        self.drawings = 0
        self.cleared = 0
        self.left = False

    def draw(
        self, lines: Sequence[Text], footer: Sequence[Text], _width: int, *, clear: bool = False
    ) -> None:
        """Remember."""
        self.lines += [line.plain for line in lines]
        self.footer = [line.plain for line in footer]
        self.drawings += 1
        self.cleared += clear

    def leave(self, lines: Sequence[Text], _width: int) -> None:
        """Remember."""
        self.lines += [line.plain for line in lines]
        self.left = True

    def flush(self, _patience: float) -> None:
        """Everything is on paper already."""


class Keyboard:
    """A keyboard that remembers whose it is."""

    taken = False

    def take(self) -> None:
        """Ours."""
        self.taken = True

    def give_back(self) -> None:
        """No longer ours."""
        self.taken = False


class Desk:
    """A live printer on paper, with a clock that the test moves."""

    def __init__(self, words: Output, expression: str = "") -> None:
        self.paper = Paper()
        self.keyboard = Keyboard()
        self.now = 100.0
        self.session = READY
        self.printer = LivePrinter(
            kit(),
            "1.2.3",
            parse(expression),
            screen=self.paper,  # type: ignore[arg-type]  # draws the same
            keyboard=self.keyboard,  # type: ignore[arg-type]  # as above
            words=words,
            size=lambda: os.terminal_size((100, 30)),
            clock=lambda: self.now,
        )

    def record(self, *events: Event) -> None:
        """Let records come."""
        for event in events:
            self.printer.record(self.session, event, b"")
            self.session = fold(self.session, event)

    def draw(self) -> str:
        """Let the time of a drawing pass; return the lines that it shows."""
        self.now += DRAWING * 1.01
        before = len(self.paper.lines)
        self.printer.refresh(self.session)
        return "\n".join(self.paper.lines[before:])

    def press(self, *keys: str) -> None:
        """Press keys."""
        for key in keys:
            self.printer.press(self.session, key)

    def type(self, text: str) -> None:
        """Press the keys of a text."""
        self.press(*text)

    @property
    def footer(self) -> str:
        """The footer as it was drawn last."""
        return "\n".join(self.paper.footer)


@pytest.fixture
def words() -> Iterator[Output]:
    """An stderr that nobody reads."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    output = Output(descriptor, lambda _: None)
    yield output
    output.close(5)
    os.close(descriptor)


@pytest.fixture
def desk(words: Output) -> Desk:
    """A live printer after the banner."""
    return Desk(words)


def test_what_comes_in_order_is_shown_in_order(desk: Desk) -> None:
    """Banner, what a child says, and records stand as they came."""
    desk.printer.own(desk.session, records.ready())
    desk.record(records.opened())
    desk.printer.said("upstream", "a word")
    desk.record(records.frame("first"))
    shown = desk.draw()
    places = [shown.index(words) for words in ("http://localhost:8080/", "open", "a word", "first")]
    assert places == sorted(places)


def test_nothing_new_is_not_drawn_again(desk: Desk) -> None:
    """A quiet kit draws nothing."""
    desk.draw()
    before = desk.paper.drawings
    for _ in range(10):
        desk.draw()
    assert desk.paper.drawings == before


def test_a_busy_terminal_is_waited_for(desk: Desk) -> None:
    """While the last drawing has not been taken, nothing is drawn, and little is kept."""
    desk.paper.busy = True
    desk.record(*(records.frame() for _ in range(KEPT * 2)))
    assert desk.draw() == ""
    assert len(desk.printer._waiting) == KEPT
    desk.paper.busy = False
    assert desk.draw()
    assert desk.session.frames == KEPT * 2


def test_a_burst_is_shown_whole(desk: Desk) -> None:
    """What fits into a screen or a few is all there."""
    desk.record(*(records.frame(f"burst {number}") for number in range(100)))
    assert desk.draw().count("burst") == 100


def test_steady_traffic_is_sampled(desk: Desk) -> None:
    """Thousands a second: a few lines in each drawing, evenly chosen, the rest told and counted."""
    for turn in range(48):
        desk.record(*(records.frame(f"steady {turn * 200 + number}") for number in range(200)))
        desk.draw()
    shown = [line for line in desk.paper.lines if "steady" in line]
    told = [line for line in desk.paper.lines if "left out: too many at once" in line]
    assert len(shown) <= BURST + 48 * LINES
    assert 3 <= len(told) <= 6
    counted = sum(int(line.split()[1].replace(",", "")) for line in told) + desk.printer._untold
    assert len(shown) + counted == 48 * 200
    assert f"⋯ {48 * 200 - len(shown):,} lines left out" in desk.footer
    assert "9,600 frames" in desk.footer
    numbers = [int(line.split("steady ")[1]) for line in shown]
    assert numbers == sorted(numbers)


def test_opens_and_closes_are_the_last_to_go(desk: Desk) -> None:
    """Among thousands of frames, what stands out is shown."""
    desk.record(*(records.frame() for _ in range(1000)))
    desk.record(records.opened(), records.violation(), records.error("an error"), records.closed())
    desk.record(*(records.frame() for _ in range(1000)))
    shown = desk.draw()
    for words in ("open ", "a reserved opcode", "an error", "closed"):
        assert words in shown


def test_frames_that_the_log_left_out_are_counted(desk: Desk) -> None:
    """`omitted` records are no lines of their own, but part of the count and of the totals."""
    desk.record(records.omitted(frames=500))
    assert "500 lines left out: too many" in desk.draw()
    assert "500 frames" in desk.footer
    assert "500 lines left out" in desk.footer


def test_pause(desk: Desk) -> None:
    """While paused nothing is shown; afterwards one line counts what passed, and what follows is shown."""
    desk.press("p")
    desk.record(records.frame("unseen"), records.frame("unseen"), records.omitted(frames=10))
    assert desk.draw() == ""
    assert "PAUSED  12 frames passed" in desk.footer
    desk.press("p")
    desk.record(records.frame("seen"))
    shown = desk.draw()
    assert "12 frames left out: paused" in shown
    assert "unseen" not in shown
    assert "seen" in shown
    assert "PAUSED" not in desk.footer


def test_a_pause_in_which_nothing_passed_leaves_no_line(desk: Desk) -> None:
    """There is nothing to count."""
    desk.press("p", "p")
    assert "left out" not in desk.draw()


def test_control_frames_are_hidden_and_shown(desk: Desk) -> None:
    """Pings, pongs and Close frames go at `h`, and come back; that a tunnel closed is always told."""
    control = [records.frame(opcode=opcode) for opcode in ("ping", "pong", "close")]
    desk.record(*control)
    assert len(desk.draw().splitlines()) == 3
    desk.press("h")
    desk.record(*control, records.closed())
    shown = desk.draw()
    assert len(shown.splitlines()) == 1
    assert "closed" in shown
    desk.press("h")
    desk.record(*control)
    assert len(desk.draw().splitlines()) == 3


def test_the_filter_editor(desk: Desk) -> None:
    """`/` opens it, keys go into it, a wrong one is told in place, Enter applies, `/` and Enter show all."""
    desk.press("/")
    desk.type("op:pingq")
    desk.press("enter")
    desk.draw()
    assert "filter: op:pingq" in desk.footer
    assert '"pingq" is no opcode' in desk.footer
    desk.press("backspace")
    desk.draw()
    assert "is no opcode" not in desk.footer
    desk.press("enter")
    desk.record(records.frame("hidden"), records.frame("shown", opcode="ping"))
    shown = desk.draw()
    assert "shown" in shown
    assert "hidden" not in shown
    assert "⋯  filter op:ping" in shown
    assert "filter op:ping" in desk.footer
    desk.press("/")
    desk.draw()
    assert "now op:ping; Enter on an empty line shows all, Esc keeps it" in desk.footer
    desk.press("enter")
    desk.record(records.frame("again"))
    shown = desk.draw()
    assert "again" in shown
    assert "⋯  no filter" in shown


def test_another_filter_is_typed_without_taking_the_first_away(desk: Desk) -> None:
    """What is typed after `/` is the filter, whatever held before; the same one again is not told again."""
    desk.press("/", *"conn:1", "enter", "/", *"conn:2", "enter")
    assert "⋯  filter conn:2" in desk.draw()
    assert "filter conn:2" in desk.footer
    desk.press("/", *"conn:2", "enter")
    assert "filter" not in desk.draw()


def test_escape_leaves_the_filter_as_it_was(desk: Desk) -> None:
    """Esc cancels what was typed."""
    desk.press("/")
    desk.type("op:ping")
    desk.press("escape")
    desk.record(records.frame("shown"))
    assert "shown" in desk.draw()
    assert "filter" not in desk.footer.replace("/ filter", "")


def test_the_filter_of_the_command_line(words: Output) -> None:
    """`--filter` holds from the beginning."""
    desk = Desk(words, "from:upstream")
    desk.printer.own(desk.session, records.ready())
    desk.record(records.frame("hidden"))
    shown = desk.draw()
    assert "hidden" not in shown
    assert shown.endswith("⋯  filter from:upstream")
    assert "filter from:upstream" in desk.footer


@pytest.mark.skipif(sys.platform == "win32", reason="there are no alarms")
def test_a_filter_that_takes_for_ever_is_switched_off(words: Output) -> None:
    """A catastrophic regular expression costs a moment, is told, and is gone."""
    desk = Desk(words, "/(a+)+$/")
    desk.record(records.frame("a" * 60 + "!"))
    shown = desk.draw()
    assert shown.index("no filter: the filter took too long") < shown.index("aaa")
    desk.draw()
    assert "the filter took too long and is off" in desk.footer
    desk.press("x")
    desk.draw()
    assert "took too long" not in desk.footer


def test_help(desk: Desk) -> None:
    """`?` opens and closes it, Esc closes it."""
    for close in ("?", "escape"):
        desk.press("?")
        desk.draw()
        assert "close this help" in desk.footer
        desk.press(close)
        desk.draw()
        assert "close this help" not in desk.footer


def test_clear(desk: Desk) -> None:
    """`c` clears the screen of what was shown and of what was about to be."""
    desk.record(records.frame("old"))
    desk.press("c")
    assert "old" not in desk.draw()
    assert desk.paper.cleared == 1


def test_what_the_supervisor_has_to_do(desk: Desk) -> None:
    """`q` and `o` are its business; while the editor is open, they are letters."""
    assert desk.printer.press(desk.session, "q") == "quit"
    assert desk.printer.press(desk.session, "o") == "open"
    assert desk.printer.press(desk.session, "x") is None
    desk.press("/")
    assert desk.printer.press(desk.session, "q") is None


def test_stopping_ends_pause_editor_and_help(desk: Desk) -> None:
    """What passes at the stop is seen: the goodbyes of both sides."""
    desk.press("p", "?", "/")
    desk.session = fold(desk.session, records.child("gateway", "stopping"))
    desk.printer.own(desk.session, records.child("gateway", "stopping"))
    desk.record(records.closed())
    assert "closed" in desk.draw()
    assert "STOPPING" in desk.footer
    assert "filter:" not in desk.footer


def test_going_on_takes_the_keyboard_and_draws_anew(desk: Desk) -> None:
    """After a stop by whomever, the terminal may be in any state."""
    desk.draw()
    before = desk.paper.drawings
    desk.printer.resume()
    desk.draw()
    assert desk.keyboard.taken
    assert desk.paper.drawings == before + 1
    desk.printer.close([])
    assert not desk.keyboard.taken


def test_closing_shows_what_is_left(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last records, the summary and the problem are shown, and the terminal is given back."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    desk.record(records.frame("last"))
    desk.printer.own(desk.session, records.summary())
    desk.printer.close(["The gateway has ended"])
    shown = "\n".join(desk.paper.lines)
    assert desk.paper.left
    assert shown.index("last") < shown.index("Stopped after") < shown.index("✗ The gateway has ended")


def test_the_size_of_the_terminal_is_looked_up_again(desk: Desk) -> None:
    """A terminal that has another size is drawn anew, though nothing else is new."""
    desk.draw()
    desk.printer._size = lambda: os.terminal_size((60, 30))
    desk.draw()
    assert max(map(len, desk.paper.footer)) <= 59


def test_words_of_the_kit_are_never_left_out() -> None:
    """However little room there is, a summary and a notice are shown; records make room for them."""
    record: tuple[Event, str | None] = (records.closed(), None)
    words = [Text("Stopped after 3 s"), Text("→ from the client"), Text("← from the upstream")]
    lines: list[Text | tuple[Event, str | None]] = [record, words[0], record, words[1], record, words[2]]
    assert _sample(lines, 1) == words
    assert _sample(lines, 4) == [record, *words]
