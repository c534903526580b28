r"""Host and path patterns.

Input: lines `HOST PATTERN`, an empty line, then lines `HOST TARGET`.

Oracle: a text is a pattern or a `PatternError`; two patterns conflict exactly where a path exists that both
match and neither is more specific; of the patterns that a naive matcher, written below, finds for a path,
`find` takes the one that is more specific than all others; what it explains agrees, and so do the values of
the wildcards.  A redirection leads to a request that is not redirected.
"""

from itertools import product
from typing import Final

from gateway.routing.mux import (
    ConflictError,
    Entry,
    Kind,
    Match,
    Mux,
    PathPattern,
    PatternError,
    Redirection,
    Relation,
    common_path,
    parse_pattern,
    relation,
)
from gateway.routing.target import InvalidTargetError, clean_path, parse_target, segments_of

TOKENS: Final = (
    b" /a\n",
    b" /a/\n",
    b" /{x}\n",
    b" /{x}/b\n",
    b" /a/{$}\n",
    b" /{x...}\n",
    b" /a/{y}/{x...}\n",
    b"\n\n",
    b"h /a/b",
    b"h:80 /a/",
    b"[::1]:8080 /",
    b" /a/b/\n",
    b"%2F",
    b"//",
    b"/../",
    b"%2e%2e",
    b"%zz",
    b"\xc3\xa9",
)


def check(data: bytes) -> None:
    """Add the routes, then ask for the targets."""
    above, _, below = data.partition(b"\n\n")
    mux: Mux[int] = Mux()
    for number, line in enumerate(above.split(b"\n")[:12]):
        host, _, text = line.decode("utf-8", "surrogateescape").partition(" ")
        try:
            pattern = parse_pattern(text)
        except PatternError as error:
            assert str(error)
            assert str(error).isprintable()
            continue
        _add(mux, host, pattern, number)
    for line in below.split(b"\n")[:12]:
        host, _, text = line.decode("utf-8", "surrogateescape").partition(" ")
        _ask(mux, host, text)


def _add(mux: Mux[int], host: str, pattern: PathPattern, number: int) -> None:
    rivals = [
        each
        for each in mux.entries
        if each.host == host
        and relation(pattern, each.pattern) in {Relation.EQUIVALENT, Relation.OVERLAPPING}
    ]
    for each in mux.entries:
        _related(pattern, each.pattern)
    try:
        mux.add(host, pattern, number)
    except ConflictError as error:
        assert error.other in rivals
        assert str(error).isprintable()
    else:
        assert not rivals


def _related(one: PathPattern, other: PathPattern) -> None:
    """What two patterns are to each other, seen from both sides, and in paths that both may match."""
    mirrored = {Relation.MORE_GENERAL: Relation.MORE_SPECIFIC, Relation.MORE_SPECIFIC: Relation.MORE_GENERAL}
    related = relation(one, other)
    assert relation(other, one) is mirrored.get(related, related)
    both = {_matches(one, path) and _matches(other, path) for path in _paths(one, other)}
    assert (True in both) is (related is not Relation.DISJOINT)
    if related is Relation.DISJOINT:
        return
    shared = segments_of(common_path(one, other))
    assert _matches(one, shared)
    assert _matches(other, shared)
    for path in _paths(one, other):
        if related in {Relation.MORE_SPECIFIC, Relation.EQUIVALENT} and _matches(one, path):
            assert _matches(other, path)


def _paths(one: PathPattern, other: PathPattern) -> list[list[str]]:
    """Paths in which each segment is what one of the patterns says there, or something else, or nothing."""
    longest = max(len(one.segments), len(other.segments))
    if longest > 3:  # all of them would be too many
        paths = [[segment.text or "w" for segment in each.segments] for each in (one, other)]
        if relation(one, other) is not Relation.DISJOINT:
            paths.append(segments_of(common_path(one, other)))
        return paths
    length = longest + 1
    words = [
        {segments[place].text for segments in (one.segments, other.segments) if place < len(segments)} | {"w"}
        for place in range(length)
    ]
    found: list[list[str]] = []
    for size in range(1, length + 1):
        for path in product(*words[:size]):
            if "" not in path[:-1]:
                found += [[*path], [*path, ""]] if path[-1] else [[*path]]
    return found


def _matches(pattern: PathPattern, path: list[str]) -> bool:
    """Compare from left to right, as it is described."""
    for place, segment in enumerate(pattern.segments):
        if segment.kind is Kind.REST:
            return place < len(path)
        if place >= len(path):
            return False
        if segment.kind is Kind.ONE and not path[place]:
            return False
        if segment.kind is Kind.LITERAL and path[place] != segment.text:
            return False
    return len(pattern.segments) == len(path)


def _ask(mux: Mux[int], host: str, text: str) -> None:
    try:
        target = parse_target(text)
    except InvalidTargetError:
        return
    found = mux.find(host, target)
    assert mux.find(host, target) == found
    candidates = mux.candidates(host, target)
    assert sorted(each.value for each in candidates) == sorted(each.value for each in mux.entries)
    assert all(each.reason is None or each.reason.isprintable() for each in candidates)
    best = next((each for each in candidates if each.reason is None), None)
    path = segments_of(clean_path(target))
    expected = _best(mux, host, path)
    assert (best and best.value) == (expected and expected.value)
    match found:
        case Match():
            assert clean_path(target) == target.raw_path
            assert expected is not None
            assert (found.value, found.host) == (expected.value, expected.host)
            assert set(found.parameters) == set(found.pattern.names)
            _values(found, path)
        case Redirection(location=location):
            again = parse_target(location)
            assert not isinstance(mux.find(host, again), Redirection)
        case None:
            assert expected is None


def _best(mux: Mux[int], host: str, path: list[str]) -> Entry[int] | None:
    """The most specific of those of the host, else of those of any."""
    for group in ("host", "any"):
        matching = [
            each
            for each in mux.entries
            if (each.host != "" and _without_port(host) == each.host if group == "host" else each.host == "")
            and _matches(each.pattern, path)
        ]
        for each in matching:
            others = [other for other in matching if other is not each]
            if all(relation(each.pattern, other.pattern) is Relation.MORE_SPECIFIC for other in others):
                return each
        assert not matching, "one of them has to be the most specific"
    return None


def _without_port(host: str) -> str:
    """What Go's `net.SplitHostPort` leaves, or all of it where that fails."""
    if host.startswith("["):
        inner, bracket, port = host[1:].partition("]")
        if bracket and port.startswith(":") and not set("[]:") & set(port[1:]) and "[" not in inner:
            return inner
        return host
    if host.count(":") != 1 or set("[]") & set(host):
        return host
    return host.partition(":")[0]


def _values(found: Match[int], path: list[str]) -> None:
    for place, segment in enumerate(found.pattern.segments):
        if segment.kind is Kind.ONE:
            assert found.parameters[segment.text] == path[place]
        elif segment.kind is Kind.REST and segment.text:
            assert found.parameters[segment.text] == "/".join(path[place:])
