"""The keyboard's side of a terminal: keys at once and unechoed, and afterwards all as before."""

import os
import pty
import queue
import sys
import termios
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from launcher.terminal import Gone, Keyboard, Pressed, enable_escapes, in_foreground


@dataclass
class Line:
    """A pty whose slave is stdin."""

    master: int
    slave: int
    inbox: "queue.SimpleQueue[Pressed | Gone]"
    keyboard: Keyboard

    def type(self, data: bytes) -> None:
        """Press keys."""
        os.write(self.master, data)

    def key(self) -> str:
        """The next key that comes."""
        message = self.inbox.get(timeout=5)
        assert isinstance(message, Pressed)
        return message.key


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    """A terminal, which is hung up in the end."""
    master, slave = pty.openpty()
    with os.fdopen(slave, "r", closefd=False) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        inbox: queue.SimpleQueue[Pressed | Gone] = queue.SimpleQueue()
        yield Line(master, slave, inbox, Keyboard(inbox.put))
        os.close(master)
    os.close(slave)


def local_flags(descriptor: int) -> int:
    """The terminal's local flags."""
    flags: int = termios.tcgetattr(descriptor)[3]
    return flags


def test_keys_come_at_once_and_unechoed(line: Line) -> None:
    """A key needs no Enter, is not shown, and Ctrl-C stays a signal."""
    line.keyboard.take()
    flags = local_flags(line.slave)
    assert not flags & (termios.ICANON | termios.ECHO)
    assert flags & termios.ISIG
    line.type(b"p\x1b[A?")
    assert [line.key(), line.key()] == ["p", "?"]
    line.type(b"\x1b")
    assert line.key() == "escape"
    os.set_blocking(line.master, False)
    with pytest.raises(BlockingIOError):
        os.read(line.master, 1)


def test_the_terminal_is_given_back_and_taken_again(line: Line) -> None:
    """What was found is restored to the last flag, however often."""
    before = termios.tcgetattr(line.slave)
    for _ in range(2):
        line.keyboard.take()
        assert termios.tcgetattr(line.slave) != before
        line.keyboard.give_back()
        assert termios.tcgetattr(line.slave) == before
    line.keyboard.take()
    line.type(b"x")
    assert line.key() == "x"


def test_a_terminal_that_goes_away_is_told(line: Line) -> None:
    """The end of the terminal is one message; to take it or to give it back then is no error."""
    line.keyboard.take()
    os.close(line.master)
    assert isinstance(line.inbox.get(timeout=5), Gone)
    line.keyboard.give_back()
    line.keyboard.take()
    line.master = os.open(os.devnull, os.O_RDONLY)  # for the fixture to close


def test_what_is_no_terminal_has_no_keyboard(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe, a file or nothing at all as stdin is not read."""
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        assert not Keyboard.available()
    monkeypatch.setattr(sys, "stdin", None)
    assert not Keyboard.available()


def test_a_terminal_that_does_not_control_us(line: Line) -> None:
    """Job control is a matter of the controlling terminal alone."""
    assert in_foreground(line.slave)
    assert Keyboard.available()
    assert enable_escapes(line.slave)
