"""Start, readiness, first exit ends all, stop.

Strategy
    Everything that happens comes as a message on one queue, and one loop deals with it: it folds records into
    the session, tells the printer, and moves the children on.

Rules
    * Ready means that every child says that it listens, and itself answers there.
    * The first child that ends by itself ends everything; how it ended and what it said last is told.
    * The stop goes from the front to the back: the gateway first, so that its tunnels can say goodbye while
      the upstream still answers.  Who has not ended in time is told twice, then killed (`PATIENCE`).
    * However `run` is left, no child is.
"""

import queue
import re
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from gateway.events import Event, Listening, decode
from launcher import readiness
from launcher.child import Child, Exited, Said
from launcher.events import ChildState, Ready, State, Summary, stamp
from launcher.kit import GATEWAY, UPSTREAM, Address, Kit, Part, opener
from launcher.lifeline import Lifeline
from launcher.printers import Own, Printer
from launcher.readiness import Answers, Silent
from launcher.session import Session, Tick, fold
from launcher.signals import Signalled
from launcher.terminal import Gone, Pressed

READY_WITHIN: Final = 20.0
"""Seconds that a child may take until it listens."""
TURN: Final = 0.04
"""Seconds that the loop waits for a message before it looks after drawing and deadlines."""
TICK: Final = 0.5
"""Seconds between two measurements of the rates."""
KILLED_WITHIN: Final = 0.5
"""Seconds that the system may take to end a killed child."""
LAST_LINES: Final = 12
"""Lines of a child that are told when it ends by itself."""

_LISTENING: Final = re.compile(rb"listening on (http://[^\s/]+)")
_TAKEN: Final = re.compile(r"in use|taken|another program", re.IGNORECASE)
_OWN_NAME: Final = re.compile(r"^(?:aileron|gateway|demo upstream): ")
"""How a child begins its lines where it runs alone."""


@dataclass(frozen=True, slots=True)
class Opened:
    """Whoever was to open the page has ended; status 0 means that there was a browser."""

    url: str
    status: int


Message = Said | Exited | Answers | Silent | Signalled | Pressed | Gone | Opened


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds from the first stop signal to the second, and to the end by force."""

    again: float
    kill: float


PATIENCE: Final = {GATEWAY: Patience(again=2.5, kill=3.2), UPSTREAM: Patience(again=1.6, kill=2.0)}
"""Together under five seconds: the upstream's turn comes when the gateway is gone, or has been told twice."""


@dataclass(slots=True)
class _Running:
    """A child, and what is known of it."""

    child: Child
    part: Part
    began: float
    state: State = "starting"
    urls: list[str] = field(default_factory=list)
    asked: float | None = None
    """When it was first told to stop."""
    told_twice: bool = False
    killed: bool = False
    last: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))
    """What it said last to people."""

    @property
    def words(self) -> str:
        return "the demo upstream" if self.part.name == UPSTREAM else f"the {self.part.name}"


