"""What a YAML parser complains of, in words for people: what is wrong, and what would be right.

The parser's own words are for those who know its grammar ("expected <block end>, but found '<scalar>'").
Where it has lost the thread, the cause often stands before the place at which it noticed: `_GUESSES` look
for what people mistype.  The table `_KNOWN` has the rest; each entry says whether the place to show is where
the construct began or where the parser noticed.
"""

import json
import re
from collections.abc import Sequence
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
    lines: Sequence[str]
    """The lines of the file."""
    began: Mark
    """Where it began to read what the context names."""
    noticed: Mark
    quotes: tuple[Mark, Mark] | None = None
    """The opening and the closing quote of the last value in quotes, if there is one."""

    @property
    def said(self) -> str:
        """All that the parser says."""
        return f"{self.context}: {self.problem}"


Finding = tuple[Mark, str]
"""The place to show, and what to say there."""


def explain(complaint: Complaint) -> Finding:
    """What is wrong, in words for people."""
    if _LOST.search(complaint.said):
        for guess in _GUESSES:
            if found := guess(complaint):
                return found
    for pattern, place, message in _KNOWN:
        if matched := re.search(pattern, complaint.said):
            began = f"line {complaint.began.line}, column {complaint.began.column}"
            noticed = f"line {complaint.noticed.line}, column {complaint.noticed.column}"
            values = {"began": began, "noticed": noticed, "found": quoted(complaint.found)}
            mark = complaint.began if place == "began" else complaint.noticed
            return mark, message.format(*matched.groups(), **values)
    return complaint.noticed, f"broken YAML: {complaint.problem}"


_LOST: Final = re.compile(
    "expected <block end>|could not find expected ':'|mapping values are not allowed|expected ',' or"
)


def _quotes_that_go_on(complaint: Complaint) -> Finding | None:
    if complaint.quotes is None or complaint.quotes[1].line != complaint.noticed.line:
        return None
    opened, closed = complaint.quotes
    rest = complaint.lines[closed.line - 1][closed.column :].strip()
    if not rest or rest[0] in ":#" or (rest[0] in ",]}" and "flow" in complaint.context):
        return None
    if rest[0] in ",;":
        behind = Mark(line=closed.line, column=closed.column + 1)
        return behind, f"remove the {quoted(rest[0])} behind the quotes"
    place = f"line {closed.line}, column {closed.column}"
    return opened, (
        f"the quotes that open here close at {place}, where the line goes on; either a closing quote is "
        'missing before that, or a quote inside the value lacks its mark (\\" in double quotes, two in '
        "single ones)"
    )


def _lookalikes(complaint: Complaint) -> Finding | None:
    for number in _suspects(complaint):
        if found := _LOOKALIKE.match(complaint.lines[number - 1]):
            odd = found[1]
            what = (
                "full-width colon" if odd == "\uff1a" else f"space that YAML does not know (U+{ord(odd):04X})"
            )
            mark = Mark(line=number, column=found.start(1) + 1)
            return mark, f"a {what} stands here; write a plain one"
    return None


_LOOKALIKE: Final = re.compile("[^#]*?([\xa0\u2000-\u200b\u202f\u205f\u3000\uff1a])")


def _missing_spaces(complaint: Complaint) -> Finding | None:
    for number in _suspects(complaint):
        line = complaint.lines[number - 1]
        if found := re.match(r"\s*(?:- +)*-(?=[A-Za-z]\w*:\s)", line):
            return Mark(line=number, column=found.end() + 1), 'a space is missing behind the "-"'
        if found := re.match(r"\s*(?:- +)*([A-Za-z]\w*:)(?!//)(?=\S)", line):
            return Mark(line=number, column=found.end() + 1), f"a space is missing behind {quoted(found[1])}"
    return None


def _brackets_that_go_on(complaint: Complaint) -> Finding | None:
    """A value that begins with a bracket, and is no list or mapping."""
    line = complaint.lines[complaint.noticed.line - 1]
    found = re.match(r"\s*(?:- +)*[A-Za-z]\w*: +(?=([\[{])[^\[\]{}]*[\]}][^\s,#\]}])", line)
    if found is None:
        return None
    mark = Mark(line=complaint.noticed.line, column=found.end() + 1)
    return mark, f"a value that begins with {quoted(found[1])} has to stand in quotes"


def _equals_signs(complaint: Complaint) -> Finding | None:
    for number in _suspects(complaint):
        if found := re.match(r"\s*(?:- +)*([A-Za-z]\w*)\s*=\s", complaint.lines[number - 1]):
            words = f"write a colon and a space instead of the =, as in {quoted(f'{found[1]}: ')}"
            return Mark(line=number, column=found.start(1) + 1), words
    return None


