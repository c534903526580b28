"""How a pattern is compared with a text: AILERON's match types (core-v1, sections 5.2 and 5.3).

Strategy
    A pattern is compiled once, when a config is loaded, and what is wrong with it is told then.  A glob
    becomes a regular expression of Python's in which no star is tried twice; regular expressions of the
    config itself are RE2's, as in Go.

Rules
    * Nothing that a client sends makes a comparison raise, or take more than about the length of the text
      times the size of the pattern.  Rewriting may take that for each match, as in Go, but no more than
      `_MOST` in all: a text that might is not rewritten.
    * A text may hold surrogate escapes, bytes that were not UTF-8.  Each is one character, and regular
      expressions take it for U+FFFD, as Go does; what is cut out of such a text keeps its bytes.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Any, Final

from gateway.config import MatchType
from gateway.config.problems import quoted

_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")

_LARGEST: Final = 5_000
"""Places in a regular expression, its repetitions written out, at which RE2 may be for each byte of a text:
half a second for the worst expression and the longest path that a server takes by default."""


_MOST: Final = 400_000_000
"""Characters times places that the matches of one rewriting may cost: a second at the very worst."""


class PatternError(ValueError):
    """A pattern that means nothing; `str()` of it says why, to the author of the config."""

    field: str = ""
    """Where the pattern stands in the matcher that it was found in, as `match` or `patterns[2]`."""


class Pattern:
    """What a text is compared with."""

    __slots__ = ("matches",)

    def __init__(self, matches: Callable[[str], bool]) -> None:
        self.matches = matches
        """Whether it matches a text."""


def compile_pattern(match_type: MatchType, pattern: str) -> Pattern:
    """The `pattern`, to be compared in the way of `match_type`.  Raises PatternError."""
    match match_type:
        case MatchType.Exact:
            return Pattern(lambda text: text == pattern)
        case MatchType.Prefix:
            return Pattern(lambda text: text.startswith(pattern))
        case MatchType.Suffix:
            return Pattern(lambda text: text.endswith(pattern))
        case MatchType.Contains:
            return Pattern(lambda text: pattern in text)
        case MatchType.Path | MatchType.FilePath:
            glob = _glob(pattern)
            return Pattern(lambda text: glob.fullmatch(text) is not None)
        case MatchType.Regex:
            return RegularExpression(pattern)
        case MatchType.RegexPOSIX:
            return RegularExpression(pattern, posix=True)


# Globs: Go's path.Match.  "*" is any number of characters and "?" is one, none of them "/"; "[a-z]" and
# "[^a-z]" are one character, which may be "/"; "\" takes the next character for itself.


def _glob(pattern: str) -> re.Pattern[str]:
    """A regular expression that matches all of a text where the glob does.  Raises PatternError.

    As in Go, each star but the last takes as little as lets the characters up to the next star match, and
    is not tried again: an atomic group.
    """
    runs = [""]
    position = 0
    while position < len(pattern):
        character = pattern[position]
        if character == "*":
            runs.append("")
            position += 1
        elif character == "?":
            runs[-1] += "[^/]"
            position += 1
        elif character == "[":
            one, position = _class(pattern, position)
            runs[-1] += one
        else:
            one, position = _character(pattern, position)
            runs[-1] += re.escape(one)
    first, *others = runs
    if not others:
        return re.compile(first)
    *atomic, last = others
    return re.compile(f"{first}{''.join(f'(?>[^/]*?{run})' for run in atomic)}[^/]*?{last}")


def _class(pattern: str, start: int) -> tuple[str, int]:
    """The regular expression for the class that begins at `start`, and where the class ends."""
    position = start + 1
    negated = pattern.startswith("^", position)
    position += negated
    begin = position
    members = ""
    while position == begin or not pattern.startswith("]", position):
        low, position = _member(pattern, position, start)
        high = low
        if pattern.startswith("-", position):
            high, position = _member(pattern, position + 1, start)
        if low <= high:
            members += f"{re.escape(low)}-{re.escape(high)}"
    if not members:  # only ranges that end before they begin: no character is in any of them
        return "(?s:.)" if negated else "(?!)", position + 1
    return f"[{'^' if negated else ''}{members}]", position + 1


def _member(pattern: str, position: int, start: int) -> tuple[str, int]:
    """The character of a class that stands at `position`, and where it ends."""
    match pattern[position : position + 1]:
        case "":
            raise _wrong("glob", start, r'"[" is never closed; add "]", or write "\[" for the character')
        case "]" if position <= start + 1 + pattern.startswith("^", start + 1):
            raise _wrong(
                "glob", start, r'no character stands between "[" and "]"; write "\[" or "\]" for one'
            )
        case "-" | "]":
            raise _wrong(
                "glob", position, r'a range has a character on both sides of "-"; write "\-" for one'
            )
        case _:
            return _character(pattern, position)


def _character(pattern: str, position: int) -> tuple[str, int]:
    """The character that stands at `position`, perhaps behind a backslash, and where it ends."""
    if pattern[position] != "\\":
        return pattern[position], position + 1
    if position + 1 == len(pattern):
        raise _wrong("glob", position, r'nothing follows "\"; write "\\" for the character')
    return pattern[position + 1], position + 2


def _wrong(kind: str, position: int, words: str) -> PatternError:
    return PatternError(f"the {kind} is wrong at character {position + 1}: {words}")


# Regular expressions: RE2.


class RegularExpression(Pattern):
    """A pattern of RE2, found anywhere in a text."""

    __slots__ = ("_places", "_regexp")

    def __init__(self, pattern: str, *, posix: bool = False) -> None:
        """Raise PatternError where RE2 does not take it; `posix` is `regexp.CompilePOSIX` in Go."""
        self._regexp, self._places = _compiled(pattern, posix=posix)
        super().__init__(lambda text: self._regexp.search(_sound(text)) is not None)

    def rewriter(self, template: str) -> Callable[[str], str | None]:
        """A function from a text to the expansions of `template` for all matches, one after the other.

        It gives None where finding them might take too long, which only happens to expressions made for it.

        What is between the matches is left out.  As in Go's `Regexp.Expand`, `$1`, `$name` and `${name}`
        stand for groups, a name is as long as possible, and `$$` is a dollar sign; a group that does not
        exist, or has no part in the match, is empty.
        """
        parts = list(self._parts(template))

        def rewrite(text: str) -> str | None:
            pieces: list[str] = []
            cost = 0
            for found in self._all(_sound(text)):
                cost += (len(text) - found.start()) * self._places
                if cost > _MOST:
                    return None
                pieces += (
                    part if isinstance(part, str) else text[slice(*found.span(part))] for part in parts
                )
            return "".join(pieces)

        return rewrite

    def unknown_groups(self, template: str) -> list[str]:
        """What stands in `template` for groups that do not exist, as `$2`, and so is always empty."""
        return [
            found[0]
            for found in _VARIABLE.finditer(template)
            if (name := found["name"] or found["braced"]) is not None and self._group(name) is None
        ]

    def _parts(self, template: str) -> Iterator[str | int]:
        """The template as texts and numbers of groups."""
        position = 0
        for found in _VARIABLE.finditer(template):
            yield template[position : found.start()]
            position = found.end()
            name = found["name"] or found["braced"]
            if name is None:
                yield "$"
            elif (group := self._group(name)) is not None:
                yield group
        yield template[position:]

    def _group(self, name: str) -> int | None:
        if _INDEX.fullmatch(name):
            return int(name) if int(name) <= self._regexp.groups else None
        group: int | None = self._regexp.groupindex.get(name)
        return group

    def _all(self, text: str) -> Iterator[Any]:
        """All matches, but for empty ones right behind another, which Go leaves out."""
        end = -1
        for found in self._regexp.finditer(text):
            if found.span() != (end, end):
                yield found
            end = found.end()


_VARIABLE: Final = re.compile(r"\$(?:\$|(?P<name>\w+)|\{(?P<braced>\w+)\})")

_INDEX: Final = re.compile("0|[1-9][0-9]{0,7}")

_COMPLAINTS: Final = {
    "missing )": r'"(" is never closed; add ")", or write "\(" for the character',
    "unexpected )": r'")" closes nothing; take it out, or write "\)" for the character',
    "missing ]": r'"[" is never closed; add "]", or write "\[" for the character',
    "trailing \\": r'nothing follows "\"; write "\\" for the character',
    "no argument for repetition operator": r'nothing stands before {} to be repeated; a "\" before it makes '
    "it a character",
    "bad repetition operator": "{} repeats what is repeated already; leave one out, or put the first in "
    "parentheses",
    "invalid repetition size": "{} is not a number of repetitions; the smaller one stands first, and 1000 is "
    "the most, also for repetitions inside one another",
    "invalid character class range": "{} is no range or class of characters; in a range the smaller one "
    "stands first",
    "invalid escape sequence": r'{} means nothing in RE2; write "\\" for the character "\"',
    "invalid named capture group": "{} is no group with a name; one is written (?P<name>…)",
    "invalid perl operator": "{} means nothing in RE2; a group without a number is written (?:…)",
}
"""RE2's own complaints in our words; the part of the pattern that RE2 shows stands for `{}`."""

