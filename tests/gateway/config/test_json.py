"""JSON files: read as the YAML that JSON is, and every mistake told by JSON's own rules."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.composing import DEPTH_MAX, NODES_MAX
from gateway.config.documents import Node, Reading, ScalarNode, SequenceNode, parse


def meaning(node: Node) -> Any:
    """What `json` would make of the text of `node`; mappings as tuples of pairs."""
    if isinstance(node, SequenceNode):
        return [meaning(item) for item in node.items]
    if isinstance(node, ScalarNode):
        return json.loads(node.text) if node.plain else node.text
    return tuple((meaning(key), meaning(value)) for key, value in node.entries)


def marks(node: Node) -> list[tuple[int, int]]:
    """Where each node stands."""
    own = [(node.mark.line, node.mark.column)]
    if isinstance(node, SequenceNode):
        return own + [mark for item in node.items for mark in marks(item)]
    if isinstance(node, ScalarNode):
        return own
    return own + [mark for entry in node.entries for part in entry for mark in marks(part)]


def reading(text: str, environment: dict[str, str] | None = None) -> Reading:
    """What is read of a file config.json with this content."""
    return parse("config.json", text.encode(), environment)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        " [ ] ",
        '{"a":1,"b":[true,false,null],"c":{"d":"e"}}',
        '{\t"a"\t:\t1\t,\r\n"b"\n:\n2\n}',
        '["\\ud83d\\ude00", "\\/\\b\\f\\n\\r\\t\\"\\\\", "\\u00e9é漢😀"]',
        "[0, -0, 12, -1.5, 1e5, 1E+5, 1.25e-3, 123456789012345678901234567890]",
        '{"a": 1, "a": 2}',
        '"text"',
        "true",
        "[" * DEPTH_MAX + "]" * DEPTH_MAX,
    ],
)
def test_json_is_read(text: str) -> None:
    """As Python's own parser reads it, and every duplicate is kept."""
    (document,) = reading(text).documents
    assert meaning(document.root) == json.loads(text, object_pairs_hook=tuple)


def test_positions() -> None:
    """Of every node, tabs and wide characters being one column each."""
    (document,) = reading('\ufeff{\r\n\t"漢": [1,\t"b"],\n  "c":{"d" : null}}').documents
    places = "1:1 2:2 2:7 2:8 2:11 3:3 3:7 3:8 3:14"
    assert [f"{line}:{column}" for line, column in marks(document.root)] == places.split()


def test_documents_are_divided_by_hyphens() -> None:
    """As in AILERON."""
    found = reading('---\r\n{"a": "---"}\n--- \t\n[\n1]\n---\n"b"\n').documents
    assert [meaning(each.root) for each in found] == [(("a", "---"),), [1], "b"]