def _lines_of_no_yaml(complaint: Complaint) -> Finding | None:
    if "could not find expected ':'" not in complaint.said:
        return None
    line = complaint.lines[complaint.began.line - 1].strip()
    if re.fullmatch("[-=_*~\u2010-\u2015]+", line):
        return complaint.began, (
            "if a new resource begins here, write ---, three hyphens, at the very beginning of the line"
        )
    if line.startswith(("//", ";", "/*")):
        return complaint.began, 'a comment begins with "#"'
    if found := re.match(r"([A-Za-z]\w*)\s*=", line):
        return complaint.began, f"write a colon and a space instead of the =, as in {quoted(f'{found[1]}: ')}"
    return None


def _second_colon(complaint: Complaint) -> Finding | None:
    before = complaint.lines[complaint.noticed.line - 1][: complaint.noticed.column - 1]
    if "mapping values" not in complaint.said or not re.match(r"\s*(?:- +)*\w+: ", before):
        return None
    return complaint.noticed, (
        'a second ":" with a space behind it cannot stand in a line; take the space away, or put the value '
        "in quotes"
    )


def _indentation(complaint: Complaint) -> Finding | None:
    """A line that begins between two columns at which others above it begin."""
    line = complaint.lines[complaint.noticed.line - 1]
    column = complaint.noticed.column
    if (
        "expected <block end>" not in complaint.said
        or line[: column - 1].strip()
        or line.startswith("-", column - 1)
    ):
        return None
    inner: tuple[int, int] | None = None
    for number in range(complaint.noticed.line - 1, complaint.began.line - 1, -1):
        above = complaint.lines[number - 1]
        if not (found := re.match(r"( *)((?:- +)*)(?=[^\s#])", above)):
            continue
        dash, field = found.end(1) + 1, found.end() + 1
        if column in (dash, field):
            return None
        if field > column and (inner is None or field <= inner[0]):
            inner = field, number
        if dash < column:
            if inner is None:
                words = f"this line is indented more than line {number}; indent it like that one"
                return complaint.noticed, words
            if inner[1] == number:
                return complaint.noticed, (
                    f"this line begins at column {column}, but the fields of the item in line {number} at "
                    f"column {inner[0]}; indent it like them"
                )
            return complaint.noticed, (
                f"this line begins at column {column}, but line {inner[1]} at column {inner[0]} and line "
                f"{number} at column {dash}; indent it like the one that it belongs to"
            )
    return None


def _suspects(complaint: Complaint) -> list[int]:
    """Numbers of the lines in which the cause may stand: what began, the last one above, and the place."""
    last = complaint.noticed.line
    above = next((n for n in range(last - 1, 0, -1) if re.match(r"\s*[^\s#]", complaint.lines[n - 1])), last)
    lost_key = "could not find expected ':'" in complaint.said
    return [complaint.began.line] if lost_key else [above, last]


_GUESSES: Final = (
    _quotes_that_go_on,
    _lookalikes,
    _missing_spaces,
    _lines_of_no_yaml,
    _brackets_that_go_on,
    _equals_signs,
    _second_colon,
    _indentation,
)


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
        (
            'this does not go on with the list that begins at {began}; an item begins with "- ", and its '
            "other fields are indented like its first"
        ),
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


def explain_json(error: json.JSONDecodeError) -> tuple[int, str]:
    """The index to show in a JSON text, and what to say there."""
    text, at = error.doc, error.pos
    found = text[at : at + 1]
    before = text[:at].rstrip()
    if before.endswith(",") and found in ("}", "]", ""):
        return len(before) - 1, "JSON has no comma behind the last entry; remove it"
    if "trailing comma" in error.msg:
        return at, "JSON has no comma behind the last entry; remove it"
    if found == "'":
        return at, 'JSON writes text in double quotes (")'
    if text.startswith(("//", "/*", "#"), at):
        return (
            at,
            "JSON has no comments; a config with comments is written in YAML, in a file that ends in .yaml",
        )
    if found == "\t" and error.msg.startswith("Invalid control character"):
        return at, "a tab cannot stand inside of quotes; write \\t"
    for pattern, words in _JSON:
        if error.msg.startswith(pattern):
            return at, words
    return at, f"broken JSON: {error.msg[:1].lower()}{error.msg[1:]}"


_JSON: Final = (
    ("Expecting property name", "the name of a field has to stand here, in double quotes"),
    ("Expecting value", "a value is missing here"),
    ("Expecting ',' delimiter", "a comma or a closing bracket is missing here, or before"),
    ("Expecting ':' delimiter", "a colon is missing here"),
    ("Extra data", "the document has ended above; nothing may follow but a line with ---"),
    ("Unterminated string", "this quote is never closed"),
    ("Invalid control character", "a line cannot end inside of quotes; write \\n for a line break"),
    ("Invalid \\uXXXX", 'behind "\\u" four hexadecimal digits have to stand'),
    ("Invalid \\escape", "this backslash means nothing in JSON; double it"),
)