_WIDE: Final = re.compile(r"[^\x00-\xff]")

_TOKEN: Final = re.compile(
    r"\\Q.*?(?:\\E|\Z) | \\. | \[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\] | [()]", re.DOTALL | re.VERBOSE
)
"""What brackets of a regular expression do not count, and those that do."""


def _compiled(pattern: str, *, posix: bool) -> tuple[Any, int]:
    """The expression, and how many places it has."""
    try:
        import re2  # type: ignore[import-untyped]  # noqa: PLC0415 - untyped; not everywhere, and rarely needed
    except ImportError as error:
        raise PatternError(
            "regular expressions need the package google-re2, which cannot be loaded here "
            f"({error}); install it, or use another matchType"
        ) from None
    if found := _SURROGATE.search(pattern):
        raise _regex_wrong(found.start(), f"{quoted(found[0])} is half a character")
    options = re2.Options()
    options.log_errors = False
    options.posix_syntax = options.longest_match = posix

    def complaint(text: str) -> str | None:
        try:
            re2.compile(text, options)
        except re2.error as error:
            return str(error.args[0], "utf-8", "replace")
        return None

    if (message := complaint(pattern)) is not None:
        raise _explained(pattern, message, complaint, posix=posix)
    # RE2 takes \C for one byte, which may be part of a character; Go does not take it at all.
    if found := next((each for each in _TOKEN.finditer(pattern) if each[0] == r"\C"), None):
        raise _regex_wrong(found.start(), r'"\C" is a single byte, which Go does not take either; write "."')
    regexp = re2.compile(pattern, options)
    # Among texts whose characters are bytes a class of characters is small, however many Unicode has of
    # them.  An expression with an escape beyond those is measured as it is.
    options.encoding = re2.Options.Encoding.LATIN1
    try:
        places = re2.compile(_WIDE.sub("\xff", pattern).encode("latin-1"), options).programsize
    except re2.error:
        places = regexp.programsize
    if places > _LARGEST:
        raise _too_large()
    return regexp, places


