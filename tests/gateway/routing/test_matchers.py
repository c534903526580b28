"""Path matchers: trim, compare, append."""

import pytest

from gateway.config import MatchType, PathMatcherSpec
from gateway.routing.matchers import path_matcher


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
    assert path_matcher(PathMatcherSpec(match=match, match_type=MatchType.Prefix))(path) == sent


@pytest.mark.parametrize(
    ("match", "path", "sent"),
    [("/a", "/a", "/a"), ("/a", "/a/", None), ("/a", "/ab", None), ("", "/", None)],
)
def test_exact_is_the_default(match: str, path: str, sent: str | None) -> None:
    """So that a matcher without any field never takes a normal request (core-v1, section 5.2)."""
    assert path_matcher(PathMatcherSpec(match=match))(path) == sent


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
    assert path_matcher(spec)(path) == sent


def test_without_a_matcher_nothing_matches() -> None:
    """Whatever AILERON's comments promise (core-v1, section 5.1)."""
    assert path_matcher(None)("/") is None
