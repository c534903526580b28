"""Start, readiness, first exit ends all, stop: with small real children that do as told, or worse."""

import os
import queue
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.events import Event, encode
from launcher import readiness
from launcher import supervisor as module
from launcher.events import ChildState, Ready, Summary
from launcher.kit import GATEWAY, UPSTREAM, Kit
from launcher.printers import Action, Own
from launcher.session import Session
from launcher.signals import Signalled
from launcher.supervisor import Message, Patience, Supervisor
from launcher.terminal import Gone, Pressed
from tests.launcher import records
from tests.launcher.kits import kit, part

# What the children of these tests have in common: a listener, and an end by SIGTERM.
COMMON = """
import http.server, json, os, signal, socket, sys, threading, time

def end(*_):
    sys.stdout.flush()
    os._exit(0)

signal.signal(signal.SIGTERM, end)

told_to_die = threading.Event()

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = ANSWER
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        if self.path == "/die":
            told_to_die.set()
    def log_message(self, *_):
        pass

ANSWER = b'{"peer": "127.0.0.1:1"}'

def listen(port=0):
    server = http.server.HTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]

def say(text):
    print(text, flush=True)

def wait():
    while True:
        signal.pause()
"""
UP = COMMON + 'say(f"demo upstream: listening on http://127.0.0.1:{listen()} (127.0.0.1); page: x")\n'
UP_AND_WAIT = UP + "wait()\n"


def gateway(more: str = "wait()", before: str = "") -> str:
    """A gateway that does what comes `before` it listens, and then `more`."""
    told = encode(records.listening("http://127.0.0.1:PORT")).decode().strip()
    return COMMON + before + f"say({told!r}.replace('PORT', str(listen())))\n" + more


class Recorder:
    """A printer that remembers what it was told, and may act on it."""

    def __init__(self) -> None:
        self.records: list[tuple[Event, bytes]] = []
        self.owns: list[Own] = []
        self.words: list[tuple[str, str]] = []
        self.notes: list[str] = []
        self.suspended = self.resumed = 0
        self.full = False
        self.on_ready: Callable[[Ready], None] = lambda _: None
        self.on_said: Callable[[], None] = lambda: None
        self.on_note: Callable[[], None] = lambda: None

    def record(self, _session: Session, event: Event, raw: bytes) -> None:
        """Remember."""
        self.records.append((event, raw))

    def own(self, _session: Session, event: Own) -> None:
        """Remember."""
        self.owns.append(event)
        if isinstance(event, Ready):
            self.on_ready(event)

    def said(self, child: str, text: str) -> None:
        """Remember."""
        self.words.append((child, text))
        self.on_said()

    def note(self, text: str) -> None:
        """Remember."""
        self.notes.append(text)
        self.on_note()

    def press(self, _session: Session, key: str) -> Action | None:
        """Quit at q."""
        return "quit" if key == "q" else "open"

    def refresh(self, session: Session) -> None:
        """Nothing is drawn."""

    def suspend(self) -> None:
        """Remember."""
        self.suspended += 1

    def resume(self) -> None:
        """Remember."""
        self.resumed += 1

    def close(self, problem: Sequence[str]) -> None:
        """Nothing to give back."""

    def states(self, name: str) -> list[tuple[str, int | str | None]]:
        """What became of a child."""
        states = [each for each in self.owns if isinstance(each, ChildState) and each.name == name]
        return [(each.state, each.status) for each in states]

    @property
    def ready(self) -> Ready:
        """The one record of readiness."""
        (ready,) = [each for each in self.owns if isinstance(each, Ready)]
        return ready


class Run:
    """A supervisor and what it needs."""

    def __init__(self, told: Kit) -> None:
        self.inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.printer = Recorder()
        self.supervisor = Supervisor(told, self.printer, self.inbox)

    def go(self, *at_ready: Message) -> float:
        """Run to the end; `at_ready` happens once everything is ready.  Return the seconds it took."""

        def act(_: Ready) -> None:
            for message in at_ready:
                self.inbox.put(message)

        if at_ready:
            self.printer.on_ready = act
        began = time.monotonic()
        self.supervisor.run()
        return time.monotonic() - began

    @property
    def problem(self) -> str:
        """What went wrong."""
        return "\n".join(self.supervisor.problem)


