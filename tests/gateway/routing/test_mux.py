"""The mux: patterns, which of two is more specific, and which route takes a request."""

import itertools
import re
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.config.problems import escaped
from gateway.routing.mux import (
    ConflictError,
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
from gateway.routing.target import InvalidTargetError, clean_path, parse_target


def mux(*routes: str) -> Mux[str]:
    """Of routes as Go writes them, `host/path` or `/path`; each is its own value."""
    made: Mux[str] = Mux()
    for route in routes:
        host, slash, path = route.partition("/")
        made.add(host, parse_pattern(slash + path), route)
    return made


def found(made: Mux[str], target: str, host: str = "localhost:8080") -> str | None:
    """The route that takes a request; `→ location` where it is redirected."""
    result = made.find(host, parse_target(target))
    if isinstance(result, Redirection):
        return f"→ {result.location}"
    return None if result is None else result.value


def parameters(pattern: str, target: str) -> dict[str, str] | None:
    """What the wildcards of the only route stand for; None where it does not match."""
    result = mux(pattern).find("", parse_target(target))
    return result.parameters if isinstance(result, Match) else None


# Patterns

IS_HOST = 'is a host, write "/a", and "HOST" in the field "hosts"'
NAMES = "but names consist of letters, digits and underscores and do not begin with a digit"
CLEANED = "and paths are cleaned of %s before they are compared"
DOTS = '"." and ".."'


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("/", ()),
        ("/a", ()),
        ("/a/b/", ()),
        ("/{$}", ()),
        ("/a/{x}/b", ("x",)),
        ("/{x}/{y...}", ("x", "y")),
        ("/{_1}/{ü٣}", ("_1", "ü٣")),  # Go's letters and digits are Unicode's
        ("/a}", ()),
        ("/100%", ()),
        ("/%7Bx%7D", ()),
        ("/a?b#c", ()),
        ("/...", ()),
    ],
)
def test_patterns_keep_their_text_and_name_their_wildcards(text: str, names: tuple[str, ...]) -> None:
    """In order; only braces make wildcards."""
    pattern = parse_pattern(text)
    assert str(pattern) == text
    assert pattern.names == names


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a/{x}", 'does not begin with "/"; write "/a/{x}"'),
        ("{x}.y/z", 'does not begin with "/"; write "/{x}.y/z"'),
        ("h.example/a", f'does not begin with "/"; write "/h.example/a", or, if "h.example" {IS_HOST}'),
        ("localhost/a", f'does not begin with "/"; write "/localhost/a", or, if "localhost" {IS_HOST}'),
        ("https://h/a", 'does not begin with "/"; write "/a", and "h" in the field "hosts"'),
        ("GET /a", 'holds a method; write "/a", and "GET" in the field "methods"'),
        ("/get\t/a", 'holds a method; write "/a", and "GET" in the field "methods"'),
        ("/v/GET /a", 'holds a method; write "/v/a", and "GET" in the field "methods"'),
        (
            "PUT h/",
            'holds a method; write "/", and "PUT" in the field "methods" and "h" in the field "hosts"',
        ),
        ("/\ud83d", "holds U+D83D, which is no character"),
    ],
)
def test_texts_that_are_no_paths(text: str, words: str) -> None:
    """They are refused with what is wrong and what would be right."""
    with pytest.raises(PatternError) as raised:
        parse_pattern(text)
    host = text.partition("/")[0]
    assert str(raised.value) == f'the pattern "{escaped(text)}" {words.replace("HOST", host)}'


def test_an_empty_text_is_no_path() -> None:
    """Whoever means all paths is told how to say so."""
    with pytest.raises(PatternError, match=r'^the pattern is empty; write "/" to match every path$'):
        parse_pattern("")


