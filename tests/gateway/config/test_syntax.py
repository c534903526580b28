"""What is said of YAML that cannot be parsed."""

import pytest

from gateway.config.documents import parse

SEPARATOR = "if a new resource begins here, write ---, three hyphens, at the very beginning of the line"


def _goes_on(closed: str) -> str:
    return (
        f"the quotes that open here close at {closed}, where the line goes on; either a closing quote is "
        'missing before that, or a quote inside the value lacks its mark (\\" in double quotes, two in '
        "single ones)"
    )


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a:\n\tb: c\n", "2:1", "a tab stands here; YAML is indented and spaced with spaces"),
        ("a:\tb\n", "1:3", "a tab stands here; YAML is indented and spaced with spaces"),
        ("a: @b\n", "1:4", '"@" cannot begin a value; put the value in quotes'),
        ("a: `b`\n", "1:4", '"`" cannot begin a value; put the value in quotes'),
        ("a: %b\n", "1:4", '"%" cannot begin a value; put the value in quotes'),
        ("a: *\n", "1:4", 'a value that begins with "*" or "&" has to stand in quotes'),
        ("a: !<\n", "1:4", 'a value that begins with "!" has to stand in quotes'),
        ("a: !x!y\n", "1:4", 'a value that begins with "!" has to stand in quotes'),
        ("a: 'b\nc: d\n", "1:4", "this quote is never closed"),
        ('a: "b\n---\nc: d\n', "1:4", "this quote is never closed"),
        ("a: 'it's'\n", "1:4", _goes_on("line 1, column 7")),
        (
            'a: ":8080  # another: "localhost:8080" is nearer\nb: c\n',
            "1:4",
            _goes_on("line 1, column 23"),
        ),
        ('a: "b\nc: "d"\ne: f\n', "1:4", _goes_on("line 2, column 4")),
        ('a: ["b, "c"]\n', "1:5", _goes_on("line 1, column 9")),
        ('a: "b # "c: d"\n', "1:4", _goes_on("line 1, column 9")),
        ('a: "b",\nc: d\n', "1:7", 'remove the "," behind the quotes'),
        ('a:"b"\nc: d\n', "1:3", 'a space is missing behind "a:"'),
        ("a: b\nc:d\ne: f\n", "2:3", 'a space is missing behind "c:"'),
        ("- a:http\n  b: c\n", "1:5", 'a space is missing behind "a:"'),
        ("a:\n  -b: c\n   d: e\n", "2:4", 'a space is missing behind the "-"'),
        (
            "a:\xa0b\nc: d\n",
            "1:3",
            "a space that YAML does not know (U+00A0) stands here; write a plain one",
        ),
        ("a\uff1ab\nc: d\n", "1:2", "a full-width colon stands here; write a plain one"),
        ("a: b\n--\nc: d\n", "2:1", SEPARATOR),
        ("a:\n- b\n===\nc: d\n", "3:1", SEPARATOR),
        ("a: b\n// note\nc: d\n", "2:1", 'a comment begins with "#"'),
        ("a: b\nc=d\ne: f\n", "2:1", 'write a colon and a space instead of the =, as in "c: "'),
        ('a:\n  b = "c"\n  d: e\n', "2:3", 'write a colon and a space instead of the =, as in "b: "'),
        ("a:\n  b: {id}/x\n  c: d\n", "2:6", 'a value that begins with "{" has to stand in quotes'),
        ("a:\n  b: [a-z]+\n", "2:6", 'a value that begins with "[" has to stand in quotes'),
        (
            "a: localhost: 8080\n",
            "1:13",
            (
                'a second ":" with a space behind it cannot stand in a line; take the space away, or put the '
                "value in quotes"
            ),
        ),
        (
            'a: "\\d"\n',
            "1:6",
            'a backslash before "d" means nothing in double quotes; double it, or use single quotes',
        ),
        ('a: "\\x1"\n', "1:7", "this escape needs 2 hexadecimal digits"),
        (
            "a: [b, c\nd: e\n",
            "1:4",
            'this bracket is not closed: "," or "]" should stand at line 2, column 2, or before',
        ),
        (
            "a: {b: c\n",
            "1:4",
            'this bracket is not closed: "," or "}" should stand at line 2, column 1, or before',
        ),
        ("a: [\n", "1:4", "this bracket is never closed"),
        ("a: {b: [c], d: [e,\n---\n", "1:16", "this bracket is never closed"),
        ("a: ]\n", "1:4", 'a value is missing here; "]" stands in its place'),
        (
            "a: b\nc\nd: e\n",
            "2:1",
            'this is no "key: value": a ":" is missing, or the line should be indented like the ones above',
        ),
        (
            "a: b\n  c: d\n",
            "2:4",
            'a ":" cannot stand here: the line is indented too far, or the value before it needs quotes',
        ),
        (
            "a: - b\n",
            "1:4",
            'a list item ("- ") cannot stand here; it begins a line of its own, indented like its neighbours',
        ),
        (
            "a:\n  b: c\n d: e\n",
            "3:2",
            (
                "this line begins at column 2, but line 2 at column 3 and line 1 at column 1; indent it like "
                "the one that it belongs to"
            ),
        ),
        (
            "a:\nb: c\n  d: e\nf:\n- g: h\n i: j\n",
            "3:4",
            'a ":" cannot stand here: the line is indented too far, or the value before it needs quotes',
        ),
        (
            "a: 'b'\n  c: d\n",
            "2:3",
            "this line is indented more than line 1; indent it like that one",
        ),
        (
            "f:\n- g: h\n i: j\n",
            "3:2",
            (
                "this line begins at column 2, but the fields of the item in line 2 at column 3; indent it "
                "like them"
            ),
        ),
        (
            "- a\nb: c\n",
            "2:1",
            (
                'this does not go on with the list that begins at line 1, column 1; an item begins with "- '
                '", and its other fields are indented like its first'
            ),
        ),
        ("a: |b\n", "1:5", 'after "|" or ">" the text begins on the next line'),
        ("a: b\n...\nc: d\n", "3:1", 'the document has ended above; a new one begins with a line "---"'),
        (
            "%YAML 2.0\n---\na: b\n",
            "1:1",
            'a line that begins with "%" is a directive of YAML, and this one is not known',
        ),
    ],
)
def test_mistakes_are_told_in_words_for_people(text: str, place: str, words: str) -> None:
    """One problem, at the place to mend, saying what would be right."""
    (problem,) = parse("config.yaml", text.encode()).problems
    assert str(problem) == f"config.yaml:{place}: {words}"
