"""Which route takes a request, by host and path: Go 1.26's ServeMux (core-v1, sections 4.2 and 4.3).

Strategy
    A pattern is parsed once into segments; the rest works on those.  `/a/` ends in a segment that takes
    the rest of a path, and has no name; `/a/{$}` ends in an empty literal, which is what a path has behind
    a "/" at its end.  So a pattern and a path are compared segment by segment, and nothing else.

    The routes of each host form a tree of segments.  A path goes down it, at every step to the literal
    first, then to `{name}`, then to what takes the rest, and comes back where it gets stuck.  It sees no
    node twice, so that a request costs at most the length of its path and the size of the tree.

Rules
    * The more specific pattern wins, in whatever order they were added: where two match the same path and
      neither is more specific, the second is refused.  This is what makes the first find the right one.
    * Routes of the request's host come before those without a host, which are tried where none matches.
    * Paths are cleaned first.  One that lacks only the "/" at its end is sent there, and an unclean one
      to the clean path, both in one step where both apply.
    * A path is split first, then its segments are decoded and compared: "%2F" never splits.  In Go it does
      in three corners: where the same path holds characters that should have been escaped, in the
      redirection that adds a "/", and as a whole segment, which Go takes for the end of the path.
    * Methods are not looked at.
"""

import enum
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, Final, Generic, NamedTuple, TypeVar

from gateway.config.problems import quoted
from gateway.routing.target import (
    RequestTarget,
    clean_path,
    decoded_segment,
    encoded_segment,
    location,
    segments_of,
)

T = TypeVar("T")

_KNOWN: Final = 1000
"""Paths that are remembered at a time ..."""

_WORTH_KNOWING: Final = 200
"""... none of which is longer than this, its host included."""


class Kind(enum.IntEnum):
    """What a segment of a pattern matches, from the narrowest to the widest."""

    LITERAL = 0
    """One text."""
    ONE = 1
    """Any one segment, `{name}`; not the nothing that a path has behind a "/" at its end."""
    REST = 2
    """All that is left, be it nothing: `{name...}`, or a "/" at the end of a pattern."""


class Segment(NamedTuple):
    """What a pattern has behind a "/"."""

    kind: Kind
    text: str
    """Of a literal what it matches, decoded, empty for `{$}`; else the name, empty where there is none."""


class PatternError(ValueError):
    """A text that is no pattern; `str()` of it tells the config's author what is wrong, where and why."""


@dataclass(frozen=True, slots=True)
class PathPattern:
    """What a route says of paths; `str()` of it is the text it came from."""

    text: str
    segments: tuple[Segment, ...]
    """At least one.  None but the last takes the rest or is empty."""

    def __str__(self) -> str:
        return self.text

    @property
    def names(self) -> tuple[str, ...]:
        """Of the wildcards, from left to right."""
        return tuple(text for kind, text in self.segments if kind is not Kind.LITERAL and text)

    def values(self, segments: Sequence[str]) -> dict[str, str]:
        """What the wildcards stand for in a path that matches, by name."""
        return {
            text: segments[index] if kind is Kind.ONE else "/".join(segments[index:])
            for index, (kind, text) in enumerate(self.segments)
            if kind is not Kind.LITERAL and text
        }


def parse_pattern(text: str) -> PathPattern:
    """The pattern that `text` is.  Raises PatternError.

    Go accepts more than this: paths with empty and dot segments.  No request has them once it is cleaned.
    """
    _refuse_more_than_a_path(text)
    segments: list[Segment] = []
    names: set[str] = set()
    parts = text[1:].split("/")
    for number, part in enumerate(parts, start=1):
        where = f"segment {number} of the pattern {quoted(text)}"
        segment = _segment(part, where, last=number == len(parts))
        segments.append(segment)
        if segment.kind is not Kind.LITERAL and segment.text:
            if segment.text in names:
                raise PatternError(
                    f"{where} repeats the name {quoted(segment.text)}; give one of the wildcards another name"
                )
            names.add(segment.text)
    return PathPattern(text, tuple(segments))


