"""The lifeline: a process that ends when the one that started it is gone.

Strategy
    The parent makes a pipe, keeps the writing end to itself, lets the child inherit the reading end and
    names that in the environment.  Nothing is ever written.  However the parent ends, kill -9 included,
    the system closes its end, and the child reads the end of the file.

Rules
    * A thread of its own blocks in the read: it needs nothing of an event loop, works on every system,
      and still works where the loop does not.
    * A process that has not ended within `grace` of that is ended hard.
    * The demo upstream has the same module: neither package imports the other, and each also runs alone.
"""

import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Final

ENVIRONMENT: Final = "AILERON_DEMO_LIFELINE"
"""The variable that names the inherited descriptor (on Windows: the inherited handle)."""

GRACE: Final = 1.2
"""Seconds from the loss to the hard end; leaves the process a little to be gone within 1.5."""


class LifelineError(Exception):
    """The environment names a lifeline that is none."""


def watch(on_lost: Callable[[], None], *, grace: float = GRACE) -> None:
    """Call `on_lost` from a thread once the lifeline is cut; end the process `grace` seconds later.

    Does nothing where the environment names no lifeline.  Raises LifelineError where it names something
    that is not an open descriptor.
    """
    value = os.environ.get(ENVIRONMENT)
    if value is None:
        return
    try:
        descriptor = _descriptor(int(value))
        os.set_inheritable(descriptor, False)  # a process of our own must not hold a copy
    except (ValueError, OSError, OverflowError) as error:
        raise LifelineError(f"{ENVIRONMENT}={value!r} does not name an open descriptor: {error}") from error
    threading.Thread(target=_wait, args=(descriptor, on_lost, grace), name="lifeline", daemon=True).start()


def _descriptor(number: int) -> int:
    """The file descriptor for what the environment names."""
    if sys.platform == "win32":
        import msvcrt  # noqa: PLC0415 - exists on Windows alone

        return msvcrt.open_osfhandle(number, os.O_RDONLY)
    return number


def _wait(descriptor: int, on_lost: Callable[[], None], grace: float) -> None:
    try:
        while os.read(descriptor, 4096):
            pass  # nobody has anything to say here; only the end counts
    except OSError:
        pass  # a pipe that cannot be read holds nobody: as good as its end
    try:
        on_lost()
        time.sleep(grace)
    finally:
        os._exit(1)