@pytest.mark.parametrize(
    ("text", "number", "words"),
    [
        ("/a/b c", 2, '"b c", in which blanks are not escaped; write "b%20c"'),
        ("/a\t", 1, '"a\\t", in which blanks are not escaped; write "a%09"'),
        ("/a/{x", 2, '"{x", which has no closing brace; write "{x}"'),
        ("/{x...", 1, '"{x...", which has no closing brace; write "{x...}"'),
        ("/{$", 1, '"{$", which has no closing brace; write "{$}"'),
        ("/{a/b}", 1, '"{a", which has no closing brace; write "{a}"'),
        ("/a-{x}", 1, '"a-{x}", but a wildcard takes a whole segment; write "{x}" alone'),
        ("/{x}.json", 1, '"{x}.json", but a wildcard takes a whole segment; write "{x}" alone'),
        ("/{x} ", 1, '"{x} ", but a wildcard takes a whole segment; write "{x}" alone'),
        ("/{$}/", 1, '"{$}", which stands only at the end of a pattern; leave out what follows it'),
        ("/a/{x...}/b", 2, '"{x...}", which stands only at the end of a pattern; write "{x}"'),
        ("/{}", 1, '"{}", which lacks a name; write "{name}"'),
        ("/{...}", 1, '"{...}", which lacks a name; write "{name...}"'),
        ("/{user-id}", 1, f'"{{user-id}}", {NAMES}; write "{{user_id}}"'),
        ("/{1st...}", 1, f'"{{1st...}}", {NAMES}; write "{{_1st...}}"'),
        ("/{id:[0-9]+}", 1, f'"{{id:[0-9]+}}", {NAMES}; write "{{id}}"'),
        ("/{*}", 1, f'"{{*}}", {NAMES}; write "{{name}}"'),
        ("/{²}", 1, f'"{{²}}", {NAMES}; write "{{name}}"'),
        ("/a//b", 2, f'empty, {CLEANED % "empty segments"}; write one "/" instead of two'),
        ("//", 1, f'empty, {CLEANED % "empty segments"}; write one "/" instead of two'),
        ("/a/../b", 2, f'"..", {CLEANED % DOTS}; write the path that is meant'),
        ("/a%2F%2e", 1, f'"a%2F%2e", {CLEANED % DOTS}; write the path that is meant'),
    ],
)
def test_segments_that_are_none(text: str, number: int, words: str) -> None:
    """They are refused with what is wrong, where, and what would be right."""
    with pytest.raises(PatternError) as raised:
        parse_pattern(text)
    assert str(raised.value) == f'segment {number} of the pattern "{escaped(text)}" is {words}'


def test_names_stand_once() -> None:
    """In all of a pattern."""
    words = (
        'segment 2 of the pattern "/{x}/{x...}" repeats the name "x"; give one of the wildcards another name'
    )
    with pytest.raises(PatternError) as raised:
        parse_pattern("/{x}/{x...}")
    assert str(raised.value) == words


# What a pattern matches


@pytest.mark.parametrize(
    ("pattern", "target", "expected"),
    [
        ("/a", "/a", {}),
        ("/a", "/a?q", {}),
        ("/a", "/a/", None),
        ("/a", "/A", None),
        ("/a", "/a/b", None),
        ("/a/", "/a/", {}),
        ("/a/", "/a/b/c", {}),
        ("/a/", "/ab", None),
        ("/", "/", {}),
        ("/", "/a/b", {}),
        ("/{$}", "/", {}),
        ("/{$}", "/a", None),
        ("/e/{$}", "/e/", {}),
        ("/e/{$}", "/e/a", None),
        ("/{x}", "/a", {"x": "a"}),
        ("/{x}", "/", None),
        ("/{x}", "/a/", None),
        ("/{x}", "/a/b", None),
        ("/{x}/", "/a/b", {"x": "a"}),
        ("/{x}/b/{y}", "/a/b/c", {"x": "a", "y": "c"}),
        ("/{x}/b/{y}", "/a/c/c", None),
        ("/a/{x...}", "/a/", {"x": ""}),
        ("/a/{x...}", "/a/b", {"x": "b"}),
        ("/a/{x...}", "/a/b/c/", {"x": "b/c/"}),
        ("/{x}/{y...}", "/a/b/c", {"x": "a", "y": "b/c"}),
    ],
)
def test_what_a_pattern_matches(pattern: str, target: str, expected: dict[str, str] | None) -> None:
    """`/a` that path, `/a/` all below it, `{$}` its end, `{x}` one segment, `{x...}` the rest."""
    assert parameters(pattern, target) == expected