def test_variables_stand_in_strings() -> None:
    """And what stands behind them is where it was."""
    found = reading('{"a":\t"${A} ${U:-{x}}",\n"b": "${A}"}\n---\n["${A}"]', {"A": "long value"})
    assert found.problems == ()
    assert [meaning(each.root) for each in found.documents] == [
        (("a", "long value {x}"), ("b", "long value")),
        ["long value"],
    ]
    assert marks(found.documents[0].root)[-1] == (2, 6)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ('{"a": 1,\n}', "1:8", "JSON has no comma behind the last entry; remove it"),
        ("[1, 2, ]", "1:6", "JSON has no comma behind the last entry; remove it"),
        ("[1,,2]", "1:4", "a value is missing here"),
        ("[,1]", "1:2", "a value is missing here"),
        ("\u2000", "1:1", "a value is missing here"),
        ('{"a": 1\n "b": 2}', "2:2", "a comma or a closing bracket is missing here, or before"),
        ('{"a" 1}', "1:6", "a colon is missing here"),
        ('{"a": }', "1:7", "a value is missing here"),
        ("{a: 1}", "1:2", "the name of a field has to stand here, in double quotes"),
        ("{'a': 1}", "1:2", 'JSON writes text in double quotes (")'),
        ("['a']", "1:2", 'JSON writes text in double quotes (")'),
        ('{"a: 1}', "1:2", "this quote is never closed"),
        ('{"a": "b\nc"}', "1:9", "a line cannot end inside of quotes; write \\n for a line break"),
        ('["a\tb"]', "1:4", "a tab cannot stand inside of quotes; write \\t"),
        ('["\\d"]', "1:3", "this backslash means nothing in JSON; double it"),
        ('["\\u12"]', "1:4", 'behind "\\u" four hexadecimal digits have to stand'),
        ("[NaN]", "1:2", "JSON has no NaN"),
        ('["NaN",\n-Infinity]', "2:1", "JSON has no -Infinity"),
        ("NaNtrue", "1:1", "JSON has no NaN"),
        ("[True]", "1:2", "a value is missing here"),
        (
            '// x\n{"a": 1}',
            "1:1",
            "JSON has no comments; a config with comments is written in YAML, in a file that ends in .yaml",
        ),
        (
            "{} # x\n",
            "1:4",
            "JSON has no comments; a config with comments is written in YAML, in a file that ends in .yaml",
        ),
        ("{}\n{}", "2:1", "the document has ended above; nothing may follow but a line with ---"),
        ('{"a": [1, 2]', "1:13", "a comma or a closing bracket is missing here, or before"),
        ('{}\n---\n{"a": 1\n---\n[]', "4:1", "a comma or a closing bracket is missing here, or before"),
        (
            "[" * (DEPTH_MAX + 1) + "]" * (DEPTH_MAX + 1),
            "1:65",
            "lists and mappings are nested more than 64 deep",
        ),
        ("[" * 100_000, "1:1", "lists and mappings are nested far too deep"),
    ],
)
def test_mistakes_are_told_in_words_for_people(text: str, place: str, words: str) -> None:
    """One problem, at the place to mend, saying what would be right."""
    (problem,) = reading(text).problems
    assert str(problem) == f"config.json:{place}: {words}"


def test_long_numbers() -> None:
    """Python has a limit of its own for the digits of a number, but the kit does not count."""
    for problem in reading("[" + "1" * 10_000 + "]").problems:
        assert problem.line == 1


def test_no_more_values_than_a_config_needs() -> None:
    """As in YAML."""
    (problem,) = reading("[" + "1," * NODES_MAX + "1]").problems
    assert problem.message == f"with all its aliases the document has more than {NODES_MAX} values"


def test_every_truncation_is_a_problem() -> None:
    """At a place in the file, and never an exception."""
    text = '{"a": [1.5e3, true, null, {"b": "\\u00e9\\n${A}"}],\n "c": -0}'
    assert reading(text).documents
    for length in range(1, len(text)):
        (problem,) = reading(text[:length]).problems
        assert problem.line in (1, 2)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=20,
)


@given(JSON, st.sampled_from([None, 1, "\t"]))
def test_what_json_writes_is_read(value: Any, indent: str | int | None) -> None:
    """Values come out as they went in."""
    text = json.dumps(value, indent=indent)
    if "${" not in text:
        (document,) = reading(text).documents
        assert meaning(document.root) == json.loads(text, object_pairs_hook=tuple)


PIECES = '{ } [ ] , : "a" "\\u12ab" 1 -0.5e1 01 true null tru NaN \t \n " \\ // --- x'
TEXTS = st.lists(st.sampled_from([*PIECES.split(" "), " "]), max_size=12).map("".join)


@given(TEXTS | st.text())
def test_what_json_refuses_is_refused(text: str) -> None:
    """Nothing is raised, and what is no JSON gives no document."""
    found = parse("config.json", text.encode("utf-8", "ignore"))
    assert all(problem.message for problem in found.problems)
    if "---" not in text and text.strip():
        try:
            json.loads(text)
        except ValueError:
            assert (found.documents, len(found.problems)) == ((), 1)
