"""What a YAML parser complains of, in words for people: what is wrong, and what would be right.

The parser's own words are for those who know its grammar ("expected <block end>, but found '<scalar>'").
The table below knows those that typing errors lead to; each entry says whether the place to show is where
the construct began or where the parser noticed.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

from gateway.config.problems import Mark, quoted

Place = Literal["began", "noticed"]


@dataclass(frozen=True, slots=True)
class Complaint:
    """A YAML parser's error, taken apart."""

    problem: str
    """What it did not like."""
    context: str
    """What it was reading; empty where it does not say."""
    found: str
    """The character at which it noticed; empty at the end of the file."""
    line_before: str
    """What stands before that character in its line."""
    began: Mark
    """Where it began to read what the context names."""
    noticed: Mark


def explain(complaint: Complaint) -> tuple[Place, str]:
    """Which of the complaint's two places to show, and what to say there."""
    said = f"{complaint.context}: {complaint.problem}"
    if "expected <block end>" in said and complaint.line_before.rstrip().endswith(("'", '"')):
        return "noticed", (
            "the quotes are closed, but the line goes on; inside double quotes a quote is written "
            '\\", inside single quotes as two'
        )
    for pattern, place, message in _KNOWN:
        if found := re.search(pattern, said):
            began = f"line {complaint.began.line}, column {complaint.began.column}"
            noticed = f"line {complaint.noticed.line}, column {complaint.noticed.column}"
            values = {"began": began, "noticed": noticed, "found": quoted(complaint.found)}
            return place, message.format(*found.groups(), **values)
    return "noticed", f"broken YAML: {complaint.problem}"


_KNOWN: Final[tuple[tuple[str, Place, str], ...]] = (
    (
        r"found character '\\t' that cannot start",
        "noticed",
        "a tab stands here; YAML is indented and spaced with spaces",
    ),
    (
        r"found character .* that cannot start",
        "noticed",
        "{found} cannot begin a value; put the value in quotes",
    ),
    (
        r"scanning a quoted scalar: found unexpected (end of stream|document separator)",
        "began",
        "this quote is never closed",
    ),
    (
        r"unknown escape character",
        "noticed",
        "a backslash before {found} means nothing in double quotes; double it, or use single quotes",
    ),
    (
        r"expected escape sequence of (\d+) hexadecimal",
        "noticed",
        "this escape needs {0} hexadecimal digits",
    ),
    (
        r"flow (?:sequence|mapping): expected ',' or '(.)'",
        "began",
        'this bracket is not closed: "," or "{0}" should stand at {noticed}, or before',
    ),
    (
        r"simple key: could not find expected ':'",
        "began",
        'this is no "key: value": a ":" is missing, or the line should be indented like the ones above',
    ),
    (
        r"mapping values are not allowed here",
        "noticed",
        'a ":" cannot stand here: the line is indented too far, or the value before it needs quotes',
    ),
    (
        r"sequence entries are not allowed here",
        "noticed",
        'a list item ("- ") cannot stand here; it begins a line of its own, indented like its neighbours',
    ),
    (
        r"parsing a block mapping: expected <block end>",
        "noticed",
        "this does not go on with the mapping that begins at {began}; is it indented like that?",
    ),
    (
        r"parsing a block collection: expected <block end>",
        "noticed",
        'this does not go on with the list that begins at {began}; an item begins with "- "',
    ),
    (
        r"flow node: expected the node content, but found '<(?:stream end|document start|document end)>'",
        "began",
        "this bracket is never closed",
    ),
    (
        r"expected the node content, but found",
        "noticed",
        "a value is missing here; {found} stands in its place",
    ),
    (
        r"scanning an (alias|anchor): expected alphabetic",
        "began",
        'a value that begins with "*" or "&" has to stand in quotes',
    ),
    (
        r"undefined tag handle|(scanning|parsing) a tag",
        "began",
        'a value that begins with "!" has to stand in quotes',
    ),
    (
        r"scanning a block scalar: expected",
        "noticed",
        'after "|" or ">" the text begins on the next line',
    ),
    (
        r"expected '<document start>'",
        "noticed",
        'the document has ended above; a new one begins with a line "---"',
    ),
    (
        r"directive|incompatible YAML document|tag handle",
        "noticed",
        'a line that begins with "%" is a directive of YAML, and this one is not known',
    ),
)
