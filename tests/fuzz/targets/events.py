"""Records, as lines and as words.

Oracle: a line is a record or a `msgspec.DecodeError`; a record that is written and read again is the same; it
is told in one printable line (a failed reload in several), drawn within the width of a terminal, and folded
into a session whose totals only grow.
"""

from typing import Any, Final
from unicodedata import category

import msgspec

from gateway.events import KINDS, Event, decode, encode
from gateway.text import lines
from launcher.session import Session, fold
from launcher.view import record
from tests.fuzz.choices import Choices
from tests.launcher import records

_SAMPLES: Final[tuple[Event, ...]] = (
    records.frame(),
    records.opened(),
    records.closed(),
    records.violation(),
    records.omitted(),
    records.request(),
    records.error(),
    records.stopping(),
    records.listening(),
)

TOKENS: Final = (
    *(encode(each).strip() for each in _SAMPLES),
    *(f'"event":"{kind.__struct_config__.tag}"'.encode() for kind in KINDS),
    b"null",
    b"true",
    b'"\\u001b[2J"',
    b'"\\ud800"',
    b"1e999",
    b"9223372036854775808",
    b"-1",
    b'"code":4000',
    b'"how":"reset"',
    b'"by":"gateway"',
)

_WIDTHS: Final = (1, 20, 80, 200)


def check(data: bytes) -> None:
    """Read `data` as lines, and some of it as the words of a record."""
    session = Session()
    for line in data.split(b"\n")[:8]:
        try:
            event = decode(line)
        except msgspec.DecodeError:
            continue
        session = _seen(event, session)
    choices = Choices(data)
    sample = _SAMPLES[choices.below(len(_SAMPLES))]
    _seen(_reworded(sample, choices), session)


def _reworded(sample: Event, choices: Choices) -> Event:
    """`sample` with other words wherever it has any that come from the wire."""
    changes: dict[str, Any] = {}
    for name in sample.__struct_fields__:
        value = getattr(sample, name)
        if isinstance(value, str) and name in {
            "text",
            "path",
            "message",
            "reason",
            "what",
            "method",
            "upstream",
        }:
            changes[name] = choices.take(choices.byte()).decode("utf-8", "replace")
    return msgspec.structs.replace(sample, **changes)


def _seen(event: Event, session: Session) -> Session:
    event = msgspec.structs.replace(event, time=records.TIME)  # the gateway's own, and always one
    written = encode(event)
    assert written.endswith(b"\n")
    assert written.count(b"\n") == 1
    assert decode(written) == event
    told = lines(event)
    assert len(told) == 1 or event.event == "reload"
    for line in told:
        # Blanks of any width take their place, whatever Python thinks of them.
        assert all(each.isprintable() or category(each) == "Zs" for each in line), line
    for width in _WIDTHS:
        drawn = record(event, width)
        assert drawn.cell_len <= width
        assert "\n" not in drawn.plain
    after = fold(session, event)
    after.path_of(event)
    return after