class Supervisor:
    """Runs a kit once, on the main thread."""

    def __init__(
        self,
        kit: Kit,
        printer: Printer,
        inbox: "queue.SimpleQueue[Message]",
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kit, self._printer, self._inbox, self._clock = kit, printer, inbox, clock
        self._session = Session()
        self._running: dict[str, _Running] = {}
        self._owed: list[Child] = []
        """Children whose readers wait because the printer is full."""
        self._held: list[tuple[str, str]] = []
        """What children said to people before the banner."""
        self._stopping = False
        self._ticked = 0.0
        self.status = 0
        """The exit status as far as it is known."""
        self.problem: tuple[str, ...] = ()
        """What went wrong, in lines; empty where nothing did."""

    def run(self) -> None:
        """Start everything and see it through to its end; then `status` and `problem` tell how it went."""
        began = self._clock()
        lifeline = Lifeline()
        try:
            for part in self._kit.parts:
                if not self._stopping:
                    self._start(part, lifeline)
            while any(running.state != "exited" for running in self._running.values()):
                self._deal(self._next())
                self._look_after(self._clock())
        except KeyboardInterrupt:
            self.status = 130
        finally:
            for running in self._running.values():
                running.child.kill()
                running.child.wait(KILLED_WITHIN)
            lifeline.cut()
        self._summarize(began)

    def _start(self, part: Part, lifeline: Lifeline) -> None:
        try:
            child = Child(part.name, part.command, put=self._inbox.put, lifeline=lifeline)
        except OSError as error:
            self._fail(f"the {part.name} could not be started: {error}")
            return
        self._running[part.name] = _Running(child, part, began=self._clock())
        self._enter(part.name, "starting")

    def _next(self) -> Message | None:
        try:
            return self._inbox.get(timeout=TURN)
        except queue.Empty:
            return None

    def _deal(self, message: Message | None) -> None:
        match message:
            case Said(child, stream, lines):
                self._hear(self._running[child], stream, lines)
            case Exited(child, status):
                self._ended(self._running[child], status)
            case Answers(child):
                self._answers(child)
            case Silent(child, problem):
                self._fail(f"{self._running[child].words} is not ready: {problem}")
            case Pressed(key):
                self._press(key)
            case Signalled(name):
                self._obey(name)
            case Gone(str(problem)):
                self._fail(f"standard output takes no more: {problem}")
            case Gone():
                self._stopping = True
            case Opened(url, status) if status:
                self._printer.note(f"no browser could be opened here; open {url} yourself")

    def _obey(self, signal_name: str) -> None:
        match signal_name:
            case "SIGTSTP":
                self._printer.suspend()
            case "SIGCONT":
                self._printer.resume()
            case "SIGINT" if self._stopping:
                raise KeyboardInterrupt
            case _:
                self._stopping = True

    def _press(self, key: str) -> None:
        match self._printer.press(self._session, key):
            case "quit":
                self._stopping = True
            case "open":
                self._open_page()

    # What children say.

    def _hear(self, running: _Running, stream: str, lines: Sequence[bytes]) -> None:
        records = stream == "stdout" and running.part.name == GATEWAY
        for raw in lines:
            event = _decoded(raw) if records else None
            if event:
                self._record(running, event, raw)
            elif stream == "stdout" and not running.urls and (found := _LISTENING.search(raw)):
                self._listens(running, found[1].decode(), readiness.serves)
            else:
                self._say(running, raw.decode(errors="replace").rstrip())
        self._owed.append(running.child)

    def _record(self, running: _Running, event: Event, raw: bytes) -> None:
        if isinstance(event, Listening):
            self._listens(running, event.url, readiness.accepts)
        self._printer.record(self._session, event, raw)
        self._session = fold(self._session, event)

    def _say(self, running: _Running, text: str) -> None:
        text = _OWN_NAME.sub("", text)
        running.last.append(text)
        if self._session.ready:
            self._printer.said(running.part.name, text)
        else:
            self._held.append((running.part.name, text))

    # Readiness.

    def _listens(self, running: _Running, url: str, check: Callable[[str], str | None]) -> None:
        running.urls.append(url.rstrip("/"))
        if len(running.urls) == len(running.part.addresses):
            readiness.watch(running.part.name, running.urls, check, self._inbox.put)

    def _answers(self, child: str) -> None:
        if self._running[child].state != "starting":
            return
        self._enter(child, "ready")
        if self._stopping or any(running.state != "ready" for running in self._running.values()):
            return
        upstream = self._running.get(UPSTREAM)
        time_, t_ns = stamp()
        self._own(
            Ready(
                time=time_,
                t_ns=t_ns,
                gateway=tuple(self._running[GATEWAY].urls),
                upstream=upstream.urls[0] if upstream else None,
            )
        )
        for name, text in self._held:
            self._printer.said(name, text)
        if self._kit.open_page:
            self._open_page()

    def _open_page(self) -> None:
        if not self._session.ready:
            return
        url = f"{self._session.ready.gateway[0]}/"

        def wait() -> None:
            # A session of its own and no stdio: neither a browser nor its complaints get at the terminal.
            done = subprocess.run(  # noqa: S603  (our own interpreter, no shell)
                opener(url),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                check=False,
            )
            self._inbox.put(Opened(url, done.returncode))

        threading.Thread(target=wait, name="open page", daemon=True).start()

    # The end.

    def _ended(self, running: _Running, status: int) -> None:
        before = running.state
        self._enter(running.part.name, "exited", _how(status))
        if self._stopping:
            return
        if before == "starting":
            self._fail(*self._why_not(running, status), status=2 if status == 2 else 1)
        else:
            ended = f"exit status {status}" if status >= 0 else f"killed by {_how(status)}"
            self._fail(f"{running.words} has ended by itself: {ended}", *_last(running))

    def _why_not(self, running: _Running, status: int) -> list[str]:
        """Say why a child could not start, and what to do."""
        taken = _taken(running)
        if not taken:
            return [f"{running.words} could not start (it ended with {_how(status)})", *_last(running)]
        return [
            f"port {taken.port} is taken: another program is listening there, and {running.words} wants it",
            f"Stop that program, or {running.part.cure}.",
        ]

    def _fail(self, *problem: str, status: int = 1) -> None:
        if not self.problem:
            head, *rest = problem
            self.problem, self.status = (head[0].upper() + head[1:], *rest), status
        self._stopping = True

    def _look_after(self, now: float) -> None:
        """Do what is due."""
        if self._stopping:
            self._move_on(now)
        else:
            for running in self._running.values():
                if running.state == "starting" and now - running.began > READY_WITHIN:
                    self._fail(f"{running.words} is not ready after {READY_WITHIN:.0f} s", *_last(running))
        if now - self._ticked >= TICK:
            self._session, self._ticked = fold(self._session, Tick(int(now * 1e9))), now
        # At the stop nobody is waited for but the children themselves.
        while self._owed and (self._stopping or not self._printer.full):
            self._owed.pop().read_on()
        self._printer.refresh(self._session)

    def _move_on(self, now: float) -> None:
        """Bring the stop forward: whose turn it is, and how firmly."""
        for name in (GATEWAY, UPSTREAM):
            running = self._running.get(name)
            if running is None or running.state == "exited":
                continue
            if running.asked is None:
                running.asked = now
                running.child.ask_to_stop()
                self._enter(name, "stopping")
            elif now - running.asked >= PATIENCE[name].kill:
                running.killed = True
                running.child.kill()
            elif now - running.asked >= PATIENCE[name].again and not running.told_twice:
                running.told_twice = True
                running.child.ask_to_stop()
            if not running.told_twice:
                return

    def _summarize(self, began: float) -> None:
        time_, t_ns = stamp()
        self._own(
            Summary(
                time=time_,
                t_ns=t_ns,
                ms=round((self._clock() - began) * 1000, 1),
                connections=self._session.connections,
                client=self._session.client,
                upstream=self._session.upstream,
            )
        )
        for name, running in self._running.items():
            if running.killed:
                self._printer.said(name, f"had not ended after {PATIENCE[name].kill} s, and was killed")
            elif running.told_twice:
                self._printer.said(name, f"had not ended after {PATIENCE[name].again} s, and was told again")

    # Records of our own.

    def _enter(self, child: str, state: State, status: int | str | None = None) -> None:
        self._running[child].state = state
        time_, t_ns = stamp()
        self._own(ChildState(time=time_, t_ns=t_ns, name=child, state=state, status=status))

    def _own(self, event: Own) -> None:
        self._session = fold(self._session, event)
        self._printer.own(self._session, event)


def _decoded(raw: bytes) -> Event | None:
    """Return the record in `raw`; None where it is none, which no line of our gateway's should be."""
    try:
        return decode(raw)
    except msgspec.DecodeError:
        return None


def _how(status: int) -> int | str:
    """Return an exit status as records have it: a number, or the name of the signal."""
    if status >= 0:
        return status
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"


def _last(running: _Running) -> list[str]:
    """Return what a child said last, for the message about its end."""
    return ["Its last lines:", *(f"  {text}" for text in running.last)] if running.last else []


def _taken(running: _Running) -> Address | None:
    """Return the address for which a child that has ended found no room: something else answers there."""
    wanted = [address for address in running.part.addresses if address.port]
    for address in wanted:
        if readiness.is_open(address.near, address.port, timeout=0.3):
            return address
    said = "\n".join(running.last)
    if not _TAKEN.search(said):
        return None
    return next((address for address in wanted if f":{address.port}" in said), None)
