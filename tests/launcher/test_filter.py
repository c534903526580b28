"""The filter expression: what it shows, and where a wrong one is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.events import Event
from launcher.filter import FilterError, parse
from tests.launcher import records
from tests.launcher.records import frame

PING = frame("beat", opcode="ping", sender="upstream", conn=3)


@pytest.mark.parametrize(
    ("expression", "event", "path", "shown"),
    [
        ("", frame(), None, True),
        ("  ", frame(), None, True),
        ("from:client", frame(), None, True),
        ("from:upstream", frame(), None, False),
        ("from:client|upstream", frame(), None, True),
        ("!from:client", frame(), None, False),
        ("op:text", frame(), None, True),
        ("op:text|ping", PING, None, True),
        ("op:binary|close", PING, None, False),
        ("op:0xb", frame(opcode="0xB"), None, True),
        ("op:0xC", frame(opcode="0xB"), None, False),
        ("conn:3", PING, None, True),
        ("conn:3", frame(), None, False),
        ("conn:1|3", frame(), None, True),
        ("path:/ws", frame(), "/ws?room=1", True),
        ("path:/ws", frame(), "/echo", False),
        ("path:/ws", frame(), None, False),
        ("!path:/ws", frame(), None, True),
        ("path:/echo|/ws", frame(), "/ws", True),
        ("/el+o/", frame(), None, True),
        ("/^ello/", frame(), None, False),
        ("!/el+o/", frame(), None, False),
        (r"/a\/b c/", frame("a/b c"), None, True),
        ("/(?i)hello/", frame(), None, True),
        ("/00 ff/", frame(None, opcode="binary", hex="00ff10"), None, True),
        ("/4000 going/", frame(None, opcode="close", code=4000, reason="going"), None, True),
        ("from:client op:text conn:1 path:/ws /Hello/ !op:ping", frame(), "/ws", True),
        ("from:client op:text conn:2 path:/ws /Hello/ !op:ping", frame(), "/ws", False),
    ],
)
def test_frames(expression: str, event: Event, path: str | None, shown: bool) -> None:
    """Each term asks its question, and all must hold."""
    assert parse(expression).shows(event, path) is shown


@pytest.mark.parametrize(
    ("expression", "event", "shown"),
    [
        ("op:ping", records.opened(), True),
        ("!op:ping", records.closed(), True),
        ("/never/", records.violation(), True),
        ("from:upstream", records.opened(), True),
        ("from:upstream", records.violation(), False),
        ("from:upstream", records.omitted(), False),
        ("conn:2", records.opened(), False),
        ("conn:2", records.closed(2), True),
        ("conn:2", records.request(), False),
        ("!conn:2", records.request(), True),
        ("conn:2", records.error(), True),
        ("conn:2", records.error(conn=1), False),
        ("path:/b", records.request("/b?c"), True),
        ("path:/b", records.request("/a"), False),
        ("path:/b", records.error(path="/a"), False),
        ("path:/b", records.error(), True),
        ("path:/b conn:1 op:text", records.stopping(), True),
    ],
)
def test_other_records(expression: str, event: Event, shown: bool) -> None:
    """A term says nothing about a record that lacks what it asks for."""
    assert parse(expression).shows(event, None) is shown


def test_an_open_is_chosen_by_its_own_path() -> None:
    """An `open` is not yet among the open connections, but names its path itself."""
    assert parse("path:/ws").shows(records.opened(path="/ws"), None)
    assert not parse("!path:/ws").shows(records.opened(path="/ws"), None)


@pytest.mark.parametrize(
    ("expression", "column", "problem"),
    [
        ("from:clent", 5, '"clent" sends no frames'),
        ("from:client op:text|tex", 20, '"tex" is no opcode'),
        ("op:0x1", 3, '"0x1" is no opcode'),
        ("conn:three", 5, '"three" is no connection number'),
        ("conn:", 5, '"" is no connection number'),
        ("conn:٣", 5, '"٣" is no connection number'),
        ("path:ws", 5, "a path begins with /"),
        ("hello", 0, '"hello" is no term'),
        ("size:3", 0, '"size:3" is no term'),
        ("conn:1 !", 8, "a term is missing"),
        ("conn:1 /abc", 7, "has no end"),
        (r"/abc\/", 0, "has no end"),
        ("/abc/x", 5, "a space must follow"),
        ("conn:1 /a(b/", 9, "not a regular expression"),
        ("!from:me", 6, '"me" sends no frames'),
        ("conn:1 /a{99999999999}/", 7, "asks for too much"),
        (f"/{'(' * 5000}{')' * 5000}/", 0, "asks for too much"),
        (f"conn:{'1' * 5000}", 5, "is no connection number"),
    ],
)
def test_errors_say_where(expression: str, column: int, problem: str) -> None:
    """A wrong expression is refused with what is wrong, and the column where."""
    with pytest.raises(FilterError) as caught:
        parse(expression)
    assert caught.value.column == column
    assert problem in caught.value.problem
    assert str(caught.value).splitlines()[-1] == f"  {' ' * column}^"


@given(st.text(st.sampled_from("fromcenpathl:|!/\\ 0x13wst(*[")))
def test_any_text_is_an_expression_or_refused(expression: str) -> None:
    """Nothing but FilterError comes of any text, and its column lies within."""
    wrong: FilterError | None = None
    try:
        chosen = parse(expression)
    except FilterError as error:
        wrong = error
    if wrong is not None:
        assert 0 <= wrong.column <= len(expression)
        return
    for event in records.EVERY:
        chosen.shows(event, "/ws")


TERMS = st.sampled_from(["from:client", "op:text|ping", "conn:1", "path:/ws", "/l+/", "/x/", "conn:2"])


@given(TERMS, st.sampled_from(records.EVERY), st.sampled_from([None, "/ws", "/echo"]))
def test_negation_is_the_opposite_or_says_nothing_either(term: str, event: Event, path: str | None) -> None:
    """A record is shown by a term, by its negation, or by both where the term says nothing about it."""
    assert parse(term).shows(event, path) or parse(f"!{term}").shows(event, path)


@given(st.lists(TERMS, max_size=4), st.sampled_from(records.EVERY))
def test_all_terms_must_hold(terms: list[str], event: Event) -> None:
    """An expression shows what each of its terms shows."""
    assert parse(" ".join(terms)).shows(event, "/ws") is all(
        parse(term).shows(event, "/ws") for term in terms
    )


def test_a_regular_expression_is_understood_in_silence() -> None:
    """What Python may read in another way one day is no news for a terminal that something is drawn on."""
    assert parse("/[[b]/").shows(frame("b"), None)


def test_a_long_preview_is_looked_at_in_part() -> None:
    """A regular expression is not given a megabyte, whatever `--preview` says."""
    assert not parse("/end/").shows(frame("x" * 5000 + "end"), None)