@pytest.mark.parametrize(
    ("pattern", "target", "expected"),
    [
        ("/b", "/%62", {}),
        ("/%62", "/b", {}),
        ("/ü", "/%C3%BC", {}),
        ("/%c3%bc", "/ü", {}),
        ("/a%20b", "/a%20b", {}),
        ("/a+b", "/a%20b", None),
        ("/a%2Fb", "/a%2fb", {}),
        ("/a%2Fb", "/a/b", None),
        ("/a/b", "/a%2Fb", None),
        ("/100%", "/100%25", {}),
        ("/%41%", "/%2541%25", {}),  # one bad escape, and the segment stands as it is
        ("/%41%", "/A%25", None),
        ("/%7Bx%7D", "/%7bx%7d", {}),
        ("/%7Bx%7D", "/a", None),
        ("/a?b", "/a%3Fb", {}),
        ("/*", "/*", {}),
        ("/*", "/a", None),
        ("/{x}", "/a%2Fb", {"x": "a/b"}),
        ("/{x}", "/%2F", {"x": "/"}),
        ("/{x}", '/a%2Fb"', {"x": 'a/b"'}),
        ("/{x}", "/*", {"x": "*"}),
        ("/{x...}", "/*", {"x": "*"}),
        ("/{x}", "/%FF", {"x": "\udcff"}),
        ("/{x}", "/\udcff%41", {"x": "\udcffA"}),
        ("/{x...}", "/a%2Fb/%20", {"x": "a/b/ "}),
        ("/e/{$}", "/e/%2F", None),
    ],
)
def test_segments_are_decoded_before_they_are_compared(
    pattern: str, target: str, expected: dict[str, str] | None
) -> None:
    """On both sides, and after splitting: an escaped slash is part of a segment, even alone."""
    assert parameters(pattern, target) == expected


# Which pattern wins


@pytest.mark.parametrize(
    ("routes", "target", "winner"),
    [
        (["/a", "/"], "/a", "/a"),
        (["/a", "/"], "/b", "/"),
        (["/a/", "/a/b/"], "/a/b/c", "/a/b/"),
        (["/a/", "/a/b"], "/a/b", "/a/b"),
        (["/a/", "/a/b"], "/a/b/c", "/a/"),
        (["/", "/{$}"], "/", "/{$}"),
        (["/", "/{$}"], "/a", "/"),
        (["/a/{x}", "/a/b"], "/a/b", "/a/b"),
        (["/a/{x}", "/a/b"], "/a/c", "/a/{x}"),
        (["/a/{x}", "/a/"], "/a/b", "/a/{x}"),
        (["/a/{x}", "/a/"], "/a/", "/a/"),
        (["/a/{x}", "/a/{x...}"], "/a/b/c", "/a/{x...}"),
        (["/{x}/b", "/a/{$}", "/a/b"], "/a/b", "/a/b"),
        (["/a/b/z", "/a/{x}/c", "/a/"], "/a/b/z", "/a/b/z"),
        (["/a/b/z", "/a/{x}/c", "/a/"], "/a/b/c", "/a/{x}/c"),
        (["/a/b/z", "/a/{x}/c", "/a/"], "/a/b/d", "/a/"),
        (["/{x}/{y}/{z}", "/a/{y}/{z}", "/a/b/{z}"], "/a/b/c", "/a/b/{z}"),
        (["/{x}/{y}/{z}", "/a/{y}/{z}", "/a/b/{z}"], "/b/b/c", "/{x}/{y}/{z}"),
    ],
)
def test_the_more_specific_pattern_wins(routes: list[str], target: str, winner: str) -> None:
    """In whatever order they were added (core-v1, section 4.3)."""
    for order in itertools.permutations(routes):
        assert found(mux(*order), target) == winner


