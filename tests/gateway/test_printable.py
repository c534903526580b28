"""Text that anybody may have written: what a terminal is given of it, and what it is never given."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.printable import escape


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("日本語 ちゃん é 👍", "日本語 ちゃん é 👍"),
        ("a\tb\r\nc", r"a\tb\r\nc"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b2J\x9d0;t\x9c", r"\x9b2J\x9d0;t\x9c"),
        ("\x00\x7f", r"\x00\x7f"),
        ("abc\u202edef\u2066", r"abc\u202edef\u2066"),
        ("zero\u200bwidth\ufeff\u00ad", r"zero\u200bwidth\ufeff\xad"),
        ("\U000e0041\U000e007f", r"\U000e0041\U000e007f"),
        ("\u2028\u2029", r"\u2028\u2029"),
        ("\ud800\udfff", r"\ud800\udfff"),
        ("\ufdd0\uffff\U0010ffff", r"\ufdd0\uffff\U0010ffff"),
        ("\u3164\u115f\u034f", r"\u3164\u115f\u034f"),
        ("❤\ufe0f a\ufe0f", r"❤" + "\ufe0f" + r" a\ufe0f"),
        ("❤\ufe0f\ufe0f", "❤\ufe0f" + r"\ufe0f"),
        ("\u3164\ufe0f\u2800\ufe0f", r"\u3164\ufe0f\u2800\ufe0f"),
        ("\U000e0100\ufe00", r"\U000e0100\ufe00"),
        (r"C:\temp\x1b", r"C:\temp\x1b"),
        ("no\u00a0break \u3000", "no\u00a0break \u3000"),
        ("Tiếng Việt e\u0323\u0302 שָׁלוֹם ที่", "Tiếng Việt e\u0323\u0302 שָׁלוֹם ที่"),
        ("a\u0301\u0302\u0303\u0304\u0305", "a\u0301\u0302\u0303" + r"\u0304\u0305"),
        ("\u0301a", r"\u0301a"),
        ("\u2800", r"\u2800"),
        ("[bold]markup[/bold]", "[bold]markup[/bold]"),
    ],
)
def test_escape_shows_what_is_unsafe(text: str, shown: str) -> None:
    """Each class of characters that could harm or hide is written out; all else stays as it is."""
    assert escape(text) == shown


@given(st.text(st.characters()))
def test_escape_leaves_nothing_that_a_terminal_obeys(text: str) -> None:
    """Whatever the text, no control, format, surrogate, unassigned or separating character is left."""
    forbidden = {"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"}
    assert not forbidden & set(map(unicodedata.category, escape(text)))


@given(st.text(st.characters()))
def test_escape_is_done_once(text: str) -> None:
    """What is safe already is not changed: escaping twice is escaping once."""
    assert escape(escape(text)) == escape(text)
