"""What is drawn: one record a line, no wider than it may be, and nothing but text from the wire."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.events import Error, Event, SideTotals
from gateway.printable import escape
from launcher import view
from launcher.files import ConfigFile
from launcher.kit import GATEWAY, UPSTREAM
from launcher.session import Session, fold
from tests.launcher import records
from tests.launcher.kits import kit, part
from tests.launcher.records import frame

READY = fold(Session(), records.ready())
HOSTILE = st.text(st.characters()) | st.sampled_from(
    ["日本語" * 30, "👍" * 80, "[bold red]", "\x1b[2J" * 20, ":smile:"]
)


@given(st.integers(20, 220), HOSTILE, st.sampled_from(["text", "close", "ping", "binary"]))
def test_a_record_is_one_line_of_the_width(width: int, text: str, opcode: str) -> None:
    """Whatever a payload holds, its line has no break, no control character, and fits."""
    for event in (
        frame(text, opcode=opcode, code=1000, reason=text),
        records.opened(path=text),
        records.request(text),
        records.violation(what=text),
        records.error(text),
    ):
        drawn = view.record(event, width)
        assert drawn.cell_len <= width
        assert drawn.plain == escape(drawn.plain)
        assert len(drawn.plain.splitlines()) == 1


@pytest.mark.parametrize("event", records.EVERY)
@pytest.mark.parametrize("width", [60, 100, 200])
def test_every_kind_of_record_is_drawn(event: Event, width: int) -> None:
    """There is a line for each kind."""
    assert view.record(event, width).plain.strip()


def test_a_long_preview_is_cut_as_a_short_one() -> None:
    """Where a megabyte is to be shown, the line is that of its beginning, and says that it goes on."""
    for piece in ("\x1b[2J日", "e\u0301\u0302\u0303", "👍"):
        short, long = (view.record(frame(piece * times), 80) for times in (300, 200_000))
        assert long.plain.endswith("…")
        assert (short.plain, short.cell_len) == (long.plain, long.cell_len)


def test_markup_is_only_text() -> None:
    """Rich's markup and emoji codes are shown as they were sent."""
    assert "[bold]x[/bold] :smile:" in view.record(frame("[bold]x[/bold] :smile:"), 100).plain


def test_directions_differ_by_glyph_and_place() -> None:
    """Without any colour, a client's frame and an upstream's are told apart, narrow and wide."""
    for width in (60, 120):
        client = view.record(frame(), width).plain
        upstream = view.record(frame(sender="upstream"), width).plain
        assert "→" in client
        assert "←" in upstream
        assert client.index("→") < upstream.index("←")


def test_what_is_cut_says_so() -> None:
    """A line that does not fit ends in an ellipsis, at the cell where the room ends."""
    assert view.record(frame("日" * 100), 80).plain.endswith("…")
    assert view.record(frame("x" * 100), 80).cell_len == 80
    assert not view.record(frame("short"), 80).plain.endswith("…")


@pytest.mark.parametrize(
    ("width", "rest"),
    [
        (119, "504.4 ms  by the client: 1001 Going Away · → 3 frames 46 B · ← 4 frames 120 B"),
        (99, "504.4 ms  client 1001 Going Away → 3 frames 46 B ← 4 frames 120 B"),
        (79, "504.4 ms  client 1001 → 3 frames 46 B ← 4 frames 120 B"),
    ],
)
def test_a_closed_line_keeps_its_sums(width: int, rest: str) -> None:
    """Where there is little room, words go and numbers stay."""
    event = records.closed(
        ms=504.4,
        client=SideTotals(code=1001, reason=None, frames=3, bytes=46),
        upstream=SideTotals(code=1001, reason=None, frames=4, bytes=120),
    )
    assert view.record(event, width).plain.endswith(rest)


def test_a_usual_error_names_the_upstream_at_80_columns() -> None:
    """Its most telling words come first; what they concern only where there is room."""
    url = "http://localhost:9090"
    event = Error(
        time=records.TIME,
        t_ns=1,
        message=f"{url} refused the connection; nothing listens there",
        client="127.0.0.1:50000",
        method="GET",
        path="/ws",
        upstream=url,
        status=502,
    )
    assert view.record(event, 79).plain.endswith("502  localhost:9090 refused the connection")
    assert view.record(event, 105).plain.endswith(
        "502  localhost:9090 refused the connection; nothing listens there"
    )
    assert view.record(event, 199).plain.endswith(" · GET /ws · from 127.0.0.1:50000")


def test_a_connection_keeps_its_colour() -> None:
    """Neighbours differ, and a number always has the same."""
    styles = [view.conn_style(conn) for conn in range(1, 11)]
    assert len(set(styles)) == 10
    assert view.conn_style(11) == styles[0]


@pytest.mark.parametrize(
    ("event", "style"),
    [
        (records.closed(), view.GOOD),
        (records.closed(by="gateway"), view.GOOD),
        (records.closed(client=SideTotals(code=4000, reason="", frames=1, bytes=8)), view.GOOD),
        (records.closed(client=SideTotals(code=1002, reason="", frames=1, bytes=8)), view.BAD),
        (records.closed(how="reset"), view.BAD),
        (records.closed(how="fin"), view.BAD),
    ],
)
def test_a_bad_end_stands_out(event: Event, style: str) -> None:
    """A tunnel that ended without a proper Close, or with a code for a failure, is drawn as such."""
    assert style in {str(span.style) for span in view.record(event, 100).spans}


