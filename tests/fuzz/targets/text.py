r"""The terminal escaper, and what quotes config files.

Oracle: of any text there remain only characters that take a place of their own and are seen: nothing that
moves a cursor, changes a colour or a direction, joins, or hides (Unicode's Default_Ignorable_Code_Point but
for a variation selector behind a symbol); what was safe is left as it was; escaping twice changes nothing.
"""

import re
import unicodedata
from typing import Final

from gateway.config.problems import escaped, quoted
from gateway.headers import readable
from gateway.printable import escape
from gateway.text import close_words

TOKENS: Final = (
    b"\x1b[2J",
    b"\x1b]8;;http://a\x07",
    b"\xc2\x9b",
    b"\xe2\x80\xae",
    b"\xe2\x81\xa6",
    b"\xe2\x80\x8b",
    b"\xef\xb8\x8f",
    b"\xe2\x9d\xa4\xef\xb8\x8f",
    b"\xf3\xa0\x81\x81",
    b"\xe3\x85\xa4",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x91\xa9\xe2\x80\x8d",
    b"\xcc\x81",
    b"[bold]",
    b"\r\n",
    b"\\x1b",
)

_IGNORABLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    "\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""DerivedCoreProperties.txt, and the blank of Braille; but U+FE0E and U+FE0F are looked at by themselves."""

_UNSAFE: Final = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def check(data: bytes) -> None:
    """Escape `data` as text, in every way in which bytes become text here."""
    for text in {
        data.decode("utf-8", "surrogateescape"),
        data.decode("utf-8", "replace"),
        data.decode("latin-1"),
        data.decode("utf-16-le", "surrogatepass") if len(data) % 2 == 0 else "",
        readable(data),
    }:
        _safe(text, escape(text))
        assert escape(escape(text)) == escape(text)
        assert escaped(text).isprintable()
        assert quoted(text).isprintable()
        _safe(text, close_words(1000, text).removeprefix('1000 Normal Closure "').removesuffix('"'))


def _safe(text: str, shown: str) -> None:
    assert _UNSAFE.isdisjoint(map(unicodedata.category, shown)), shown
    assert not _IGNORABLE.search(shown), shown
    for found in re.finditer("[\ufe0e\ufe0f]", shown):
        assert found.start(), "a selector needs something to select"
        assert unicodedata.category(shown[found.start() - 1])[0] in "LMNPS", shown
    kept = [each for each in text if unicodedata.category(each)[0] in "LNPS" and not _IGNORABLE.match(each)]
    rest = iter(shown)
    assert all(each in rest for each in kept), "what is safe stays, in its order"