_METHOD: Final = re.compile(
    r"(?:^|/)(GET|HEAD|POST|PUT|PATCH|DELETE|CONNECT|OPTIONS|TRACE)[ \t]+([^/ \t]*)(/.*)?\Z",
    re.DOTALL | re.IGNORECASE,
)
"""What a pattern of Go's may begin with; a "/" stands before it where the prefix of a route was added."""

_HOST: Final = re.compile(r"(https?://|(?=[^/{]*[.:]|localhost/))([^/{]+)(/.*)", re.DOTALL)
"""What may be a host, or is a url, with a path behind it."""

_HALF: Final = re.compile("[\ud800-\udfff]")


def _refuse_more_than_a_path(text: str) -> None:
    """Raise PatternError where `text` is not one path from its "/" to its end."""
    if not text:
        raise PatternError('the pattern is empty; write "/" to match every path')
    if found := _METHOD.search(text):
        method, host, path = found.groups(default="")
        moved = f'{quoted(method.upper())} in the field "methods"'
        if host:
            moved += f' and {quoted(host)} in the field "hosts"'
        right = quoted(text[: found.start()] + (path or "/"))
        raise PatternError(f"the pattern {quoted(text)} holds a method; write {right}, and {moved}")
    if not text.startswith("/"):
        hint = f"write {quoted(f'/{text}')}"
        if found := _HOST.fullmatch(text):
            scheme, host, path = found.groups()
            moved = f'write {quoted(path)}, and {quoted(host)} in the field "hosts"'
            hint = moved if scheme else f"{hint}, or, if {quoted(host)} is a host, {moved}"
        raise PatternError(f'the pattern {quoted(text)} does not begin with "/"; {hint}')
    if found := _HALF.search(text):
        raise PatternError(f"the pattern {quoted(text)} holds U+{ord(found[0]):04X}, which is no character")


def _segment(part: str, where: str, *, last: bool) -> Segment:
    """The segment that `part` of a pattern is.  Raises PatternError, which begins with `where`."""
    if "{" not in part:
        return Segment(Kind.REST, "") if last and not part else _literal(part, where)
    before, _, inner = part.partition("{")
    inner, brace, after = inner.partition("}")
    name = inner.removesuffix("...")
    takes_rest = name != inner
    right = "{$}" if inner == "$" else f"{{{_similar_name(name)}{inner[len(name) :]}}}"
    if not brace:
        raise PatternError(f"{where} is {quoted(part)}, which has no closing brace; write {quoted(right)}")
    if before or after:
        raise PatternError(
            f"{where} is {quoted(part)}, but a wildcard takes a whole segment; write {quoted(right)} alone"
        )
    if (takes_rest or inner == "$") and not last:
        raise PatternError(
            f"{where} is {quoted(part)}, which stands only at the end of a pattern; "
            + ("leave out what follows it" if inner == "$" else f"write {quoted(right.replace('...', ''))}")
        )
    if inner == "$":
        return Segment(Kind.LITERAL, "")
    if not name:
        raise PatternError(f"{where} is {quoted(part)}, which lacks a name; write {quoted(right)}")
    if not _is_name(name):
        raise PatternError(
            f"{where} is {quoted(part)}, but names consist of letters, digits and underscores and do not "
            f"begin with a digit; write {quoted(right)}"
        )
    return Segment(Kind.REST if takes_rest else Kind.ONE, name)


def _literal(part: str, where: str) -> Segment:
    if " " in part or "\t" in part:  # what stands before it is a method to Go
        right = part.replace(" ", "%20").replace("\t", "%09")
        raise PatternError(
            f"{where} is {quoted(part)}, in which blanks are not escaped; write {quoted(right)}"
        )
    if not part:
        raise PatternError(
            f"{where} is empty, and paths are cleaned of empty segments before they are compared; "
            'write one "/" instead of two'
        )
    text = decoded_segment(part)
    if not {".", ".."}.isdisjoint(text.split("/")):
        raise PatternError(
            f'{where} is {quoted(part)}, and paths are cleaned of "." and ".." before they are compared; '
            "write the path that is meant"
        )
    return Segment(Kind.LITERAL, text)


