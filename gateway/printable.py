"""Text that anybody may have written, made fit for a terminal.

What is shown of a payload, a header, a path or a config is only ever text: nothing in it moves a cursor,
changes a colour, turns the direction of writing round, piles up over the lines above, or stays invisible.
"""

import re
from typing import Final
from unicodedata import category

# Unicode calls these printable (they are marks and letters), yet nothing of them is seen.  The two
# variation selectors that choose between a symbol and its emoji stay where they follow a symbol.
_UNSEEN: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0d\uffa0\U000e0100-\U000e01ef]"
    "|(?<![\u203c-\u27ff\u2801-\u3163\u3165-\u3299\U0001f000-\U0001faff])[\ufe0e\ufe0f]"
)
_MARK: Final = (
    "[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u06d6-\u06dc\u0e31\u0e34-\u0e3a"
    "\u0e47-\u0e4e\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
)
"""Marks that languages put above and below letters."""
_PILED: Final = re.compile(rf"(?:\A|(?<={_MARK}{_MARK}{_MARK})){_MARK}")
"""Those that stand on no letter, and those beyond the three that a letter of any language has at most."""
_SHORT: Final = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


def escape(text: str) -> str:
    r"""`text` as a terminal can show it, on one line: what is unsafe or unseen becomes `\x1b`, `\u202e`, ….

    That is every control, format, surrogate and unassigned character, line and paragraph separators,
    characters that are invisible by design, and marks that pile up.  A backslash stays as it is.
    """
    if not text.isprintable():
        text = "".join(map(_visible, text))
    if text.isascii():
        return text
    text = _UNSEEN.sub(lambda match: _code(match[0]), text)
    return _PILED.sub(lambda match: _code(match[0]), text)


def _visible(character: str) -> str:
    """`character`, or its escape where Unicode gives it nothing to show (categories C*, Zl and Zp)."""
    if character.isprintable() or category(character) == "Zs":
        return character
    return _SHORT.get(character) or _code(character)


def _code(character: str) -> str:
    """Write one character in Python's and JavaScript's own notation."""
    point = ord(character)
    if point < 0x100:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"
