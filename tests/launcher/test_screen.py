"""The terminal's owner, seen through a terminal emulator: footer below, lines above, nothing left over."""

import io
import os
import re
from collections.abc import Iterator

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from launcher.output import Output
from launcher.screen import Screen

FOOTER = [Text("─" * 30), Text("state"), Text("keys")]


class Emulator:
    """A terminal of `columns` and `lines`, and the screen that draws on it."""

    def __init__(self, columns: int = 40, lines: int = 10, *, no_color: bool = False) -> None:
        self._reading, self._writing = os.pipe()
        self._output = Output(self._writing, on_broken=lambda _: None)
        console = Console(force_terminal=True, color_system="256", no_color=no_color, file=io.StringIO())
        self.screen = Screen(self._output, console)
        self.terminal = pyte.HistoryScreen(columns, lines, history=1000)
        self._stream = pyte.ByteStream(self.terminal)
        self.raw = b""

    def update(self) -> None:
        """Let the terminal take what was drawn."""
        self.screen.flush(5)
        os.set_blocking(self._reading, False)
        try:
            while data := os.read(self._reading, 65536):
                self.raw += data
                self._stream.feed(data)
        except BlockingIOError:
            return

    @property
    def display(self) -> list[str]:
        """The rows that are not empty."""
        self.update()
        return [row.rstrip() for row in self.terminal.display if row.strip()]

    @property
    def history(self) -> list[str]:
        """The rows that have scrolled away."""
        rows = self.terminal.history.top
        return ["".join(row[at].data for at in range(self.terminal.columns)).rstrip() for row in rows]

    def close(self) -> None:
        """End the writing thread."""
        self._output.close(5)
        os.close(self._reading)
        os.close(self._writing)


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """A small terminal."""
    made = Emulator()
    yield made
    made.close()


def test_lines_go_above_the_footer(emulator: Emulator) -> None:
    """New lines are put where the footer was, and the footer moves below them."""
    emulator.screen.draw([Text("one")], FOOTER, 40)
    emulator.screen.draw([Text("two"), Text("three")], FOOTER, 40)
    assert emulator.display == ["one", "two", "three", "─" * 30, "state", "keys"]


def test_the_footer_may_grow_and_shrink(emulator: Emulator) -> None:
    """Nothing of a higher footer stays when a lower one follows."""
    emulator.screen.draw([Text("one")], [*FOOTER, Text("help"), Text("more help")], 40)
    emulator.screen.draw([], FOOTER[1:], 40)
    assert emulator.display == ["one", "state", "keys"]


def test_lines_scroll_into_the_terminals_own_history(emulator: Emulator) -> None:
    """Every line stays readable by scrolling back, each once and in order; the footer is never among them."""
    for number in range(0, 50, 5):
        emulator.screen.draw([Text(f"line {at}") for at in range(number, number + 5)], FOOTER, 40)
    rows = emulator.display
    assert emulator.history + rows == [f"line {number}" for number in range(50)] + ["─" * 30, "state", "keys"]


def test_leaving_gives_the_terminal_back(emulator: Emulator) -> None:
    """Where the footer was there are the last lines; cursor and wrapping are as before."""
    emulator.screen.draw([Text("one")], FOOTER, 40)
    assert (emulator.display[0], emulator.terminal.cursor.hidden) == ("one", True)
    emulator.screen.leave([Text("bye " * 11)], 40)
    assert emulator.display == ["one", "bye " * 9 + "bye", "bye"]
    assert emulator.terminal.cursor.hidden is False
    assert pyte.modes.DECAWM in emulator.terminal.mode
    assert (emulator.terminal.cursor.x, emulator.terminal.cursor.y) == (0, 3)


def test_clearing(emulator: Emulator) -> None:
    """After `c` there is the footer alone, at the top."""
    emulator.screen.draw([Text("one")], FOOTER, 40)
    emulator.screen.draw([], FOOTER, 40, clear=True)
    assert emulator.display == ["─" * 30, "state", "keys"]


def test_only_clearing_erases_more_than_a_row(emulator: Emulator) -> None:
    """A footer in the first row is redrawn row by row: what erases from there on would keep it as history."""
    for footer in ([*FOOTER, Text("help")], FOOTER, FOOTER[1:]):
        emulator.screen.draw([], footer, 40)
    emulator.screen.draw([Text("one")], FOOTER, 40)
    emulator.screen.leave([Text("bye")], 40)
    assert emulator.display == ["one", "bye"]
    assert not re.search(rb"\x1b\[[0-3]?J", emulator.raw)


def test_clearing_takes_the_footer_away_first(emulator: Emulator) -> None:
    """A terminal that keeps what it clears as history keeps lines alone."""
    emulator.screen.draw([Text("one")], FOOTER, 40)
    emulator.update()
    before = len(emulator.raw)
    emulator.screen.draw([], FOOTER, 40, clear=True)
    emulator.update()
    erased, _, _ = emulator.raw[before:].partition(b"\x1b[H\x1b[2J")
    assert erased.count(b"\x1b[2K") == len(FOOTER)


def test_a_narrower_terminal_that_folds(emulator: Emulator) -> None:
    """Where the terminal has folded the footer into more rows, all of them are taken back."""
    emulator.screen.draw([Text("one")], FOOTER, 40)
    emulator.update()
    # What a terminal of 20 columns makes of the footer: the rule of 30 cells takes two rows.
    folded = pyte.Screen(20, 10)
    pyte.Stream(folded).feed("one\r\n" + "─" * 20 + "\r\n" + "─" * 10 + "\r\nstate\r\nkeys")
    emulator.terminal = folded  # type: ignore[assignment]  # a plain screen does as well
    emulator._stream = pyte.ByteStream(folded)
    emulator.screen.draw([Text("two")], [Text("─" * 19), Text("state")], 20)
    assert emulator.display == ["one", "two", "─" * 19, "state"]


def test_no_escape_of_the_payload_reaches_the_terminal(emulator: Emulator) -> None:
    """All escape sequences are our own, whatever a text holds."""
    emulator.screen.draw([Text("a\x07b\rc")], [], 40)
    assert emulator.display[0].startswith("a")
    assert b"\x07" not in emulator.raw


def test_no_color_takes_colours_alone() -> None:
    """With NO_COLOR there are no colours, but bold and the footer are there."""
    plain, colourful = Emulator(no_color=True), Emulator()
    for emulator in (plain, colourful):
        emulator.screen.draw([Text("one", style="bold color(33)")], FOOTER, 40)
        emulator.update()
        assert emulator.terminal.buffer[0][0].bold
        emulator.close()
    assert plain.terminal.buffer[0][0].fg == "default"
    assert colourful.terminal.buffer[0][0].fg == "0087ff"


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(1, 39), max_size=12), st.lists(st.integers(1, 39), min_size=1, max_size=6)
        ),
        max_size=8,
    )
)
def test_whatever_is_drawn_nothing_is_lost_or_doubled(drawings: list[tuple[list[int], list[int]]]) -> None:
    """All lines are there once and in order, and then the last footer."""
    emulator = Emulator()
    expected: list[str] = []
    for lines, footer in drawings:
        emulator.screen.draw(
            [Text("x" * cells) for cells in lines], [Text("=" * cells) for cells in footer], 40
        )
        expected += ["x" * cells for cells in lines]
    rows = emulator.display
    last = ["=" * cells for cells in drawings[-1][1]] if drawings else []
    assert emulator.history + rows == expected + last
    emulator.close()