def _is_name(text: str) -> bool:
    """Whether `text` is an identifier to Go."""
    return bool(text) and not text[0].isdecimal() and all(map(_fits_a_name, text))


def _similar_name(text: str) -> str:
    """A name for whoever wrote `text`, be it with an expression behind a colon as other routers have it."""
    text = "".join(each if _fits_a_name(each) else "_" for each in text.partition(":")[0]).strip("_")
    return text if _is_name(text) else f"_{text}" if text else "name"


def _fits_a_name(character: str) -> bool:
    return character == "_" or character.isalpha() or character.isdecimal()


class Relation(enum.Enum):
    """How the paths that one pattern matches relate to those of another."""

    EQUIVALENT = "equivalent"
    """They are the same."""
    MORE_GENERAL = "more general"
    """All of the other's and more."""
    MORE_SPECIFIC = "more specific"
    """Some of the other's."""
    OVERLAPPING = "overlapping"
    """Some of the other's, and more."""
    DISJOINT = "disjoint"
    """None of the other's."""


def relation(pattern: PathPattern, other: PathPattern) -> Relation:
    """What `pattern` is to `other`: Go's comparePaths."""
    wider = narrower = False
    for one, another in zip(pattern.segments, other.segments, strict=False):
        if one.kind is another.kind:
            if one.kind is Kind.LITERAL and one.text != another.text:
                return Relation.DISJOINT
        elif max(one, another).kind is Kind.ONE and not min(one, another).text:  # {name} and {$}
            return Relation.DISJOINT
        elif one.kind > another.kind:
            wider = True
        else:
            narrower = True
    shorter, longer = sorted((pattern.segments, other.segments), key=len)
    if len(shorter) < len(longer) and shorter[-1].kind is not Kind.REST:
        return Relation.DISJOINT
    if wider:
        return Relation.OVERLAPPING if narrower else Relation.MORE_GENERAL
    return Relation.MORE_SPECIFIC if narrower else Relation.EQUIVALENT


def common_path(pattern: PathPattern, other: PathPattern) -> str:
    """A path that both match, escaped, with names in place of wildcards.  They must not be disjoint."""
    path = ""
    for pair in zip_longest(pattern.segments, other.segments):
        kind, text = min(segment for segment in pair if segment is not None)
        path += "/" if kind is Kind.REST else f"/{encoded_segment(text)}"
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Generic[T]):
    """What was added to a mux."""

    host: str
    """Empty: any."""
    pattern: PathPattern
    value: T


@dataclass(frozen=True, slots=True, kw_only=True)
class Match(Entry[T]):
    """The entry that takes a request."""

    parameters: dict[str, str]
    """What the wildcards of the pattern stand for, decoded, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate(Entry[T]):
    """An entry beside a request, for an explanation."""

    reason: str | None
    """Why it does not match; None where it does.  Parts of the request in it are escaped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirection:
    """Where a client is sent whose path lacks a "/" at its end, or is not clean."""

    location: str
    """Path and query, printable ASCII without spaces, as in `target.location`."""


class ConflictError(ValueError):
    """Two entries that match the same path, of which neither is more specific.

    `str()` of it tells the config's author which and why; `other` is the one that came first, `example`
    the path, escaped.
    """

    def __init__(self, entry: Entry[Any], other: Entry[Any]) -> None:
        self.other = other
        self.example = common_path(entry.pattern, other.pattern)
        host = f" for the host {quoted(entry.host)}" if entry.host else ""
        ours, theirs = quoted(str(entry.pattern)), quoted(str(other.pattern))
        if ours == theirs:
            words = f"{ours} is routed twice{host}; a pattern has one route"
        elif relation(entry.pattern, other.pattern) is Relation.EQUIVALENT:
            words = f"{ours} matches the same paths as {theirs}{host}; paths have one route"
        else:
            words = (
                f"{ours} and {theirs} both match {quoted(self.example)}{host}, and neither is more specific "
                "than the other; write one that matches only a part of what the other does"
            )
        super().__init__(words)


