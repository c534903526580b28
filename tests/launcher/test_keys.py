"""Bytes from a terminal become keys, however they come in pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.keys import BACKSPACE, ENTER, ERASE_LINE, ERASE_WORD, ESCAPE, Editor, KeyReader


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"pq?", ["p", "q", "?"]),
        (b"\r\n", [ENTER, ENTER]),
        (b"\x7f\x08", [BACKSPACE, BACKSPACE]),
        (b"\x17\x15", [ERASE_WORD, ERASE_LINE]),
        ("é日👍".encode(), ["é", "日", "👍"]),
        (b"\x1b[Ap", ["p"]),
        (b"\x1b[1;5Cp", ["p"]),
        (b"\x1bOPq", ["q"]),
        (b"\x1bp", []),
        (b"\x01\x02\x04\t", []),
        (b"\xff\xfep", ["p"]),
        (b"\x1b[200~pasted\x1b[201~", ["p", "a", "s", "t", "e", "d"]),
    ],
)
def test_keys(data: bytes, keys: list[str]) -> None:
    """Printable characters and a few others are keys; sequences and unknown controls are let go."""
    assert KeyReader().feed(data) == keys


@given(st.text(st.sampled_from("pq/\x1b[AO1;~\r日")))
def test_any_split_gives_the_same_keys(text: str) -> None:
    """Bytes one by one give what they give at once."""
    data = text.encode()
    whole, single = KeyReader(), KeyReader()
    at_once = whole.feed(data) + whole.idle()
    one_by_one = [key for byte in data for key in single.feed(bytes([byte]))] + single.idle()
    assert at_once == one_by_one


@given(st.binary())
def test_any_bytes_are_read(data: bytes) -> None:
    """Nothing that a terminal sends can disturb the reader, and nothing piles up in it."""
    reader = KeyReader()
    for key in reader.feed(data):
        assert len(key) == 1 or key in (ENTER, BACKSPACE, ERASE_WORD, ERASE_LINE)
    assert len(reader._pending) <= 32


def test_escape_is_told_by_the_silence_after_it() -> None:
    """A lone ESC waits; silence makes it the Escape key, once."""
    reader = KeyReader()
    assert reader.feed(b"\x1b") == []
    assert reader.waiting
    assert reader.idle() == [ESCAPE]
    assert reader.idle() == []
    assert not reader.waiting


@pytest.mark.parametrize(
    ("text", "key", "after"),
    [
        ("ab", "c", "abc"),
        ("ab", BACKSPACE, "a"),
        ("", BACKSPACE, ""),
        ("from:client op:te", ERASE_WORD, "from:client "),
        ("from:client ", ERASE_WORD, ""),
        ("abc", ERASE_LINE, ""),
        ("abc", "some other key", "abc"),
    ],
)
def test_editor(text: str, key: str, after: str) -> None:
    """Each key does to the line what it says."""
    assert Editor(text).press(key).text == after


def test_a_problem_goes_with_the_next_key() -> None:
    """What was wrong is shown until the person goes on."""
    wrong = Editor("op:x").wrong("no opcode", 3)
    assert (wrong.text, wrong.problem, wrong.column) == ("op:x", "no opcode", 3)
    assert wrong.press("y").problem == ""
