"""The keyboard's side of the terminal: keys come at once and unechoed, and afterwards all is as it was.

Rules
    * Ctrl-C, Ctrl-Z and the rest keep meaning signals.
    * Only a process in the terminal's foreground touches it.
    * A terminal that has gone away cannot be restored, and that is no error.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from launcher.keys import KeyReader

LONE_ESCAPE: Final = 0.05
"""Seconds of silence after ESC that tell the key from the beginning of a sequence."""


@dataclass(frozen=True, slots=True)
class Pressed:
    """A key, as `launcher.keys` names it."""

    key: str


@dataclass(frozen=True, slots=True)
class Gone:
    """The terminal, or whoever read our output, has gone away."""

    problem: str | None = None
    """Why nothing can be written any more, where that is not somebody's own wish."""


Put = Callable[[Pressed | Gone], None]

if sys.platform == "win32":
    import msvcrt

    class Keyboard:
        """The console's keys; there is nothing to set and nothing to restore."""

        def __init__(self, put: Put) -> None:
            self._put = put
            self._reader = KeyReader()

        @staticmethod
        def available() -> bool:
            """Tell whether there is a keyboard to read."""
            return sys.stdin is not None and sys.stdin.isatty()

        def take(self) -> None:
            """Begin to read keys."""
            threading.Thread(target=self._run, name="keyboard", daemon=True).start()

        def give_back(self) -> None:
            """Leave the console as it was found."""

        def _run(self) -> None:
            while True:
                if not msvcrt.kbhit():
                    time.sleep(LONE_ESCAPE)  # inside getwch, Ctrl-C would be a key and no signal
                    continue
                key = msvcrt.getwch()
                if key in ("\x00", "\xe0"):
                    msvcrt.getwch()  # an arrow or function key, told in two halves
                    continue
                for each in self._reader.feed(key.encode()) or self._reader.idle():
                    self._put(Pressed(each))

    def enable_escapes(descriptor: int) -> bool:
        """Have the console obey escape sequences; False where it cannot."""
        import ctypes  # noqa: PLC0415  (needed on Windows alone)

        kernel = ctypes.windll.kernel32
        handle, mode = msvcrt.get_osfhandle(descriptor), ctypes.c_ulong()
        if not kernel.GetConsoleMode(handle, ctypes.byref(mode)):
            return False
        processed, virtual = 0x0001, 0x0004
        return bool(kernel.SetConsoleMode(handle, mode.value | processed | virtual))

    def in_foreground(_descriptor: int) -> bool:
        """Tell whether the terminal is ours to write to; a console always is."""
        return True

else:
    import select
    import termios

    class Keyboard:
        """The terminal's keys, one by one and unechoed."""

        def __init__(self, put: Put) -> None:
            self._put = put
            self._descriptor = sys.stdin.fileno()
            self._before = termios.tcgetattr(self._descriptor)
            self._reader = KeyReader()
            self._thread = threading.Thread(target=self._run, name="keyboard", daemon=True)

        @staticmethod
        def available() -> bool:
            """Tell whether there is a keyboard to read, and it is ours at the moment."""
            return sys.stdin is not None and sys.stdin.isatty() and in_foreground(sys.stdin.fileno())

        def take(self) -> None:
            """Begin, or after a pause go on, to read keys."""
            settings = [*self._before[:6], list(self._before[6])]
            settings[3] &= ~(termios.ICANON | termios.ECHO)  # the local flags
            settings[6][termios.VMIN], settings[6][termios.VTIME] = 1, 0
            self._set(settings)
            if self._thread.ident is None:
                self._thread.start()

        def give_back(self) -> None:
            """Leave the terminal as it was found."""
            self._set(self._before)

        def _set(self, settings: list[Any]) -> None:
            with contextlib.suppress(OSError, termios.error):  # it may have gone away
                # Not "when the output is drained": a terminal that hangs must not hold us.
                termios.tcsetattr(self._descriptor, termios.TCSANOW, settings)

        def _run(self) -> None:
            while True:
                try:
                    patience = LONE_ESCAPE if self._reader.waiting else None
                    ready, _, _ = select.select([self._descriptor], [], [], patience)
                    data = os.read(self._descriptor, 1024) if ready else None
                except OSError:
                    data = b""
                if data == b"":
                    return self._put(Gone())
                for key in self._reader.idle() if data is None else self._reader.feed(data):
                    self._put(Pressed(key))

    def enable_escapes(_descriptor: int) -> bool:
        """Tell whether the terminal obeys escape sequences; those of POSIX systems do."""
        return True

    def in_foreground(descriptor: int) -> bool:
        """Tell whether the terminal is ours to use: not so in a job that was started with `&`."""
        try:
            return os.tcgetpgrp(descriptor) == os.getpgrp()
        except OSError:
            return True  # not the terminal that controls us: no shell has a say in who uses it
