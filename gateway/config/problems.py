"""What is wrong with a configuration: where, in which resource, in which field, and what would be right.

A load collects every problem before it gives up, so that one look at the output is enough to mend a
file.  What a problem quotes comes from files that anybody may have written: `quoted` makes it fit for a
terminal.
"""

import difflib
import functools
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from gateway.headers import Secrets
from gateway.printable import escape

Severity = Literal["error", "warning"]
"""An error keeps a config from being loaded; a warning tells of what loads, but may surprise."""

_QUOTED_MAX: Final = 60
"""Characters of a file that a message repeats at most; longer ones are cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A position in a file.  Both count from 1; a column is a character, a tab is one as well."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake, with its cure where it is known."""

    file: str
    line: int | None = None
    """From 1; None where the file as a whole is meant."""
    column: int | None = None
    """From 1, in characters; None where the file as a whole is meant."""
    resource: str | None = None
    """As `HTTPServer default/default`; None where it is not known."""
    field: str | None = None
    """As `spec.loadBalancers[0].upstreams`; None where the whole resource or file is meant."""
    message: str
    """What is wrong, the rule, and what would be right."""
    severity: Severity = "error"
    rule: str = "value"
    """A short name for the rule that is broken, the same for all its breaches: `unknown-field`."""

    def __str__(self) -> str:
        place = self.file
        if self.line is not None:
            place += f":{self.line}:{self.column}"
        severity = "warning" if self.severity == "warning" else ""
        parts = (place, severity, self.resource, self.field, self.message)
        # Whatever of them is quoted is escaped already; what is not, nobody need look for.
        return escaped(": ".join(part for part in parts if part))


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The line of a file that a problem is about."""

    number: int
    """From 1."""
    line: str
    """Cut around the place where it is long; fit for a terminal."""
    caret: str
    """Goes below the line: blanks, and a caret under the place."""


_SECRETS: Final = Secrets()
_EXCERPT_MAX: Final = 100
"""Characters of a line that are shown."""


def excerpt(problem: Problem, sources: Mapping[str, Sequence[str]]) -> Excerpt | None:
    """What to show of the file that `problem` is about, without secrets in urls; None where it has no place.

    `sources` has the lines of each file.
    """
    lines = sources.get(problem.file, ())
    if problem.line is None or problem.column is None or problem.line > len(lines):
        return None
    whole = lines[problem.line - 1]
    before, after = (
        _SECRETS.text(each) for each in (whole[: problem.column - 1], whole[problem.column - 1 :])
    )
    line, at = before + after, len(before)
    start = max(0, min(at - _EXCERPT_MAX // 2, len(line) - _EXCERPT_MAX))
    before = _shown(("…" if start else "") + line[start:at])
    after = _shown(line[at : start + _EXCERPT_MAX])
    more = "…" if start + _EXCERPT_MAX < len(line) else ""
    return Excerpt(problem.line, f"{before}{after}{more}", f"{' ' * sum(map(_cells, before))}^")


def _shown(text: str) -> str:
    return escaped(text.replace("\t", "    "))


def _cells(character: str) -> int:
    """How many cells of a terminal `character` takes."""
    if unicodedata.category(character) in ("Mn", "Me"):  # goes onto the one before
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("F", "W") else 1


class ConfigError(Exception):
    """A configuration that cannot be loaded.

    `str()` of it is one problem a line, sorted by position.  `sources` has the lines of the files.
    """

    def __init__(
        self, problems: Iterable[Problem], sources: Mapping[str, Sequence[str]] = MappingProxyType({})
    ) -> None:
        self.problems: tuple[Problem, ...] = tidy(problems)
        self.sources = sources
        super().__init__("\n".join(map(str, self.problems)))


def tidy(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """`problems` by position, each mistake once.

    What an alias repeats is read as often as it is used, but it is one mistake, at one place.
    """
    once: dict[tuple[object, ...], Problem] = {}
    for problem in problems:
        once.setdefault((problem.file, problem.line, problem.column, problem.message), problem)
    return tuple(sorted(once.values(), key=lambda each: (each.file, each.line or 0, each.column or 0)))


def quoted(text: str, *, marks: str = '"') -> str:
    """`text` between `marks`, cut to a bearable length, with everything unprintable escaped."""
    if len(text) > _QUOTED_MAX:
        text = text[: _QUOTED_MAX - 1] + "…"
    return f"{marks}{escaped(text)}{marks}"


def escaped(text: str) -> str:
    """`text` fit for a terminal, and with blanks escaped that YAML and people take for another thing."""
    return escape(_STRANGE_BLANK.sub(lambda found: found[0].encode("unicode_escape").decode(), text))


_STRANGE_BLANK: Final = re.compile("[\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]")
"""The separators of Unicode (category Zs) that are not the space."""


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """`; did you mean "…"?` where one of `candidates` is close to `word`, else the empty string."""
    return "" if len(word) > _QUOTED_MAX else _hint(word, tuple(candidates))


@functools.lru_cache(maxsize=1024)  # aliases can repeat a mistake thousands of times
def _hint(word: str, candidates: tuple[str, ...]) -> str:
    by_folded = {candidate.casefold(): candidate for candidate in candidates}
    close = difflib.get_close_matches(word.casefold(), by_folded, n=1)
    return f"; did you mean {quoted(by_folded[close[0]])}?" if close else ""
