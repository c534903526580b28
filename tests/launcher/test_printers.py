"""Lines for whoever reads stdout: plain ones, and JSON that is the gateway's own."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec
import pytest

from gateway.events import encode
from gateway.text import line
from launcher.filter import parse
from launcher.output import Output
from launcher.printers import JsonPrinter, Own, PlainPrinter
from launcher.session import Session, fold
from tests.launcher import records
from tests.launcher.kits import kit

READY = fold(Session(), records.ready())


@dataclass
class Streams:
    """Stdout and stderr of a printer, readable."""

    out: Output
    words: Output
    _out: int
    _words: int

    def read(self) -> tuple[str, str]:
        """What has been written on both."""
        read = []
        for output, end in ((self.out, self._out), (self.words, self._words)):
            output.flush(5)
            os.set_blocking(end, False)
            try:
                read.append(os.read(end, 1 << 20).decode())
            except BlockingIOError:
                read.append("")
        return read[0], read[1]


@pytest.fixture
def streams() -> Iterator[Streams]:
    """Two pipes."""
    (out, out_end), (words, words_end) = os.pipe(), os.pipe()
    made = Streams(Output(out_end, lambda _: None), Output(words_end, lambda _: None), out, words)
    yield made
    made.out.close(5)
    made.words.close(5)
    for end in (out, out_end, words, words_end):
        os.close(end)


Make = Callable[[str], JsonPrinter | PlainPrinter]


@pytest.fixture(params=[JsonPrinter, PlainPrinter])
def make(request: pytest.FixtureRequest, streams: Streams) -> Make:
    """Make a printer with a filter, of each kind in turn."""
    return lambda expression: request.param(kit(), "1.2.3", parse(expression), streams.out, streams.words)


def test_json_passes_the_gateways_bytes_on(streams: Streams) -> None:
    """A record comes out with the very bytes it came in, spaces and unknown fields included."""
    printer = JsonPrinter(kit(), "1.2.3", parse(""), streams.out, streams.words)
    raw = b'{"event": "frame",  "later": "field"}'
    printer.record(Session(), records.frame(), raw)
    assert streams.read() == (raw.decode() + "\n", "")


def test_json_has_the_launchers_own_records(streams: Streams) -> None:
    """`ready`, `child` and `summary` are JSON lines as well; people are told on stderr."""
    printer = JsonPrinter(kit(), "1.2.3", parse(""), streams.out, streams.words)
    own: list[Own] = [records.child(), records.ready(), records.summary()]
    session = Session()
    for event in own:
        session = fold(session, event)
        printer.own(session, event)
    out, err = streams.read()
    assert out == b"".join(map(encode, own)).decode()
    assert [msgspec.json.decode(each)["event"] for each in out.splitlines()] == ["child", "ready", "summary"]
    assert "http://localhost:8080/" in err
    assert "Stopped after" in err


def test_json_names_every_field(streams: Streams) -> None:
    """The launcher's records carry what their documentation says, null included."""
    printer = JsonPrinter(kit(), "1.2.3", parse(""), streams.out, streams.words)
    printer.own(READY, records.summary())
    printer.own(READY, records.ready(upstream=None))
    summary, ready = (msgspec.json.decode(each) for each in streams.read()[0].splitlines())
    assert summary == {
        "event": "summary",
        "time": records.TIME,
        "t_ns": 1,
        "ms": 1000.0,
        "connections": 2,
        "client": {"frames": 3, "bytes": 1234567},
        "upstream": {"frames": 0, "bytes": 0},
    }
    assert ready["gateway"] == ["http://localhost:8080"]
    assert ready["upstream"] is None


def test_plain_lines_are_the_gateways_words(streams: Streams) -> None:
    """A record is the line that the gateway's own `--frames text` would show."""
    printer = PlainPrinter(kit(), "1.2.3", parse(""), streams.out, streams.words)
    for event in records.EVERY:
        printer.record(Session(), event, b"")
    shown = [event for event in records.EVERY if event.event != "listening"]  # the banner says that
    assert streams.read() == ("".join(f"{line(event)}\n" for event in shown), "")


def test_plain_banner_and_summary(streams: Streams) -> None:
    """Banner and summary are plain lines on stdout; a child's states are not lines of their own."""
    printer = PlainPrinter(kit(), "1.2.3", parse(""), streams.out, streams.words)
    own: list[Own] = [records.child(), records.ready(), records.summary()]
    for event in own:
        printer.own(READY, event)
    out, err = streams.read()
    assert "http://localhost:8080/" in out
    assert "Stopped after" in out
    assert "\x1b" not in out
    assert err == ""


def test_no_summary_of_what_never_ran(streams: Streams) -> None:
    """Where readiness never came, the message about that is enough."""
    PlainPrinter(kit(), "1.2.3", parse(""), streams.out, streams.words).own(Session(), records.summary())
    assert streams.read() == ("", "")


def test_the_filter_chooses(make: Make, streams: Streams) -> None:
    """With --filter there is only what it shows, by the path of the connection too."""
    printer = make("path:/ws op:text")
    session = fold(fold(Session(), records.opened(1, "/ws")), records.opened(2, "/echo"))
    for event in (records.frame(conn=1), records.frame(conn=2), records.frame(conn=1, opcode="ping")):
        printer.record(session, event, b"raw")
    assert len(streams.read()[0].splitlines()) == 1


def test_closing_without_a_problem_says_nothing(make: Make, streams: Streams) -> None:
    """Where nothing went wrong there is nothing to tell."""
    make("").close([])
    assert streams.read() == ("", "")


def test_words_for_people_go_to_stderr(make: Make, streams: Streams) -> None:
    """What a child says, notes and the problem are no part of stdout, and are escaped."""
    printer = make("")
    printer.said("upstream", "bad \x1b[2J")
    printer.note("no browser")
    printer.close(["The gateway has ended", "Its last lines:"])
    assert streams.read() == (
        "",
        "upstream: bad \\x1b[2J\nno browser\n✗ The gateway has ended\n  Its last lines:\n",
    )


def test_no_keys_and_no_drawing(make: Make, streams: Streams) -> None:
    """Lines need neither; whoever asks gets nothing."""
    printer = make("")
    assert printer.press(Session(), "q") is None
    printer.refresh(Session())
    printer.suspend()
    printer.resume()
    assert not printer.full
    assert streams.read() == ("", "")