@pytest.mark.parametrize(
    ("host", "winner"),
    [
        ("test.example", "test.example/"),
        ("test.example:8080", "test.example/"),
        ("test.example:", "test.example/"),
        ("test.example:http", "test.example/"),
        ("Test.Example", "/"),
        ("test.example.", "/"),
        ("a.test.example", "/"),
        ("", "/"),
        (":8080", "/"),
        ("test.example:80:80", "/"),
        ("test.example:]", "/"),
        ("[test.example]:80", "test.example/"),
        ("[::1]:8080", "::1/"),
        ("[::1]:", "::1/"),
        ("[::1]", "/"),
        ("::1", "::1/"),
        ("[::1]8080", "/"),
        ("[::1:8080", "/"),
        ("[[::1]]:8080", "/"),
    ],
)
def test_hosts_are_compared_without_their_port(host: str, winner: str) -> None:
    """In their case as it is; what is no host and port is compared as a whole (Go's SplitHostPort)."""
    assert found(mux("/", "test.example/", "::1/"), "/a", host) == winner


@pytest.mark.parametrize(
    ("host", "target", "winner"),
    [
        ("h", "/a/b", "h/a/"),
        ("h", "/c", "/c"),
        ("h", "/d", "/"),
        ("g", "/a/b", "/a/b"),
        ("g", "/a", "/"),
    ],
)
def test_routes_of_the_host_come_first(host: str, target: str, winner: str) -> None:
    """However general they are; where none of them matches, those without a host are tried."""
    made = mux("/", "/a/b", "/c", "h/a/", "g/x")
    assert found(made, target, host) == winner


def test_nothing_takes_what_no_route_matches() -> None:
    """Not without routes, and not with those of another host."""
    assert found(mux(), "/") is None
    assert found(mux("h/"), "/", "g") is None
    assert found(mux("h/a"), "/b", "h") is None


def test_a_match_tells_its_route() -> None:
    """Host, pattern and value as they were added."""
    made: Mux[int] = Mux()
    made.add("h", parse_pattern("/{x}"), 7)
    assert made.find("h:1", parse_target("/a")) == Match(
        host="h", pattern=parse_pattern("/{x}"), value=7, parameters={"x": "a"}
    )


# Redirections


@pytest.mark.parametrize(
    ("routes", "target", "result"),
    [
        (["/tree/"], "/tree", "→ /tree/"),
        (["/tree/"], "/tree?a=/..//", "→ /tree/?a=/..//"),
        (["/tree/"], "/tree?", "→ /tree/"),
        (["/tree/", "/"], "/tree", "→ /tree/"),
        (["/tree/", "/tree"], "/tree", "/tree"),
        (["/tree/", "/{x}"], "/tree", "/{x}"),
        (["/tree/", "/{x...}"], "/tree", "→ /tree/"),
        (["/tree/"], "/tree/a", "/tree/"),
        (["/tree/{$}"], "/tree", "→ /tree/"),
        (["/tree/{x...}"], "/tree", "→ /tree/"),
        (["/tree/{x}"], "/tree", None),
        (["/{x}/"], "/a", "→ /a/"),
        (["/{x}/"], "/a/b", "/{x}/"),
        (["/{x}/"], "/a%2Fb", "→ /a%2Fb/"),
        (["/{x}/"], '/%e3"ü', "→ /%e3%22%C3%BC/"),
        (["/{x}/"], "/%2Fevil.example", "→ /%2Fevil.example/"),
        (["/{x}/"], "/\\evil.example", "→ /%5Cevil.example/"),
        (["/a/{x}/"], "/a", None),
        (["/"], "/a", "/"),
        (["/a/", "/a/b/c/"], "/a/b", "/a/"),
        (["localhost/tree/", "/tree"], "/tree", "/tree"),
        (["localhost/", "/tree/"], "/tree", "localhost/"),
        (["localhost/tree/", "localhost/", "/tree"], "/tree", "→ /tree/"),
        (["h/tree/", "/"], "/tree", "/"),
    ],
)
def test_a_missing_slash_at_the_end_is_added(routes: list[str], target: str, result: str | None) -> None:
    """Where the path matches nothing, or only what takes the rest, and with a "/" would match better."""
    assert found(mux(*routes), target) == result