class Mux(Generic[T]):
    """Routes, and which of them takes a request.

    Not safe for use from several threads.
    """

    def __init__(self) -> None:
        self.entries: list[Entry[T]] = []
        """In the order in which they were added.  To be read only."""
        self._trees: dict[str, _Node[T]] = {}
        self._known: dict[tuple[str, str], Match[T]] = {}
        """What was found for a host and a path: most requests ask for the same few."""

    def add(self, host: str, pattern: PathPattern, value: T) -> None:
        """Route the paths that `pattern` matches, for one `host` or, where that is empty, for any.

        A host has no port, and is compared as it is.  Raises ConflictError, and then adds nothing.
        """
        entry = Entry(host=host, pattern=pattern, value=value)
        tree = self._trees.setdefault(host, _Node())
        for other in tree.neighbours(pattern.segments):
            if relation(pattern, other.pattern) in (Relation.EQUIVALENT, Relation.OVERLAPPING):
                raise ConflictError(entry, other)
        tree.insert(entry)
        self.entries.append(entry)
        self._known.clear()

    def find(self, host: str, target: RequestTarget) -> Match[T] | Redirection | None:
        """What becomes of a request with this Host field and `target`; None where no route takes it."""
        known = self._known.get((host, target.raw_path))
        if known is not None:
            return known
        found = self._look_up(_without_port(host), target)
        if isinstance(found, Match) and len(host) + len(target.raw_path) < _WORTH_KNOWING:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            self._known[host, target.raw_path] = found
        return found

    def _look_up(self, host: str, target: RequestTarget) -> Match[T] | Redirection | None:
        path = clean_path(target)
        segments = segments_of(path)
        entry = self._find(host, segments)
        if segments[-1] and not _exact(entry, segments):
            longer = [*segments, ""]
            if _exact(self._find(host, longer), longer):
                return Redirection(location=location(f"{path}/", target.query))
        if path != target.raw_path:
            return Redirection(location=location(path, target.query))
        if entry is None:
            return None
        return Match(
            host=entry.host,
            pattern=entry.pattern,
            value=entry.value,
            parameters=entry.pattern.values(segments),
        )

    def candidates(self, host: str, target: RequestTarget) -> list[Candidate[T]]:
        """All entries, those that win first; the first without a reason is what matches the clean path.

        Where `find` redirects, that is not what becomes of the request.
        """
        host = _without_port(host)
        segments = segments_of(clean_path(target))
        return [
            Candidate(
                host=entry.host,
                pattern=entry.pattern,
                value=entry.value,
                reason=_other_host(entry.host, host) or _mismatch(entry.pattern, segments),
            )
            for entry in sorted(self.entries, key=_precedence)
        ]

    def _find(self, host: str, segments: Sequence[str]) -> Entry[T] | None:
        """The entry that wins, of those that match `segments`."""
        for each in (host, "") if host else ("",):
            tree = self._trees.get(each)
            if tree is not None and (entry := tree.find(segments)) is not None:
                return entry
        return None


_HOST_WITH_PORT: Final = re.compile(r"\[([^\[\]]*)\]:[^:\[\]]*|([^:\[\]]*):[^:\[\]]*")


def _without_port(host: str) -> str:
    """`host` without its port, and then without brackets; as it is where it has none, as Go does it."""
    found = _HOST_WITH_PORT.fullmatch(host)
    return host if found is None else found[1] or found[2] or ""


