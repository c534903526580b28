"""Records in words: what a terminal is given, and what it is never given."""

from collections.abc import Iterator
from time import tzset

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway import events
from gateway.events import Close, Error, Event, Frame, Handshake, HandshakeLeg, Open, Request, SideTotals
from gateway.text import close_name, close_words, count, duration, line, size, words

NOON = "2026-01-31T12:00:00.250Z"


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every wall clock shows UTC."""
    monkeypatch.setenv("TZ", "UTC")
    tzset()
    yield
    monkeypatch.undo()
    tzset()


def frame(**fields: object) -> Frame:
    """Give the record of a client's text frame `Hello`, but for `fields`."""
    usual = Frame(
        time=NOON,
        t_ns=1,
        conn=3,
        sender="client",
        fin=True,
        rsv=0,
        opcode="text",
        masked=True,
        len=5,
        header_len=6,
        gap_ms=None,
        text="Hello",
        hex=None,
        truncated=False,
        inflated=False,
        code=None,
        reason=None,
    )
    return replace(usual, **fields)


def close(**fields: object) -> Close:
    """Give the record of a tunnel that its client closed, but for `fields`."""
    sent = SideTotals(code=1000, reason="bye", frames=2, bytes=30)
    answered = SideTotals(code=1000, reason="", frames=1, bytes=4)
    usual = Close(
        time=NOON, t_ns=1, conn=3, by="client", how="close", client=sent, upstream=answered, ms=12_345.0
    )
    return replace(usual, **fields)


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0 B"),
        (65_536, "65536 B"),
        (99_999, "99999 B"),
        (100_000, "97.7 KiB"),
        (1 << 20, "1.0 MiB"),
        (16 << 20, "16.0 MiB"),
        (5 << 30, "5.0 GiB"),
        (3 << 50, "3072.0 TiB"),
    ],
)
def test_size(number: int, shown: str) -> None:
    """Bytes are exact while that is readable, then scaled."""
    assert size(number) == shown


@pytest.mark.parametrize(
    ("ms", "shown"),
    [(3.21, "3.2 ms"), (12_340, "12.3 s"), (307_000, "5m 07s"), (7_500_000, "2h 05m")],
)
def test_duration(ms: float, shown: str) -> None:
    """Durations take the unit that suits them."""
    assert duration(ms) == shown


def test_count() -> None:
    """A noun agrees with its number, which has its thousands apart."""
    assert [count(1, "frame"), count(0, "frame"), count(2000, "frame")] == [
        "1 frame",
        "0 frames",
        "2,000 frames",
    ]


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (1000, "Normal Closure"),
        (1001, "Going Away"),
        (1006, "Abnormal Closure"),
        (1014, "Bad Gateway"),
        (2000, "Reserved"),
        (3000, "Unauthorized"),
        (3999, "Registered Range"),
        (4321, "Private Use"),
        (7, "Not a Close Code"),
        (5000, "Not a Close Code"),
    ],
)
def test_close_names(code: int, name: str) -> None:
    """Each code has the registry's name, or its range's."""
    assert close_name(code) == name


def test_close_words_escape_the_reason() -> None:
    """A reason comes from a peer and is only ever text; no code is said to be none."""
    assert close_words(4000, "\x1b[2J") == r'4000 Private Use "\x1b[2J"'
    assert close_words(None, None) == "no code"


