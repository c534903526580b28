"""A child process becomes messages, in order; whatever is left of it can be ended."""

import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from launcher import child
from launcher.child import Child, Exited, Said, environment, python
from launcher.lifeline import Lifeline
from tests.launcher.kits import script

Inbox = queue.Queue[Said | Exited]
Start = Callable[[str], Child]


@pytest.fixture
def inbox() -> Inbox:
    """Where the messages come."""
    return queue.Queue()


@pytest.fixture
def lifeline() -> Iterator[Lifeline]:
    """A lifeline that is cut in the end."""
    line = Lifeline()
    yield line
    line.cut()


@pytest.fixture
def start(inbox: Inbox, lifeline: Lifeline) -> Iterator[Start]:
    """Start children that run a source; all are gone in the end."""
    children: list[Child] = []

    def start_one(source: str) -> Child:
        children.append(Child("kid", script(source), put=inbox.put, lifeline=lifeline))
        return children[-1]

    yield start_one
    for each in children:
        each.kill()
        each.wait(5)
        for _ in range(1000):
            each.read_on()


def until_exit(inbox: Inbox, kid: Child) -> tuple[list[bytes], list[bytes], int]:
    """What the child writes on stdout and stderr until it ends, and its status."""
    heard: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
    while True:
        message = inbox.get(timeout=10)
        if isinstance(message, Exited):
            assert inbox.empty(), "its end comes last"
            return heard["stdout"], heard["stderr"], message.status
        heard[message.stream] += message.lines
        kid.read_on()


def until_quiet(inbox: Inbox) -> list[Said | Exited]:
    """What comes until nothing comes any more."""
    messages = [inbox.get(timeout=10)]
    while True:
        try:
            messages.append(inbox.get(timeout=0.5))
        except queue.Empty:
            return messages


def size(messages: list[Said | Exited]) -> int:
    """How many bytes of lines there are in `messages`."""
    return sum(len(line) for said in messages if isinstance(said, Said) for line in said.lines)


def test_lines_and_end(inbox: Inbox, start: Start) -> None:
    """Both outputs come as lines, an unfinished last one too, and then the exit status."""
    kid = start("import sys; print('one\\ntwo'); sys.stderr.write('wrong\\nhalf'); sys.exit(3)")
    assert until_exit(inbox, kid) == ([b"one", b"two"], [b"wrong", b"half"], 3)


def test_bytes_are_not_touched(inbox: Inbox, start: Start) -> None:
    """What is no text is handed on as it is."""
    kid = start(r"import sys; sys.stdout.buffer.write(b'\xff\r\x00\n')")
    assert until_exit(inbox, kid)[0] == [b"\xff\r\x00"]


def test_long_lines_come_whole(inbox: Inbox, start: Start) -> None:
    """A line may be longer than one read."""
    kid = start("print('x' * 300_000); print('y')")
    assert until_exit(inbox, kid)[0] == [b"x" * 300_000, b"y"]


def test_a_line_without_end_is_handed_on(inbox: Inbox, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """What never ends is not kept for ever."""
    monkeypatch.setattr(child, "LINE_LIMIT", 100_000)
    kid = start("print('x' * 1_000_000, end='')")
    lines = until_exit(inbox, kid)[0]
    assert len(lines) > 1
    assert b"".join(lines) == b"x" * 1_000_000


def test_a_signal_is_told_as_one(inbox: Inbox, start: Start) -> None:
    """The status of a child that a signal has ended is minus its number."""
    kid = start("import time; time.sleep(60)")
    kid.kill()
    assert until_exit(inbox, kid)[2] == -signal.SIGKILL


def test_asking_to_stop_is_a_signal(inbox: Inbox, start: Start) -> None:
    """A child is asked by SIGTERM, which it may take as it likes."""
    kid = start(
        "import signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "print('ready', flush=True)\n"
        "signal.pause()"
    )
    inbox.get(timeout=10)
    kid.read_on()
    kid.ask_to_stop()
    assert until_exit(inbox, kid)[2] == 7
    kid.ask_to_stop()  # and now there is nobody


def test_a_child_has_a_session_of_its_own(inbox: Inbox, start: Start) -> None:
    """A terminal's Ctrl-C goes to a process group that is not the child's; it reads no terminal either."""
    kid = start("import os, sys; print(os.getsid(0) == os.getpid(), sys.stdin.read() == '')")
    assert until_exit(inbox, kid)[0] == [b"True True"]


def test_killing_takes_what_the_child_has_started(inbox: Inbox, start: Start) -> None:
    """Grandchildren go with the child, so that nothing is left running."""
    kid = start(
        "import subprocess, sys, time\n"
        "other = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(other.pid, flush=True)\n"
        "time.sleep(60)"
    )
    said = inbox.get(timeout=10)
    assert isinstance(said, Said)
    grandchild = int(said.lines[0])
    kid.read_on()
    kid.kill()
    until_exit(inbox, kid)
    # Both outputs came to their end, which the grandchild held open as well.
    assert not Path(f"/proc/{grandchild}/fd/1").exists()


def test_a_child_that_nobody_listens_to_waits(inbox: Inbox, start: Start) -> None:
    """Readers that are ahead stop reading; the child then feels it, and nothing piles up."""
    kid = start("import os, sys\nfor _ in range(200):\n    os.write(1, b'x' * 65535 + b'\\n')\n")
    early = until_quiet(inbox)
    assert 0 < size(early) < 2_000_000
    for _ in early:
        kid.read_on()
    late, _, status = until_exit(inbox, kid)
    assert (size(early) + sum(map(len, late)), status) == (200 * 65535, 0)


def test_the_working_directory_is_not_searched(
    inbox: Inbox, lifeline: Lifeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user's own folder `gateway` is not taken for ours."""
    (tmp_path / "gateway").mkdir()
    (tmp_path / "gateway" / "__init__.py").write_text("print('not ours')")
    (tmp_path / "gateway" / "__main__.py").write_text("print('not ours')")
    monkeypatch.chdir(tmp_path)
    kid = Child("gateway", python("gateway", "--help"), put=inbox.put, lifeline=lifeline)
    out, _, status = until_exit(inbox, kid)
    assert status == 0
    assert b"usage: aileron" in b"\n".join(out)


def test_a_checkout_is_put_on_the_path_and_an_installation_is_not() -> None:
    """PYTHONPATH names the checkout, before what is there already; never a site-packages folder."""
    home = str(Path(child.__file__).resolve().parent.parent)
    assert environment({}, installed=[])["PYTHONPATH"] == home
    assert environment({"PYTHONPATH": "x"}, installed=[])["PYTHONPATH"] == os.pathsep.join((home, "x"))
    assert "PYTHONPATH" not in environment({}, installed=[home])
    assert environment({"PYTHONPATH": "x"}, installed=[home])["PYTHONPATH"] == "x"


def test_the_command_is_this_interpreters() -> None:
    """A child runs in the same Python, by module."""
    assert python("gateway", "-f", "x") == (sys.executable, "-P", "-m", "gateway", "-f", "x")


def test_threads_are_named(start: Start) -> None:
    """A dump of the stacks says whose thread is whose."""
    start("import time; time.sleep(60)")
    names = {thread.name for thread in threading.enumerate()}
    assert {"kid read", "kid wait"} <= names