def test_the_banner_shows_the_url_and_the_way() -> None:
    """The page's URL, the way of a frame, and the config stand in the banner."""
    shown = "\n".join(line.plain for line in view.banner(kit(), READY, "1.2.3", 100))
    assert " http://localhost:8080/ " in shown
    assert "browser ←──→ gateway localhost:8080 ←──→ upstream localhost:9090" in shown
    assert "./config.yaml" in shown
    assert "1.2.3" in shown
    assert "network" not in shown


def test_the_banner_says_what_others_can_reach_and_what_is_bypassed() -> None:
    """What deserves a word is said: open doors, another upstream, further servers, the user's own page."""
    told = replace(
        kit(
            part(UPSTREAM), part(GATEWAY, hosts=("0.0.0.0", "::1")), bypassed="the config sends nothing here"
        ),
        page=Path("static", "index.html"),
    )
    session = fold(Session(), records.ready(["http://localhost:8080", "http://localhost:8081"]))
    shown = "\n".join(line.plain for line in view.banner(told, session, "1.2.3", 100))
    for words in (
        "other machines can reach the gateway: port 8080 is open on every interface",
        "the config sends nothing here",
        "also     http://localhost:8081",
        f"page     ./{Path('static', 'index.html')}",
    ):
        assert words in shown
    assert "try " not in shown


def test_the_banner_without_the_upstream() -> None:
    """With the gateway alone, the way leads to where the config sends, and nothing is said of our page."""
    session = fold(Session(), records.ready(upstream=None))
    shown = "\n".join(line.plain for line in view.banner(kit(part()), session, "1.2.3", 100))
    assert "upstream localhost:9090" in shown
    assert "without the gateway" not in shown


@pytest.mark.parametrize("width", [40, 59, 79, 99, 199])
def test_the_banner_fits(width: int) -> None:
    """No line of the banner is wider than the terminal, and none of its words are lost."""
    told = kit(part(UPSTREAM), part(GATEWAY, hosts=("0.0.0.0",)))
    lines = view.banner(told, READY, "1.2.3", width)
    assert all(line.cell_len <= width for line in lines)
    assert "every interface" in " ".join(" ".join(line.plain.split()) for line in lines)


def test_no_banner_before_readiness() -> None:
    """Nothing is announced that does not answer."""
    assert view.banner(kit(), Session(), "1.2.3", 100) == []


def test_the_summary_is_exact() -> None:
    """Duration, connections, frames and bytes each way, to the byte."""
    shown = [line.plain for line in view.summary(records.summary(ms=65_000))]
    assert shown == [
        "Stopped after 1m 05s: 2 WebSocket connections",
        "  → from the client   3 frames, 1,234,567 bytes",
        "  ← from the upstream 0 frames, 0 bytes",
    ]


def test_what_a_child_says_is_escaped() -> None:
    """A child's words may quote what came over the network."""
    assert view.said_by("gateway", "bad \x1b[2J", 80).plain == r"gateway: bad \x1b[2J"


def test_a_problem_of_a_reload_is_whole() -> None:
    """It is folded at spaces, and escaped."""
    told = "config.yaml:34:3: spec.loadBalancer: unknown field; did you mean loadBalancers? \x1b[2J"
    lines = [line.plain for line in view.below(told, 40)]
    assert all(len(line) <= 40 for line in lines)
    assert len(lines) > 2
    assert " ".join(line.strip() for line in lines) == told.replace("\x1b", r"\x1b")


def test_a_problem_of_a_reload_is_folded_by_cells() -> None:
    """A wide character takes two; a word that is too long is broken, and no character is lost."""
    told = "日本語" * 30 + " and " + "x" * 50
    lines = view.below(told, 40)
    assert all(line.cell_len <= 40 for line in lines)
    assert "".join(line.plain.strip() for line in lines) == told.replace(" ", "")


def test_what_went_wrong_is_escaped() -> None:
    """A child's last lines may quote what came over the network."""
    shown = "".join(line.plain for line in view.problem(["The gateway ended", "bad \x1b[2J\x9b2J\u202e"]))
    assert shown == r"✗ The gateway ended  bad \x1b[2J\x9b2J\u202e"


def test_the_banner_is_escaped() -> None:
    """Names of folders, and of sockets, are whatever somebody called them."""
    session = fold(Session(), records.ready(gateway=("unix:///tmp/\x1b[2J", "unix:///\u202e")))
    two = part(GATEWAY, hosts=("127.0.0.1", "127.0.0.1"))
    named = replace(kit(part(UPSTREAM), two), config=ConfigFile(Path("\x1b]0;t\x07.yaml"), own=True))
    shown = "\n".join(line.plain for line in view.banner(named, session, "1.2.3", 100))
    for words in (r"unix:///tmp/\x1b[2J", r"unix:///\u202e", r"./\x1b]0;t\x07.yaml"):
        assert words in shown
    assert shown.isprintable() or set(filter(lambda each: not each.isprintable(), shown)) == {"\n"}