def both(up: str = UP_AND_WAIT, front: str | None = None) -> Kit:
    """A kit of an upstream and a gateway."""
    return kit(part(UPSTREAM, up), part(GATEWAY, gateway() if front is None else front))


@pytest.fixture(autouse=True)
def no_child_left_over() -> Iterator[None]:
    """Fail a test that leaves a process behind."""
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    before = set(children.read_text().split())
    yield
    left = set(children.read_text().split()) - before
    assert not left, f"children are left over: {left}"


def test_a_whole_life() -> None:
    """Start, readiness, a stop in order, exit status 0, and a summary at the end."""
    run = Run(both())
    run.go(Signalled("SIGTERM"))
    assert (run.supervisor.status, run.problem) == (0, "")
    for name in (UPSTREAM, GATEWAY):
        states = [("starting", None), ("ready", None), ("stopping", None), ("exited", 0)]
        assert run.printer.states(name) == states
    stops = [
        each.name for each in run.printer.owns if isinstance(each, ChildState) and each.state == "stopping"
    ]
    assert stops == [GATEWAY, UPSTREAM]
    ready = run.printer.ready
    assert ready.gateway[0].startswith("http://127.0.0.1:")
    assert ready.upstream
    assert ready.upstream.startswith("http://127.0.0.1:")
    assert isinstance(run.printer.owns[-1], Summary)


@pytest.mark.parametrize("message", [Signalled("SIGHUP"), Signalled("SIGINT"), Gone(), Pressed("q")])
def test_every_way_to_stop_is_clean(message: Message) -> None:
    """A signal, the end of the terminal and the key `q` are all one clean stop."""
    run = Run(both())
    run.go(message)
    assert run.supervisor.status == 0


def test_a_terminal_that_goes_away_is_one_stop() -> None:
    """SIGHUP, the end of stdin and a broken stdout together do not end anything by force."""
    run = Run(both())
    run.go(Signalled("SIGHUP"), Gone(), Gone(), Signalled("SIGTERM"))
    assert run.supervisor.status == 0
    assert run.printer.states(GATEWAY)[-1] == ("exited", 0)


def test_a_second_interrupt_ends_at_once() -> None:
    """Ctrl-C while it stops kills what is left; the status is 130."""
    stubborn = gateway("signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwait()")
    run = Run(both(front=stubborn))
    took = run.go(Pressed("q"), Signalled("SIGINT"))
    assert run.supervisor.status == 130
    assert took < 3


def test_the_gateway_alone() -> None:
    """Without an upstream, the gateway alone counts for readiness."""
    run = Run(kit(part(GATEWAY, gateway())))
    run.go(Signalled("SIGTERM"))
    ready = run.printer.ready
    assert ready.upstream is None
    assert run.supervisor.status == 0


def test_records_are_passed_and_folded() -> None:
    """The gateway's records reach the printer with their bytes, and the summary has the totals."""
    sent = [records.opened(), records.frame(), records.omitted(frames=5, bytes_=50), records.closed()]
    lines = [encode(event).decode().strip() for event in sent]
    run = Run(both(front=gateway(f"for each in {lines!r}: say(each)\nsay('no record')\nwait()")))
    run.printer.on_said = lambda: run.inbox.put(Gone())
    run.go()
    assert [event for event, _ in run.printer.records[1:]] == sent
    assert [raw.decode() for _, raw in run.printer.records[1:]] == lines
    assert (GATEWAY, "no record") in run.printer.words
    told = run.printer.owns[-1]
    assert isinstance(told, Summary)
    assert (told.connections, told.client.frames, told.client.bytes) == (1, 6, 61)


