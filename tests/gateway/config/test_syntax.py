"""What is said of YAML that cannot be parsed."""

import pytest

from gateway.config.documents import parse


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
        (
            "a: 'it's'\n",
            "1:8",
            (
                'the quotes are closed, but the line goes on; inside double quotes a quote is written \\", '
                "inside single quotes as two"
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
            "this does not go on with the mapping that begins at line 1, column 1; is it indented like that?",
        ),
        (
            "- a\nb: c\n",
            "2:1",
            'this does not go on with the list that begins at line 1, column 1; an item begins with "- "',
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
