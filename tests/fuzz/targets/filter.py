"""The filter expression.

Oracle: an expression is a filter or a `FilterError` whose place is in it, and nothing else is raised; a
filter answers for every kind of record; it shows what all its terms show, and a negated term shows the
records that the term does not, but for those that lack what it asks for.
"""

from typing import Final

from gateway.events import Event
from launcher.filter import Filter, FilterError, parse
from tests.launcher import records

TOKENS: Final = tuple(
    b"from:client from:upstream op:text|ping op:0xB conn:3 conn:1|2 path:/ws /a+/ /a\\/b/ /(?i)x/ ! | / \\ "
    b"/[a-/ /(/ /a{2}/ /(?P<n>a)(?P=n)/ /(?<=a)b/ conn:\xd9\xa3".split(b" ")
)

_EVENTS: Final[tuple[tuple[Event, str | None], ...]] = (
    (records.frame("Hello"), "/ws"),
    (records.frame("a/b", sender="upstream", conn=3), None),
    (records.frame(None, opcode="binary", hex="00ff10"), "/"),
    (records.frame(None, opcode="close", code=4000, reason="aab"), "/ws"),
    (records.frame(None, opcode="0xB", hex=""), "/echo"),
    (records.opened(path="/ws?a"), "/ws?a"),
    (records.closed(), "/ws"),
    (records.violation(), "/ws"),
    (records.omitted(), None),
    (records.request(), None),
    (records.error(), None),
    (records.stopping(), None),
)


def check(data: bytes) -> None:
    """Understand `data` as an expression, and ask it."""
    expression = data.decode("utf-8", "replace")
    understood = _parsed(expression)
    if understood is None:
        return
    shown = [understood.shows(*each) for each in _EVENTS]
    assert understood.expression == expression.strip()
    again = parse(f" {understood.expression}\t")
    assert [again.shows(*each) for each in _EVENTS] == shown
    alone = [Filter("", (question,)) for question in understood.questions]
    assert shown == [all(each.shows(*record) for each in alone) for record in _EVENTS]
    if len(alone) == 1 and not understood.expression.startswith("!"):
        opposite = parse(f"!{understood.expression}")
        for number, each in enumerate(_EVENTS):
            answer = understood.questions[0](*each)
            assert shown[number] is (answer is not False)
            assert opposite.shows(*each) is (answer is not True)


def _parsed(expression: str) -> Filter | None:
    try:
        return parse(expression)
    except FilterError as error:
        assert 0 <= error.column <= len(expression)
        assert error.problem
        return None