@pytest.mark.parametrize(
    ("routes", "target", "result"),
    [
        ([], "//", "→ /"),
        ([], "/a/../b?q", "→ /b?q"),
        (["/"], "/a//b/", "→ /a/b/"),
        (["/"], "/a/./b", "→ /a/b"),
        (["/a"], "/a//", "→ /a/"),
        (["/{x...}"], "/public/%2e%2e/admin", "→ /admin"),
        (["/tree/"], "/x/..//tree?q", "→ /tree/?q"),
        (["/tree/", "/tree"], "//tree", "→ /tree"),
        (["/tree/"], "/x%2F..%2F..%2Ftree", "→ /tree/"),
        (["/{x}/"], "//evil.example", "→ /evil.example/"),
        (["/a%2F%2Fb"], "/a%2F%2Fb", "/a%2F%2Fb"),
        (["/..."], "/...", "/..."),
    ],
)
def test_unclean_paths_are_redirected(routes: list[str], target: str, result: str) -> None:
    """Whatever is routed; and at once to where a missing slash would lead, as Go does it."""
    assert found(mux(*routes), target) == result


# Relations and conflicts

NEITHER = (
    "and neither is more specific than the other; write one that matches only a part of what the other does"
)


@pytest.mark.parametrize(
    ("pattern", "other", "expected"),
    [
        ("/a", "/a", Relation.EQUIVALENT),
        ("/a", "/%61", Relation.EQUIVALENT),
        ("/{x}", "/{y}", Relation.EQUIVALENT),
        ("/a/", "/a/{x...}", Relation.EQUIVALENT),
        ("/a/{$}", "/a/{$}", Relation.EQUIVALENT),
        ("/a", "/b", Relation.DISJOINT),
        ("/a", "/a/", Relation.DISJOINT),
        ("/a", "/a/{$}", Relation.DISJOINT),
        ("/{x}", "/{$}", Relation.DISJOINT),
        ("/a/{x}", "/a/{$}", Relation.DISJOINT),
        ("/{x}", "/{x}/{y}", Relation.DISJOINT),
        ("/a/", "/b/{x}", Relation.DISJOINT),
        ("/%2F", "/{$}", Relation.DISJOINT),
        ("/", "/a", Relation.MORE_GENERAL),
        ("/", "/{$}", Relation.MORE_GENERAL),
        ("/", "/a/b/", Relation.MORE_GENERAL),
        ("/{x}", "/a", Relation.MORE_GENERAL),
        ("/{x}/{y}", "/a/{y}", Relation.MORE_GENERAL),
        ("/{x}/", "/a/b/{$}", Relation.MORE_GENERAL),
        ("/a/{x}", "/{y}/b", Relation.OVERLAPPING),
        ("/a/{x...}", "/{y}/b", Relation.OVERLAPPING),
        ("/a/", "/{y}/{$}", Relation.OVERLAPPING),
        ("/a/{x}/c", "/{x}/b/", Relation.OVERLAPPING),
    ],
)
def test_what_one_pattern_is_to_another(pattern: str, other: str, expected: Relation) -> None:
    """And the other to the one."""
    opposite = {
        Relation.MORE_GENERAL: Relation.MORE_SPECIFIC,
        Relation.MORE_SPECIFIC: Relation.MORE_GENERAL,
    }
    one, another = parse_pattern(pattern), parse_pattern(other)
    assert relation(one, another) is expected
    assert relation(another, one) is opposite.get(expected, expected)


@pytest.mark.parametrize(
    ("first", "second", "example", "words"),
    [
        ("/a", "/a", "/a", '"/a" is routed twice; a pattern has one route'),
        ("h/", "h/", "/", '"/" is routed twice for the host "h"; a pattern has one route'),
        ("/{x}/", "/{y}/", "/x/", '"/{y}/" matches the same paths as "/{x}/"; paths have one route'),
        ("/a/", "/a/{x...}", "/a/", '"/a/{x...}" matches the same paths as "/a/"; paths have one route'),
        ("/a/{x}", "/{y}/b", "/a/b", f'"/{{y}}/b" and "/a/{{x}}" both match "/a/b", {NEITHER}'),
        (
            "h/{x}/b%2Fc/{y...}",
            "h/a%20b/",
            "/a%20b/b%2Fc/",
            f'"/a%20b/" and "/{{x}}/b%2Fc/{{y...}}" both match "/a%20b/b%2Fc/" for the host "h", {NEITHER}',
        ),
    ],
)
def test_conflicts_are_refused_with_a_reason(first: str, second: str, example: str, words: str) -> None:
    """The route that came first stays, and is named."""
    made = mux(first)
    host, slash, path = second.partition("/")
    with pytest.raises(ConflictError) as raised:
        made.add(host, parse_pattern(slash + path), "")
    assert str(raised.value) == words
    assert raised.value.other.value == first
    assert raised.value.example == example
    assert [each.value for each in made.candidates("", parse_target("/"))] == [first]


