"""Signals → messages on the launcher's queue; a second Ctrl-C → KeyboardInterrupt.

A handler does nothing but put a message: the queue allows that at any moment.  The one exception is the
second Ctrl-C, which has to work whatever the main thread is busy with.
"""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Final

STOPPING: Final = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGBREAK")
"""Those that end the launcher, as far as the system has them."""


@dataclass(frozen=True, slots=True)
class Signalled:
    """A signal has arrived."""

    name: str


@contextmanager
def caught(put: Callable[[Signalled], None], *, job_control: bool) -> Iterator[None]:
    """Turn signals into messages for `put` while the block runs.

    `job_control`: also those of Ctrl-Z and of going on after it, which are needed where a terminal has to be
    handed back in between.  A SIGHUP that is ignored (nohup) stays ignored.
    """
    interrupts = 0

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal interrupts
        if number == signal.SIGINT:
            interrupts += 1
            if interrupts == 2:  # a third must not disturb what the second has begun
                raise KeyboardInterrupt
        put(Signalled(signal.Signals(number).name))

    names = (*STOPPING, "SIGTSTP", "SIGCONT") if job_control else STOPPING
    before = {}
    for name in names:
        number = getattr(signal, name, None)
        if number is None or (name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN):
            continue
        before[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def suspend() -> None:
    """Stop this process as Ctrl-Z does; returns when it goes on.

    By SIGTSTP rather than SIGSTOP: where no shell could have us go on, the system ignores it.
    """
    if sys.platform != "win32":  # which has no such thing
        handler = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, handler)
