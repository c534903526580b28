"""The corpus: what reads the words of strangers, given inputs that were worth keeping."""

import re
from fnmatch import translate
from typing import Final

import pytest

from gateway.config.problems import Mark
from tests.fuzz.campaign import CORPUS
from tests.fuzz.targets import NAMES, load


def objections(name: str) -> dict[str, str]:
    """What the oracle of the target `name` objects to, by the names of the inputs."""
    check = load(name).check
    found: dict[str, str] = {}
    for path in sorted((CORPUS / name).iterdir()):
        try:
            check(path.read_bytes())
        except Exception as error:  # noqa: BLE001 - whatever it is, it is an objection
            found[path.name] = repr(error)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_oracle_holds_for_the_corpus(name: str) -> None:
    """For each input of each target."""
    assert objections(name) == {}


NOTHING: Final = re.compile("(?!)")
EVERYTHING: Final = re.compile(b"(?s).*")

DEFECTS: Final = {
    "frames": ("gateway.websocket.frames.payload_length", lambda data, at=0: data[at + 1] & 0x7F),
    "inflate": ("gateway.websocket.inflate.INFLATE_MESSAGE", 1 << 30),
    "request": ("gateway.websocket.handshake._FIELD_LINES", EVERYTHING),
    "answer": ("gateway.websocket.handshake._FIELD_LINES", EVERYTHING),
    "config": ("gateway.config.composing.Text.mark", lambda _, index: Mark(line=1, column=index + 1)),
    "substitution": ("gateway.config.substitution._missing", lambda use, *, empty: not (use.given or empty)),
    "paths": ("gateway.routing.target._DOT_SEGMENT", NOTHING),
    "mux": ("gateway.routing.mux._mismatch", lambda _pattern, _segments: None),
    "matchers": ("gateway.routing.patterns._glob", lambda pattern: re.compile(translate(pattern))),
    "text": ("gateway.printable._UNSEEN", NOTHING),
    "filter": ("launcher.filter._NUMBER", re.compile("[0-9]+")),
    "headers": ("gateway.headers._SECRET_FIELDS", frozenset()),
    "events": ("gateway.text.escape", str),
}
"""A mistake in what each target is about: where, and what stands there instead."""


@pytest.mark.parametrize("name", NAMES)
def test_the_oracle_can_object(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a mistake in the product, some input of the corpus shows it."""
    place, mistake = DEFECTS[name]
    load(name)
    monkeypatch.setattr(place, mistake)
    assert objections(name) != {}
