"""The footer: how everything stands, in as many cells and rows as there are."""

from dataclasses import replace
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.printable import escape
from launcher.filter import parse
from launcher.footer import FOOTER_WIDTH, Look, footer
from launcher.keys import Editor
from launcher.session import Session, SessionEvent, Tick, fold
from tests.launcher import records

EVENTS: tuple[SessionEvent, ...] = (
    Tick(0),
    records.child("upstream"),
    records.child("gateway"),
    records.ready(),
    records.opened(1),
    records.opened(2),
    records.closed(2),
    records.omitted(frames=1234, bytes_=200_000),
    records.frame(sender="upstream", len=10, header_len=2),
    Tick(2_000_000_000),
)
RUNNING = reduce(fold, EVENTS, Session())


def shown(look: Look, width: int = 119, height: int = 30, session: Session = RUNNING) -> str:
    """The footer as text."""
    return "\n".join(line.plain for line in footer(session, look, width, height))


def test_it_tells_how_everything_stands() -> None:
    """States, URLs, connections, exact frames, bytes and rates each way, and the keys."""
    text = shown(Look())
    for words in (
        "● gateway http://localhost:8080",
        "● upstream http://localhost:9090",
        "1 of 2 connections open",
        "→ client 1,234 frames 195.3 KiB  617/s 98 KiB/s",
        "← upstream 1 frame 12 B  0.5/s 0.0 KiB/s",
        "p pause",
        "q quit",
        "? help",
    ):
        assert words in text
    assert "left out" not in text


@pytest.mark.parametrize(
    ("look", "words"),
    [
        (Look(left_out=4321), "⋯ 4,321 lines left out"),
        (Look(paused_at=1000), " PAUSED  235 frames passed"),
        (Look(paused_at=1000), "p go on"),
        (Look(filter=parse("from:client")), "filter from:client"),
        (Look(control_hidden=True), "control frames hidden"),
        (Look(control_hidden=True), "h show control"),
        (Look(help=True), "hide control frames (close, ping, pong)"),
        (Look(help=True), "? close help"),
        (Look(note="no browser"), "no browser"),
        (Look(stopping=True), " STOPPING "),
        (Look(keys=False), "Ctrl-C stop"),
        (Look(editor=Editor("op:te")), "filter: op:te"),
    ],
)
def test_it_tells_what_was_asked_for(look: Look, words: str) -> None:
    """Each setting of the view is seen."""
    assert words in shown(look)


def test_a_problem_stands_under_its_place() -> None:
    """What is wrong with a filter is pointed at, in cells, with the words below."""
    lines = shown(Look(editor=Editor("/日/ op:tex").wrong('"tex" is no opcode', 7))).splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("filter: "))
    assert lines[at + 1].index("↑") == len("filter: ") + 8
    assert lines[at + 2] == '"tex" is no opcode'


def test_before_readiness_it_tells_the_states_alone() -> None:
    """While the children start there are no keys and no totals."""
    starting = reduce(
        fold, (records.child("upstream", "starting"), records.child("gateway", "starting")), Session()
    )
    text = shown(Look(), session=starting)
    assert "○ gateway starting  ○ upstream starting" in text
    assert "quit" not in text


def test_an_ended_child_is_marked() -> None:
    """A child that has ended has another sign, not only another colour."""
    assert "✗ upstream exited" in shown(Look(), session=fold(RUNNING, records.child("upstream", "exited", 1)))


@pytest.mark.parametrize("width", [59, 79])
def test_a_usual_terminal_has_room_for_all(width: int) -> None:
    """At 60 and 80 columns nothing is cut."""
    text = shown(Look(paused_at=0, filter=parse("from:client op:text"), left_out=1234), width)
    assert "…" not in text
    assert len(text.splitlines()) <= 8


LOOKS = st.builds(
    Look,
    paused_at=st.none() | st.just(0),
    control_hidden=st.booleans(),
    editor=st.none() | st.builds(Editor, st.text(), st.text(max_size=80), st.integers(0, 200)),
    help=st.booleans(),
    left_out=st.integers(0, 10**9),
    stopping=st.booleans(),
    note=st.text(max_size=100),
)


@given(LOOKS, st.integers(10, 220), st.integers(1, 50))
def test_it_fits_whatever_there_is_to_say(look: Look, width: int, height: int) -> None:
    """The footer is never higher than it may be, nor wider, nor does it hold what a terminal would obey."""
    lines = footer(RUNNING, look, width, height)
    assert 1 <= len(lines) <= height
    assert all(line.cell_len <= min(width, FOOTER_WIDTH) for line in lines[1:])
    assert lines[0].cell_len <= width
    assert all(line.plain == escape(line.plain) for line in lines)


def test_the_rule_spans_the_terminal() -> None:
    """However wide it is, the footer is told apart from what stands above."""
    for width in (59, 199):
        assert shown(Look(), width).splitlines()[0] == "─" * width


def test_a_low_terminal_keeps_the_editor() -> None:
    """Where rows are few, those that a person needs to go on stay."""
    text = shown(replace(Look(help=True), editor=Editor("conn:")), height=3)
    assert "filter: conn:" in text
