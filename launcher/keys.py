r"""Bytes from a terminal → keys, and the one-line editor; pure.

A key is a printable character, or one of the names below.  Other keys come as escape sequences
(`ESC [ A` for the upper arrow, ECMA-48 section 5.4); nothing here needs those, so they are read and let go.
A lone ESC byte is the Escape key, which only the silence after it can tell: `idle` says that there was some.
"""

import codecs
import re
from dataclasses import dataclass, replace
from typing import Final

ENTER: Final = "enter"
ESCAPE: Final = "escape"
BACKSPACE: Final = "backspace"
ERASE_WORD: Final = "erase word"
ERASE_LINE: Final = "erase line"

_NAMED: Final = {
    "\r": ENTER,
    "\n": ENTER,
    "\x7f": BACKSPACE,
    "\x08": BACKSPACE,
    "\x17": ERASE_WORD,  # Ctrl-W
    "\x15": ERASE_LINE,  # Ctrl-U
}
# CSI: ESC [, parameter and intermediate bytes, a final byte.  SS3: ESC O and a byte.  Alt: ESC and the key.
_SEQUENCE: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|[^\[O])", re.DOTALL)


class KeyReader:
    """Takes bytes in any pieces, gives keys."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="ignore")
        self._pending = ""

    def feed(self, data: bytes) -> list[str]:
        """Return the keys that `data` completes."""
        text = self._pending + self._decoder.decode(data)
        keys: list[str] = []
        at = 0
        while at < len(text):
            if text[at] == "\x1b":
                sequence = _SEQUENCE.match(text, at)
                if sequence is None:
                    break
                at = sequence.end()
                continue
            if key := _NAMED.get(text[at]) or (text[at] if text[at].isprintable() else None):
                keys.append(key)
            at += 1
        # A sequence that does not end is not kept for ever.
        self._pending = text[at:][:32]
        return keys

    @property
    def waiting(self) -> bool:
        """Whether what was fed last may be the beginning of a longer sequence."""
        return bool(self._pending)

    def idle(self) -> list[str]:
        """Nothing followed for a moment: return the key that was waiting for more, if one was."""
        waiting, self._pending = self._pending, ""
        return [ESCAPE] if waiting.startswith("\x1b") else []


@dataclass(frozen=True, slots=True)
class Editor:
    """One line of text, written at its end."""

    text: str = ""
    problem: str = ""
    """What is wrong with the text, said when it was last entered; goes with the next key."""
    column: int = 0
    """Where the problem is, in characters."""

    def press(self, key: str) -> "Editor":
        """Return the editor after `key`; keys that mean nothing to it leave it as it is."""
        match key:
            case "backspace":
                text = self.text[:-1]
            case "erase word":
                text = re.sub(r"\S*\s*$", "", self.text)
            case "erase line":
                text = ""
            case _ if len(key) == 1:
                text = self.text + key
            case _:
                return self
        return Editor(text)

    def wrong(self, problem: str, column: int) -> "Editor":
        """Return the editor with a problem to show."""
        return replace(self, problem=problem, column=column)