@pytest.mark.parametrize(
    ("event", "shown"),
    [
        (frame(), "12:00:00.250    #3 →  text         5 B  Hello"),
        (frame(sender="upstream"), "12:00:00.250    #3  ← text         5 B  Hello"),
        (frame(truncated=True), "12:00:00.250    #3 →  text         5 B  Hello…"),
        (frame(fin=False, opcode="continuation"), "12:00:00.250    #3 →  cont…        5 B  Hello"),
        (frame(rsv=4, inflated=True), "12:00:00.250    #3 →  text         5 B  Hello"),
        (
            frame(rsv=4, text=None, hex="4230"),
            "12:00:00.250    #3 →  text         5 B  still compressed: 42 30",
        ),
        (frame(opcode="binary", text=None, hex="00ff7f"), "12:00:00.250    #3 →  binary       5 B  00 ff 7f"),
        (frame(opcode="0xB", text=None, hex="00"), "12:00:00.250    #3 →  0xB          5 B  00"),
        (frame(opcode="ping", text="", len=0), "12:00:00.250    #3 →  ping         0 B"),
        (
            frame(opcode="close", code=1000, reason="bye"),
            '12:00:00.250    #3 →  close        5 B  1000 Normal Closure "bye"',
        ),
        (
            events.Omitted(time=NOON, t_ns=1, conn=12, sender="upstream", frames=1234, bytes=2048),
            "12:00:00.250   #12  ← …                 1,234 frames left out, 2048 B",
        ),
        (
            events.Violation(
                time=NOON, t_ns=1, conn=1, sender="client", what="reserved opcode 0xB", rfc="5.2"
            ),
            "12:00:00.250    #1 →  wrong             reserved opcode 0xB (RFC 6455 section 5.2)",
        ),
        (
            close(),
            (
                '12:00:00.250    #3 ○  closed    12.3 s  by the client: 1000 Normal Closure "bye" '
                "· → 2 frames 30 B · ← 1 frame 4 B"
            ),
        ),
        (
            Request(
                time=NOON,
                t_ns=1,
                method="GET",
                path="/a?b=\x1b",
                status=200,
                upstream="http://localhost:9090",
                ms=3.21,
                bytes=512,
                client="127.0.0.1:5000",
            ),
            r"12:00:00.250       ⇄  GET        512 B  200 /a?b=\x1b via http://localhost:9090 in 3.2 ms",
        ),
        (
            Error(time=NOON, t_ns=1, message="no answer", upstream="http://localhost:9090", status=502),
            "12:00:00.250       !  error        502  no answer · via http://localhost:9090",
        ),
        (
            events.Listening(time=NOON, t_ns=1, addr="[::]:8080", url="http://localhost:8080"),
            "12:00:00.250          listens           on http://localhost:8080 ([::]:8080)",
        ),
        (
            events.Reload(time=NOON, t_ns=1, ok=True, changes=("a has changed", "b\x1b"), problems=()),
            r"12:00:00.250          reloads           a has changed; b\x1b",
        ),
        (
            events.Reload(time=NOON, t_ns=1, ok=True, changes=(), problems=("x",)),
            "12:00:00.250          reloads           nothing has changed",
        ),
        (
            events.Reload(time=NOON, t_ns=1, ok=False, changes=(), problems=("x", "y")),
            (
                "12:00:00.250       !  reloads           not: the config is wrong, so the one before goes on "
                "(2 problems)"
            ),
        ),
        (
            events.Stopping(time=NOON, t_ns=1, signal="SIGTERM", open=1),
            (
                "12:00:00.250          stops             1 WebSocket open: each is sent a Close and waited "
                "for; a second signal ends them now"
            ),
        ),
        (
            events.Stopping(time=NOON, t_ns=1, signal="SIGTERM", open=0),
            "12:00:00.250          stops             0 WebSockets open",
        ),
    ],
)
def test_lines(event: Event, shown: str) -> None:
    """Each kind of record has one plain line."""
    assert line(event) == shown


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"by": "gateway"}, "by the gateway: 1001 Going Away"),
        ({"by": "upstream"}, "by the upstream: 1000 Normal Closure ·"),
        ({"how": "fin"}, "by the client: end of stream without a Close frame"),
        ({"how": "reset", "by": "upstream"}, "by the upstream: connection reset"),
        ({"how": "timeout", "by": "gateway"}, "by the gateway: a time limit was reached"),
        ({"how": "timeout", "by": "client"}, "by the client: no answer in time"),
        ({"client": SideTotals(code=None, reason=None, frames=1, bytes=6)}, "by the client: no code ·"),
    ],
)
def test_endings(fields: dict[str, object], shown: str) -> None:
    """A close says who closed and how."""
    assert words(close(**fields)).rest.startswith(shown)


@pytest.mark.parametrize(
    ("fields", "brief"),
    [
        (
            {},
            (
                "client 1000 Normal Closure → 2 frames 30 B ← 1 frame 4 B",
                "client 1000 → 2 frames 30 B ← 1 frame 4 B",
            ),
        ),
        (
            {"how": "fin"},
            (
                "client no Close frame → 2 frames 30 B ← 1 frame 4 B",
                "client no Close → 2 frames 30 B ← 1 frame 4 B",
            ),
        ),
    ],
)
def test_where_there_is_little_room_names_go_before_sums(
    fields: dict[str, object], brief: tuple[str, ...]
) -> None:
    """The reason goes first, then the code's name; who closed, the code and the sums stay."""
    assert words(close(**fields)).brief == brief


def test_an_upstreams_error_is_told_first_what_it_concerns_behind() -> None:
    """What an upstream did fits where there is little room, and which one it was."""
    url = "http://localhost:9090"
    told = words(
        Error(
            time=NOON,
            t_ns=1,
            message=f"{url} refused the connection; nothing listens there",
            client="127.0.0.1:5000",
            method="GET",
            path="/ws",
            upstream=url,
            status=502,
        )
    )
    did = "refused the connection; nothing listens there"
    assert (told.size, told.rest) == ("502", f"{url} {did} · GET /ws · from 127.0.0.1:5000")
    assert told.brief == (
        f"localhost:9090 {did} · GET /ws · from 127.0.0.1:5000",
        f"localhost:9090 {did}",
        "localhost:9090 refused the connection",
    )


def test_open_tells_the_route_and_what_was_agreed() -> None:
    """An open names path, client and upstream, and the subprotocol and extensions where there are any."""
    leg = HandshakeLeg(received=(), sent=())
    opened = Open(
        time=NOON,
        t_ns=1,
        conn=1,
        client="127.0.0.1:5000",
        path="/ws\u202e",
        upstream="http://localhost:9090",
        subprotocol="chat",
        extensions="permessage-deflate",
        handshake=Handshake(request=leg, response=leg),
    )
    assert words(opened).rest == (
        r"/ws\u202e to http://localhost:9090 subprotocol chat with permessage-deflate from 127.0.0.1:5000"
    )


@given(text=st.text(), path=st.text(), opcode=st.text())
def test_no_line_breaks_out(text: str, path: str, opcode: str) -> None:
    """Whatever stands in a record's fields, its line is one printable line."""
    lines = [
        line(frame(text=text, opcode=opcode)),
        line(frame(opcode="close", code=1000, reason=text)),
        line(Error(time=NOON, t_ns=1, message=text, client=path, upstream=path, path=path)),
    ]
    for shown in lines:
        assert "\x1b" not in shown
        assert len(shown.splitlines()) == 1