@pytest.mark.parametrize(
    "routes",
    [
        ["/a", "h/a", "g/a"],
        ["/a/{x}", "h/{y}/b"],
        ["/a", "/a/", "/a/{$}", "/a/{x}", "/a/{x}/", "/{x}", "/"],
        ["/a/{x}", "/a/b"],
        ["/{x}/b", "/a/{$}"],
    ],
)
def test_what_is_no_conflict(routes: list[str]) -> None:
    """Other hosts, other paths, and patterns of which one is more specific."""
    for order in itertools.permutations(routes):
        assert len(mux(*order).candidates("", parse_target("/"))) == len(routes)


def test_a_third_pattern_settles_no_conflict() -> None:
    """Go refuses two that overlap, even where a route of its own has all they share."""
    with pytest.raises(ConflictError):
        mux("/a/b", "/a/{x}", "/{y}/b")


# Explanations


@pytest.mark.parametrize(
    ("pattern", "target", "reason"),
    [
        ("/a", "/a", None),
        ("/a/b", "/a/c", 'segment 2 of the path is "c", not "b"'),
        ("/a%20b", "/%1b", 'segment 1 of the path is "\\x1b", not "a b"'),
        ("/a/b", "/a", "the path has no segment 2"),
        ("/a/b", "/a/", "the path has no segment 2"),
        ("/{x}", "/", "the path has no segment 1"),
        ("/a", "/a/", 'the path has a "/" at its end'),
        ("/{x}", "/a/b/c", 'segment 2 of the path is "b", where the pattern ends'),
        ("/a/", "/a", 'the path has no "/" behind segment 1'),
        ("/a/{$}", "/a", 'the path has no "/" behind segment 1'),
        ("/a/{$}", "/a/b", 'segment 2 of the path is "b", where the pattern ends'),
        ("/a/{x...}", "/a/", None),
        ("/a", "//a", None),
        ("g/a", "/b", 'the host is "h", not "g"'),
    ],
)
def test_why_a_route_does_not_match(pattern: str, target: str, reason: str | None) -> None:
    """One short reason, the first in reading order."""
    (candidate,) = mux(pattern).candidates("h:80", parse_target(target))
    assert candidate.reason == reason


def test_candidates_stand_in_the_order_of_precedence() -> None:
    """Routes with a host first, the more specific before the more general."""
    made = mux("/", "/{x}", "h/", "/a", "g/a", "/a/{x}", "/a/", "/a/{x}/b")
    candidates = made.candidates("h", parse_target("/a"))
    assert [each.value for each in candidates] == [
        "g/a",
        "h/",
        "/a",
        "/a/{x}",
        "/a/{x}/b",
        "/a/",
        "/{x}",
        "/",
    ]
    assert [each.value for each in candidates if each.reason is None] == ["h/", "/a", "/{x}", "/"]


# Hostile paths


@pytest.mark.parametrize(
    "path", ["/" * 65536, "/a" * 32768, "/%2e" * 16384, "/../a" * 13107, "/a" * 32768 + "/"]
)
def test_long_paths_are_matched(path: str) -> None:
    """However many segments they have."""
    made = mux("/{x...}", "/a/{y}/c", "/{x}/{y}/c", "/a/a/a/a/a/a/{z...}")
    assert made.find("h", parse_target(path)) is not None
    assert len(made.candidates("h", parse_target(path))) == 4


def test_long_patterns_match() -> None:
    """Nothing here recurses."""
    route = "/a" * 5000 + "/{x}"
    assert found(mux(route, "/"), "/a" * 5000 + "/b") == route


