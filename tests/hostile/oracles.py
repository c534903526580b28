"""What a terminal, a log or a page may be given; by rules of their own, not by the product's."""

import json
import re
from collections.abc import Iterable
from typing import Any, Final
from unicodedata import category

import msgspec

_IGNORABLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)
"""Unicode's Default_Ignorable_Code_Point (DerivedCoreProperties.txt), and the blank of braille."""

_EMOJI: Final = re.compile("(?<=[\u203c-\u3299\U0001f000-\U0001faff])[\ufe0e\ufe0f]")
"""A variation selector where it says how a symbol is drawn."""

_OURS: Final = re.compile(r"\x1b\[(?:[0-9;]*m|A|2K|H|2J|\?(?:2026|25|7)[hl])|\r\n|\r|\n")
"""All that the live view ever asks of a terminal."""

_OBEYED: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def harm(text: str) -> set[str]:
    """The characters of `text` that do something, or hide, where it is put on a screen; line ends aside."""
    text = _EMOJI.sub("", text)
    there = set(text) - {"\n"}
    found = {each for each in there if category(each)[0] == "C" or category(each) in ("Zl", "Zp")}
    found |= set(_IGNORABLE.findall("".join(there)))
    marks = "".join(each for each in there if category(each) in ("Mn", "Me"))
    return found | ({"a pile of marks"} if marks and re.search(f"[{marks}]{{4}}", text) else set())


def obeyed(text: str) -> set[str]:
    """The characters of `text` that do something where it is put on a screen; line ends aside."""
    return set(_OBEYED.findall(text)) - {"\n"}


def asked_of_a_terminal(raw: bytes) -> str:
    """What was written to a terminal, without what the live view itself asks of it."""
    return _OURS.sub("\n", raw.decode())


def records_in(output: bytes) -> list[dict[str, Any]]:
    """The records in JSON lines, each of which any reader must take, and any screen."""
    assert output.endswith(b"\n")
    found = []
    for line in output.splitlines():
        text = line.decode()
        assert not _OBEYED.search(text), (text[:200], _OBEYED.findall(text))
        record = json.loads(text)
        assert msgspec.json.decode(line) == record
        json.dumps(record, ensure_ascii=False).encode()  # raises where half of a surrogate pair is in it
        assert isinstance(record["event"], str)
        found.append(record)
    return found


def those_in(output: str, secrets: Iterable[str]) -> set[str]:
    """The `secrets` that stand in `output`, in whatever way: as they are, or in hexadecimal digits."""
    return {each for each in secrets if each in output or each.encode().hex() in output}
