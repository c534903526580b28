"""Path matchers: trim, compare, rewrite, append.  Parameter matchers: one of the patterns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import MatchType, PathMatcherSpec
from gateway.config.resources import ParamMatcherSpec
from gateway.routing.matchers import ParamMatcher, PathMatcher
from gateway.routing.patterns import PatternError
from gateway.routing.request import ParamSource, RequestFacts


@pytest.mark.parametrize(
    ("match", "path", "sent"),
    [
        ("/", "/", "/"),
        ("/", "/any/thing", "/any/thing"),
        ("/api", "/api", "/api"),
        ("/api", "/apis/x", "/apis/x"),
        ("/api", "/API", None),
        ("/api", "/", None),
        ("", "/x", "/x"),
    ],
)
def test_prefix(match: str, path: str, sent: str | None) -> None:
    """What begins with it, character by character; an empty one takes all."""
    assert PathMatcher(PathMatcherSpec(match=match, match_type=MatchType.Prefix)).match(path) == sent


@pytest.mark.parametrize(
    ("match", "path", "sent"),
    [("/a", "/a", "/a"), ("/a", "/a/", None), ("/a", "/ab", None), ("", "/", None)],
)
def test_exact_is_the_default(match: str, path: str, sent: str | None) -> None:
    """So that a matcher without any field never takes a normal request (core-v1, section 5.2)."""
    assert PathMatcher(PathMatcherSpec(match=match)).match(path) == sent


@pytest.mark.parametrize(
    ("trim", "append", "match", "path", "sent"),
    [
        ("/a", "", "/b", "/a/b", "/b"),
        ("/a", "", "/b", "/b", "/b"),
        ("/a", "", "/a", "/a/a", "/a"),
        ("/a", "", "/a/b", "/a/b", None),
        ("", "/x", "/b", "/b/c", "/x/b/c"),
        ("/a", "/x", "/b", "/a/b/c", "/x/b/c"),
        ("/a", "", "", "/a", ""),
        ("/a/", "", "b", "/a/b", "b"),
    ],
)
def test_trim_and_append(trim: str, append: str, match: str, path: str, sent: str | None) -> None:
    """A path without the prefix is compared as it is; the prefix goes once (core-v1, section 5.2)."""
    spec = PathMatcherSpec(match=match, match_type=MatchType.Prefix, trim_prefix=trim, append_prefix=append)
    assert PathMatcher(spec).match(path) == sent


@pytest.mark.parametrize(
    ("match_type", "match", "rewrite", "path", "sent"),
    [
        (MatchType.Regex, "^/v(1|2)/(.*)$", "/$2/v$1", "/old/v1/x", "/new/x/v1"),
        (MatchType.Regex, "[0-9]", "$0", "/old/v1/v2", "/new12"),
        (MatchType.Regex, "^/v", "", "/old/v1", "/new/v1"),
        (MatchType.Regex, "^/w", "$0", "/old/v1", None),
        (MatchType.Regex, "^/old", "$0", "/old/v1", None),
        (MatchType.RegexPOSIX, "v|v1", "/$0", "/old/v1/x", "/new/v1"),
        (MatchType.Prefix, "/v", "/$0", "/old/v1", "/new/v1"),
        (MatchType.Path, "/*", "/$0", "/old/v1", "/new/v1"),
    ],
)
def test_trim_match_rewrite_append(
    match_type: MatchType, match: str, rewrite: str, path: str, sent: str | None
) -> None:
    """In this order; `rewrite` is for regular expressions alone (core-v1, section 5.2)."""
    spec = PathMatcherSpec(
        match=match, match_type=match_type, rewrite=rewrite, trim_prefix="/old", append_prefix="/new"
    )
    assert PathMatcher(spec).match(path) == sent


@pytest.mark.parametrize(
    ("match_type", "patterns", "values", "expected"),
    [
        (MatchType.Exact, ("prod", "test"), ["test"], True),
        (MatchType.Exact, ("prod", "test"), ["Test"], False),
        (MatchType.Exact, ("prod",), ["prod", "x"], False),
        (MatchType.Exact, ("prod,x",), ["prod", "x"], True),
        (MatchType.Exact, ("",), [""], True),
        (MatchType.Exact, ("",), [], False),
        (MatchType.Exact, ("", ","), ["", ""], True),
        (MatchType.Exact, (), ["prod"], False),
        (MatchType.Prefix, ("p",), ["prod"], True),
        (MatchType.Suffix, ("d",), ["prod"], True),
        (MatchType.Contains, ("d,x",), ["prod", "x"], True),
        (MatchType.Path, ("*/x",), ["prod/x"], True),
        (MatchType.Path, ("*",), ["prod/x"], False),
        (MatchType.Regex, ("ro",), ["prod"], True),
        (MatchType.RegexPOSIX, ("^(a|prod)$",), ["prod"], True),
        (MatchType.Regex, (".*",), [], False),
    ],
)
def test_parameters(
    match_type: MatchType, patterns: tuple[str, ...], values: list[str], *, expected: bool
) -> None:
    """Several values are one with commas, one pattern is enough, none matches nothing (section 5.3)."""
    spec = ParamMatcherSpec(key="k", patterns=patterns, match_type=match_type)
    assert ParamMatcher(spec, "header").match(values) is expected


REQUEST = RequestFacts(
    headers=[(b"x-env", b"prod"), (b"X-Env", b"test")],
    query="v=1&v=2&e=",
    path_params={"id": "7", "none": ""},
)


@pytest.mark.parametrize(
    ("source", "key", "pattern", "expected"),
    [
        ("header", "X-ENV", "prod,test", True),
        ("header", "X-Env", "prod", False),
        ("header", "v", "1,2", False),
        ("query", "v", "1,2", True),
        ("query", "V", "1,2", False),
        ("query", "e", "", True),
        ("query", "x", "", False),
        ("path parameter", "id", "7", True),
        ("path parameter", "none", "", False),
        ("path parameter", "x", "", False),
    ],
)
def test_where_parameters_stand(source: ParamSource, key: str, pattern: str, *, expected: bool) -> None:
    """An empty path parameter is missing, an empty query parameter is not (core-v1, section 5.3)."""
    assert ParamMatcher(ParamMatcherSpec(key=key, patterns=(pattern,)), source).takes(REQUEST) is expected


def test_a_bad_pattern_says_where_it_stands() -> None:
    """By the field of the matcher."""
    with pytest.raises(PatternError) as caught:
        PathMatcher(PathMatcherSpec(match="(", match_type=MatchType.Regex))
    assert caught.value.field == "match"
    with pytest.raises(PatternError) as caught:
        ParamMatcher(ParamMatcherSpec(key="k", patterns=("a", "["), match_type=MatchType.Path), "query")
    assert caught.value.field == "patterns[1]"


@pytest.mark.parametrize(
    ("match_type", "words"),
    [
        (MatchType.Exact, 'path is "/a"'),
        (MatchType.Prefix, 'path begins with "/a"'),
        (MatchType.Suffix, 'path ends with "/a"'),
        (MatchType.Contains, 'path contains "/a"'),
        (MatchType.Path, 'path matches the glob "/a"'),
        (MatchType.FilePath, 'path matches the glob "/a"'),
        (MatchType.Regex, 'path matches the regular expression "/a"'),
        (MatchType.RegexPOSIX, 'path matches the POSIX regular expression "/a"'),
    ],
)
def test_a_path_matcher_in_words(match_type: MatchType, words: str) -> None:
    """Each type has its own."""
    assert PathMatcher(PathMatcherSpec(match="/a", match_type=match_type)).description == words


def test_a_trimmed_path_in_words() -> None:
    """What is compared is not the path that the client asked for."""
    spec = PathMatcherSpec(match="/a", trim_prefix="/v1")
    assert PathMatcher(spec).description == 'path without "/v1" in front is "/a"'


@pytest.mark.parametrize(
    ("source", "patterns", "words"),
    [
        ("header", ("prod", "test"), 'header X-Env begins with "prod" or "test"'),
        ("query", ("1",), 'query X-Env begins with "1"'),
        ("path parameter", ("1\n",), r'path parameter X-Env begins with "1\n"'),
        ("header", (), "header X-Env has no patterns, so that nothing matches"),
    ],
)
def test_a_parameter_matcher_in_words(source: ParamSource, patterns: tuple[str, ...], words: str) -> None:
    """With all of its patterns, on one line."""
    spec = ParamMatcherSpec(key="X-Env", patterns=patterns, match_type=MatchType.Prefix)
    assert ParamMatcher(spec, source).description == words


anything = st.text(st.characters(exclude_categories=()))


@given(st.sampled_from(MatchType), anything, anything)
def test_matching_never_raises(match_type: MatchType, path: str, value: str) -> None:
    """Whatever comes from the wire."""
    path_spec = PathMatcherSpec(match="a", match_type=match_type, rewrite="$0$1$$", trim_prefix="/")
    sent = PathMatcher(path_spec).match(path)
    assert sent is None or isinstance(sent, str)
    param_spec = ParamMatcherSpec(key="k", patterns=("a", "b"), match_type=match_type)
    assert ParamMatcher(param_spec, "query").match([value, path]) in (True, False)