def _explained(
    pattern: str, message: str, complaint: Callable[[str], str | None], *, posix: bool
) -> PatternError:
    """RE2's `message` about `pattern` in our words, with the position, which RE2 does not tell."""
    kind, _, shown = message.partition(": ")
    if kind not in _COMPLAINTS:
        return _too_large() if kind.startswith("pattern too large") else PatternError(f"RE2 says: {message}")
    words = _COMPLAINTS[kind].format(quoted(shown))
    match kind:
        case "missing )" | "unexpected )":
            position = _lone_bracket(pattern)
        case "missing ]" | "trailing \\":
            position = len(pattern) - max(1, len(shown))
        case _:
            # The shortest beginning that RE2 complains of in the same way: it ends in what is shown.
            end = bisect_left(range(len(pattern)), True, key=lambda end: complaint(pattern[:end]) == message)
            position = max(0, pattern.rfind(shown, 0, end))
            if posix and pattern.startswith("(?", position - 1):
                position -= 1
            words = _foreign(pattern[position:], posix=posix) or words
    return _regex_wrong(position, words)


def _foreign(rest: str, *, posix: bool) -> str | None:
    """What is to be said of a construct of other regular expressions, with which `rest` begins."""
    if found := re.match(r"\(\?<?[=!]", rest):
        return f"{quoted(found[0])} is lookaround, which neither RE2 nor Go has; two matchers may do instead"
    if found := re.match(r"\\[1-9k]|\(\?P[=>]", rest):
        return f"{quoted(found[0])} refers to a group, which neither RE2 nor Go can"
    if posix and (found := re.match(r"\(\?|\\[AbBdDpPQsSwWz]", rest)):
        return f"{quoted(found[0])} means nothing to RegexPOSIX; matchType Regex knows it"
    return None


def _lone_bracket(pattern: str) -> int:
    """Where the parenthesis stands that has no partner."""
    opened: list[int] = []
    for found in _TOKEN.finditer(pattern):
        if found[0] == "(":
            opened.append(found.start())
        elif found[0] == ")":
            if not opened:
                return found.start()
            opened.pop()
    return opened[-1] if opened else 0


def _regex_wrong(position: int, words: str) -> PatternError:
    return _wrong("regular expression", position, words)


def _too_large() -> PatternError:
    return PatternError("the regular expression is too large when compiled; repeat less in it")


def _sound(text: str) -> str:
    """`text` with U+FFFD for each byte that was not UTF-8; no position in it changes."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)
