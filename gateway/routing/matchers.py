"""Which requests a load balancer takes, and what path the upstream is asked for (core-v1, section 5.2)."""

from collections.abc import Callable

from gateway.config.resources import MatchType, PathMatcherSpec

PathMatcher = Callable[[str], str | None]
"""A decoded path → the decoded path for the upstream, or None where it does not match."""


def path_matcher(spec: PathMatcherSpec | None) -> PathMatcher:
    """The matcher that `spec` describes: trim, then compare, then append.

    A path that does not begin with `trimPrefix` is compared as it is.  Without a spec nothing matches.
    """
    if spec is None:
        return lambda _path: None
    matches = _COMPARISONS[spec.match_type]

    def match(path: str) -> str | None:
        trimmed = path.removeprefix(spec.trim_prefix)
        return spec.append_prefix + trimmed if matches(trimmed, spec.match) else None

    return match


_COMPARISONS: dict[MatchType, Callable[[str, str], bool]] = {
    MatchType.Exact: str.__eq__,
    MatchType.Prefix: str.startswith,
}