def test_many_routes_are_found() -> None:
    """A thousand of them do not get in each other's way."""
    routes = [f"/api/{name}/{{id}}/{rest}" for name in range(250) for rest in ("", "x", "{y}")]
    made = mux(*routes, *(f"/api/{name}" for name in range(250)))
    assert found(made, "/api/77/5/x") == "/api/77/{id}/x"
    assert found(made, "/api/249") == "/api/249"
    assert found(made, "/api/250") is None


# Properties


def matches(pattern: str, path: str) -> bool:
    """Whether a clean path matches, by a regular expression made of the pattern's text: the naive oracle."""
    expression = ""
    for part in re.findall("/[^/]*", pattern):
        if part == "/" or part.endswith("...}"):
            expression += "/.*"
        elif part == "/{$}":
            expression += "/"
        elif part.startswith("/{"):
            expression += "/[^/]+"
        else:
            expression += "/" + re.escape(segment_code(part[1:]))
    coded = "".join("/" + segment_code(each) for each in path[1:].split("/"))
    return re.fullmatch(expression, coded, re.DOTALL) is not None


def segment_code(segment: str) -> str:
    """A decoded segment in which no "/" stands."""
    return unquote(segment, errors="surrogateescape").replace("/", "\ue000")


PARTS = st.sampled_from(["a", "b", "%62", "a%2Fb", "%2F", "ü", "{x}", "{y}"])
PATTERNS = st.builds(
    lambda parts, end: "".join(f"/{each}" for each in parts) + end,
    st.lists(PARTS, max_size=3),
    st.sampled_from(["", "", "/", "/{z...}", "/{$}"]),
).filter(lambda text: text != "" and len(set(names := re.findall(r"{\w", text))) == len(names))
ROUTES = st.lists(st.tuples(st.sampled_from(["", "h", "g"]), PATTERNS), max_size=12)
PATHS = st.builds(
    lambda parts, end: "/" + "/".join(parts) + (end if parts else ""),
    st.lists(st.sampled_from(["a", "b", "c", "%61", "a%2fb", "%2F", "%C3%BC", "ü", "x", "%ff"]), max_size=4),
    st.sampled_from(["", "/"]),
)
TARGETS = st.lists(
    st.sampled_from(["/", "//", ".", "..", "%2e", "%2F", "a", "b", "%62", "?", '"', "ü", "\udcff", "%00"])
    | st.characters(),
    max_size=12,
).map(lambda parts: "/" + "".join(parts))


def added(routes: list[tuple[str, str]]) -> tuple[Mux[str], list[tuple[str, PathPattern]]]:
    """A mux of all routes that conflict with none before them, and those routes."""
    made: Mux[str] = Mux()
    kept: list[tuple[str, PathPattern]] = []
    for host, text in routes:
        pattern = parse_pattern(text)
        conflict = None
        try:
            made.add(host, pattern, host + text)
        except ConflictError as error:
            conflict = error
        else:
            kept.append((host, pattern))
        if conflict is not None:
            assert (conflict.other.host, conflict.other.pattern) in kept
            assert matches(text, conflict.example)
            assert matches(str(conflict.other.pattern), conflict.example)
    for (host, pattern), (other, another) in itertools.combinations(kept, 2):
        assert host != other or relation(pattern, another) not in (Relation.EQUIVALENT, Relation.OVERLAPPING)
    return made, kept


@given(ROUTES, st.sampled_from(["h", "h:80", "g", "", "[", "x:y:z"]) | st.text(), TARGETS)
def test_matching_never_raises(routes: list[tuple[str, str]], host: str, text: str) -> None:
    """Whatever the host and target are, `find` has an answer; a redirection comes to an end."""
    made, kept = added(routes)
    try:
        target = parse_target(text)
    except InvalidTargetError:
        return
    assert len(made.candidates(host, target)) == len(kept)
    for _ in range(4):
        result = made.find(host, target)
        if not isinstance(result, Redirection):
            return
        assert re.fullmatch("/(?!/)[!-~]*", result.location)
        target = parse_target(result.location)
    pytest.fail(f"{text!r} is redirected without an end")