def test_words_before_the_banner_come_after_it() -> None:
    """What a child says while it starts is held until there is something to put it under."""
    early = "sys.stderr.write('demo upstream: a word\\n')\nsys.stderr.flush()\n"
    run = Run(both(up=COMMON + early + UP_AND_WAIT.removeprefix(COMMON)))
    run.printer.on_said = lambda: run.inbox.put(Pressed("q"))
    run.go()
    assert run.printer.ready
    assert run.printer.words == [("upstream", "a word")]


@pytest.mark.parametrize(
    ("ending", "how"),
    [
        ("sys.exit(3)", "exit status 3"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
        ("sys.exit(0)", "exit status 0"),
    ],
)
def test_the_first_end_ends_all(ending: str, how: str) -> None:
    """A child that ends by itself is named with how it ended and its last words; the other is stopped."""
    dying = (
        UP
        + f"told_to_die.wait()\nsys.stderr.write('demo upstream: oh\\nno\\n')\nsys.stderr.flush()\n{ending}\n"
    )
    run = Run(both(up=dying))
    run.printer.on_ready = lambda ready: urllib.request.urlopen(f"{ready.upstream}/die").close()
    run.go()
    assert run.supervisor.status == 1
    assert run.supervisor.problem == (
        f"The demo upstream has ended by itself: {how}",
        "Its last lines:",
        "  oh",
        "  no",
    )
    assert run.printer.states(GATEWAY)[-1] == ("exited", 0)


def test_a_child_that_cannot_start() -> None:
    """One that ends before it is ready is told with its status and its own words."""
    run = Run(both(up="import sys; sys.exit('demo upstream: there is no page')"))
    run.go()
    assert run.supervisor.status == 1
    assert run.problem == (
        "The demo upstream could not start (it ended with 1)\nIts last lines:\n  there is no page"
    )
    assert not any(isinstance(each, Ready) for each in run.printer.owns)


def test_a_childs_usage_error_is_ours() -> None:
    """An option that only the child can judge was still wrong usage."""
    run = Run(both(up="import sys; sys.stderr.write('no such origin\\n'); sys.exit(2)"))
    run.go()
    assert run.supervisor.status == 2
    assert "no such origin" in run.problem


def test_a_taken_port_is_told_as_such() -> None:
    """Where a child finds no room because a stranger answers there, the message says so and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        taken = part(UPSTREAM, "import sys; sys.exit('whatever it says')", port=port)
        run = Run(kit(taken, part(GATEWAY, gateway())))
        run.go()
    assert run.supervisor.status == 1
    assert run.supervisor.problem == (
        f"Port {port} is taken: another program is listening there, and the demo upstream wants it",
        "Stop that program, or take another port.",
    )


def test_a_port_that_is_taken_but_silent() -> None:
    """A port may be bound without anybody answering; then the child's own words tell."""
    run = Run(
        kit(part(GATEWAY, "import sys; sys.exit('cannot listen on :9: address already in use')", port=9))
    )
    run.go()
    assert "Port 9 is taken" in run.problem


def test_a_strangers_answer_is_no_readiness(monkeypatch: pytest.MonkeyPatch) -> None:
    """What answers at the upstream's address has to be the demo upstream."""
    monkeypatch.setattr(readiness, "PATIENCE", 0.3)
    run = Run(both(up=UP_AND_WAIT.replace('"peer"', '"other"')))
    run.go()
    assert run.supervisor.status == 1
    assert "is another program" in run.problem


def test_a_child_that_never_gets_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patience ends, and what the child has said so far is told."""
    monkeypatch.setattr(module, "READY_WITHIN", 1.0)
    run = Run(both(up=COMMON + "sys.stderr.write('thinking\\n')\nsys.stderr.flush()\nwait()"))
    run.go()
    assert run.supervisor.status == 1
    assert run.problem == "The demo upstream is not ready after 1 s\nIts last lines:\n  thinking"


def test_a_command_that_does_not_exist() -> None:
    """A child that the system cannot start is one line as well."""
    missing = replace(part(UPSTREAM), command=("/nowhere/python",))
    run = Run(kit(part(GATEWAY, gateway()), missing))
    run.go()
    assert run.supervisor.status == 1
    assert "could not be started" in run.problem


def test_who_does_not_end_is_told_twice_then_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second signal ends what waits for its peers; what ignores it as well is killed; all in time."""
    monkeypatch.setattr(
        module,
        "PATIENCE",
        {GATEWAY: Patience(again=0.4, kill=0.8), UPSTREAM: Patience(again=0.4, kill=0.8)},
    )
    twice = (
        "told = []\n"
        "signal.signal(signal.SIGTERM, lambda *_: told.append(1) or (len(told) == 2 and os._exit(0)))\n"
    )
    never = UP + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nsay('deaf')\nwait()"
    run = Run(both(up=never, front=gateway(before=twice)))
    took = run.go(Pressed("q"))
    assert run.supervisor.status == 0
    assert run.printer.states(GATEWAY)[-1] == ("exited", 0)
    assert run.printer.states(UPSTREAM)[-1] == ("exited", "SIGKILL")
    assert {each for each in run.printer.words if each[1].startswith("had not ended")} == {
        (GATEWAY, "had not ended after 0.4 s, and was told again"),
        (UPSTREAM, "had not ended after 0.8 s, and was killed"),
    }
    assert took < 5


def test_the_stop_takes_five_seconds_at_most() -> None:
    """The patience of both, in the order of the stop, stays below what is promised."""
    gateway_, upstream = module.PATIENCE[GATEWAY], module.PATIENCE[UPSTREAM]
    assert max(gateway_.kill, gateway_.again + upstream.kill) < 4.8
    assert gateway_.again > 2.0


def test_a_printer_that_is_full_slows_the_gateway_down() -> None:
    """While nobody takes the lines, the gateway's pipe fills; the stop is not held up by it."""
    flood = gateway(
        f"line = {encode(records.frame()).decode().strip()!r}\n"
        "sent = 0\n"
        "os.set_blocking(1, False)\n"
        "while True:\n"
        "    try:\n"
        "        os.write(1, line.encode() + b'\\n')\n"
        "    except BlockingIOError:\n"
        "        sys.stderr.write('full\\n')\n"
        "        sys.stderr.flush()\n"
        "        break\n"
        "wait()"
    )
    run = Run(both(front=flood))
    run.printer.full = True
    run.printer.on_said = lambda: run.inbox.put(Pressed("q"))
    run.go()
    assert run.supervisor.status == 0
    assert len(run.printer.records) * len(encode(records.frame())) < 4_000_000


def test_suspending_and_going_on() -> None:
    """Ctrl-Z and what follows it are the printer's, which owns the terminal."""
    run = Run(both())
    run.go(Signalled("SIGTSTP"), Signalled("SIGCONT"), Pressed("q"))
    assert (run.printer.suspended, run.printer.resumed) == (1, 1)


def test_opening_the_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With --open the page's URL is given to a browser, once it answers."""
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >> {opened}\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(browser))
    run = Run(replace(both(), open_page=True))
    run.printer.on_ready = lambda _: wait_for(opened, run)
    run.go()
    assert opened.read_text().split() == [f"{run.printer.ready.gateway[0]}/"]
    assert run.printer.notes == []


def wait_for(path: Path, run: Run) -> None:
    """Quit as soon as something stands in `path`."""

    def watch() -> None:
        deadline = time.monotonic() + 10
        while not (path.exists() and path.read_text()) and time.monotonic() < deadline:
            time.sleep(0.02)
        run.inbox.put(Pressed("q"))

    threading.Thread(target=watch).start()


def test_no_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no browser, it is said what to do."""
    monkeypatch.setenv("BROWSER", "false")
    monkeypatch.setenv("PATH", "/nowhere")
    run = Run(both())
    run.printer.on_note = lambda: run.inbox.put(Pressed("q"))
    run.go(Pressed("o"))
    assert run.printer.notes == [
        f"no browser could be opened here; open {run.printer.ready.gateway[0]}/ yourself"
    ]