def _exact(entry: Entry[Any] | None, segments: Sequence[str]) -> bool:
    """Whether `entry`, which matches `segments`, does so without a wildcard that takes more than nothing."""
    if entry is None:
        return False
    own = entry.pattern.segments
    return own[-1].kind is not Kind.REST or (len(own) == len(segments) and not segments[-1])


def _precedence(entry: Entry[Any]) -> tuple[bool, str, list[tuple[Kind, str]]]:
    """Sorts entries: those with a host first, and the more specific before the more general.

    For kinds are in order, and of two patterns the more specific has the narrower segment where they
    first differ.  What a wildcard is called makes no difference.
    """
    narrowness = [(kind, text if kind is Kind.LITERAL else "") for kind, text in entry.pattern.segments]
    return not entry.host, entry.host, narrowness


def _other_host(own: str, host: str) -> str | None:
    return f"the host is {quoted(host)}, not {quoted(own)}" if own and own != host else None


def _mismatch(pattern: PathPattern, segments: Sequence[str]) -> str | None:
    """Why a path does not match `pattern`; None where it does."""
    for index, (kind, text) in enumerate(pattern.segments):
        segment = segments[index] if index < len(segments) else None
        if kind is Kind.REST and segment is not None:
            return None
        if segment is None and (kind is Kind.REST or not text):
            return f'the path has no "/" behind segment {index}'
        if not segment and text:
            return f"the path has no segment {index + 1}"
        if kind is Kind.LITERAL and segment and segment != text:
            named = f"not {quoted(text)}" if text else "where the pattern ends"
            return f"segment {index + 1} of the path is {quoted(segment)}, {named}"
    following = segments[len(pattern.segments) :]
    if not following:
        return None
    if not following[0]:
        return 'the path has a "/" at its end'
    number = len(pattern.segments) + 1
    return f"segment {number} of the path is {quoted(following[0])}, where the pattern ends"


@dataclass(slots=True)
class _Node(Generic[T]):
    """The routes that begin with the same segments."""

    literals: "dict[str, _Node[T]]" = field(default_factory=dict)
    """Where a literal leads to, by its text."""
    one: "_Node[T] | None" = None
    """Where `{name}` leads to, whatever its name."""
    rest: Entry[T] | None = None
    """The route that takes all further segments."""
    entry: Entry[T] | None = None
    """The route that ends here."""

    def insert(self, entry: Entry[T]) -> None:
        node = self
        for kind, text in entry.pattern.segments:
            if kind is Kind.REST:
                node.rest = entry
                return
            if kind is Kind.LITERAL:
                node = node.literals.setdefault(text, _Node())
            else:
                node.one = node = node.one or _Node()
        node.entry = entry

    def find(self, segments: Sequence[str]) -> Entry[T] | None:
        """The most specific route that matches `segments`."""
        # What is left to be tried, the most specific last, with the segments from an index on.
        pending: list[tuple[_Node[T] | Entry[T], int]] = [(self, 0)]
        while pending:
            node, index = pending.pop()
            if isinstance(node, Entry):
                return node
            if index == len(segments):
                if node.entry is not None:
                    return node.entry
                continue
            segment = segments[index]
            if node.rest is not None:
                pending.append((node.rest, index))
            if node.one is not None and segment:
                pending.append((node.one, index + 1))
            if (literal := node.literals.get(segment)) is not None:
                pending.append((literal, index + 1))
        return None

    def neighbours(self, segments: Sequence[Segment]) -> Iterator[Entry[T]]:
        """The routes that may match a path that a pattern with `segments` matches as well."""
        pending = [(self, 0)]
        while pending:
            node, index = pending.pop()
            ended = index == len(segments)
            kind, text = segments[-1] if ended else segments[index]
            if node.entry is not None and (ended or kind is Kind.REST):
                yield node.entry
            if ended:
                continue
            if node.rest is not None:
                yield node.rest
            literals = [node.literals.get(text)] if kind is Kind.LITERAL else node.literals.values()
            following = index if kind is Kind.REST else index + 1
            pending += [(each, following) for each in (*literals, node.one) if each is not None]