@example([("", "/{z...}"), ("", "/{x}/"), ("", "/{y}/a/")], "h", "/a/a/a")
@given(ROUTES, st.sampled_from(["h", "g", "x"]), PATHS)
def test_no_other_matching_pattern_is_more_specific(
    routes: list[tuple[str, str]], host: str, path: str
) -> None:
    """What is found matches, and is the most specific of all that do, its own host's first."""
    made, kept = added(routes)
    result = made.find(host, parse_target(path))
    rivals = [(own, pattern) for own, pattern in kept if own in (host, "") and matches(str(pattern), path)]
    if any(own for own, _ in rivals):
        rivals = [(own, pattern) for own, pattern in rivals if own]
    candidates = [each for each in made.candidates(host, parse_target(path)) if each.reason is None]
    if isinstance(result, Redirection):
        target = parse_target(result.location)
        assert clean_path(target) == target.raw_path
        assert target.path == f"{parse_target(path).path}/"
        assert all(str(pattern).endswith(("/", "...}")) for _, pattern in rivals)
        assert isinstance(made.find(host, target), Match)
    elif result is None:
        assert not rivals
        assert not candidates
    else:
        assert (result.host, result.pattern) in rivals
        assert candidates[0].value == result.value
        for _, pattern in rivals:
            assert pattern == result.pattern or relation(result.pattern, pattern) is Relation.MORE_SPECIFIC


@given(ROUTES, PATHS, st.sampled_from(["h", "x"]), st.data())
def test_the_order_of_the_routes_does_not_matter(
    routes: list[tuple[str, str]], path: str, host: str, data: st.DataObject
) -> None:
    """Routes without a conflict are found, and explained, the same in every order."""
    made, kept = added(routes)
    again: Mux[str] = Mux()
    for own, pattern in data.draw(st.permutations(kept)):
        again.add(own, pattern, f"{own}{pattern}")
    target = parse_target(path)
    assert made.find(host, target) == again.find(host, target)
    assert made.candidates(host, target) == again.candidates(host, target)


@given(PATTERNS, PATTERNS, PATHS)
def test_disjoint_patterns_share_no_path(first: str, second: str, path: str) -> None:
    """And those that are not share `common_path`."""
    pattern, other = parse_pattern(first), parse_pattern(second)
    if relation(pattern, other) is Relation.DISJOINT:
        assert not (matches(first, path) and matches(second, path))
    else:
        shared = common_path(pattern, other)
        assert matches(first, shared)
        assert matches(second, shared)
        assert parse_target(shared).raw_path == clean_path(parse_target(shared))


ALL_PATHS = [
    "/" + "/".join(parts) + end
    for length in range(5)
    for parts in itertools.product("abc", repeat=length)
    for end in (("", "/") if parts else ("",))
]


def test_relations_are_those_of_the_sets_of_paths() -> None:
    """For all pairs of short patterns, against all short paths over their literals and one more."""
    wildcards = ["{x}", "{y}"]
    texts = [
        "".join(f"/{part or name}" for part, name in zip(parts, wildcards, strict=False)) + end
        for length in range(3)
        for parts in itertools.product(("a", "b", None), repeat=length)
        for end in ("", "/", "/{z...}", "/{$}")
        if parts or end
    ]
    sets = {text: frozenset(path for path in ALL_PATHS if matches(text, path)) for text in texts}
    for first, second in itertools.product(texts, repeat=2):
        one, another = sets[first], sets[second]
        if one == another:
            expected = Relation.EQUIVALENT
        elif one > another:
            expected = Relation.MORE_GENERAL
        elif one < another:
            expected = Relation.MORE_SPECIFIC
        else:
            expected = Relation.OVERLAPPING if one & another else Relation.DISJOINT
        assert relation(parse_pattern(first), parse_pattern(second)) is expected, (first, second)


@given(st.text(max_size=12) | st.lists(st.sampled_from("/{}$.x a%2:G\t"), max_size=12).map("".join))
def test_every_text_is_a_pattern_or_refused_in_words(text: str) -> None:
    """One line, printable; and what is a pattern has its text and its names, each once."""
    try:
        pattern = parse_pattern(text)
    except PatternError as error:
        words = str(error)
    else:
        assert str(pattern) == text
        assert len(set(pattern.names)) == len(pattern.names)
        return
    assert words.isprintable()


# The only handler
