"""Which requests a load balancer takes, and what path the upstream is asked for (core-v1, sections 5.2, 5.3).

A matcher says in its `description` what it takes, for people.
"""

from collections.abc import Sequence
from typing import Final

from gateway.config import MatchType, PathMatcherSpec
from gateway.config.problems import quoted
from gateway.config.resources import ParamMatcherSpec
from gateway.headers import REDACTED, is_secret_field, is_secret_parameter
from gateway.routing.patterns import Pattern, PatternError, RegularExpression, compile_pattern
from gateway.routing.request import ParamSource, RequestFacts

_VERBS: Final = {
    MatchType.Exact: "is",
    MatchType.Prefix: "begins with",
    MatchType.Suffix: "ends with",
    MatchType.Contains: "contains",
    MatchType.Path: "matches the glob",
    MatchType.FilePath: "matches the glob",
    MatchType.Regex: "matches the regular expression",
    MatchType.RegexPOSIX: "matches the POSIX regular expression",
}


class PathMatcher:
    """Which paths are taken, and what becomes of them.

    Raises PatternError, whose `field` is `match`.
    """

    def __init__(self, spec: PathMatcherSpec) -> None:
        self._spec = spec
        self._pattern = _compiled(spec.match_type, spec.match, "match")
        self._rewrite = (
            self._pattern.rewriter(spec.rewrite)
            if isinstance(self._pattern, RegularExpression) and spec.rewrite
            else None
        )

    def match(self, path: str) -> str | None:
        """The decoded path for the upstream; None where this decoded `path` is not taken.

        First `trimPrefix` goes, once; a path that does not begin with it is compared as it is.  What is left
        is compared and, with a regular expression, rewritten; last `appendPrefix` comes in front.
        A path that would take too long to rewrite is not taken.
        """
        path = path.removeprefix(self._spec.trim_prefix)
        if not self._pattern.matches(path):
            return None
        rewritten = path if self._rewrite is None else self._rewrite(path)
        return None if rewritten is None else self._spec.append_prefix + rewritten

    @property
    def description(self) -> str:
        """As `path begins with "/api"`."""
        trimmed = f" without {quoted(self._spec.trim_prefix)} in front" if self._spec.trim_prefix else ""
        return f"path{trimmed} {_VERBS[self._spec.match_type]} {quoted(self._spec.match)}"


class ParamMatcher:
    """Which values of a header, a query parameter or a path parameter are taken.

    Raises PatternError, whose `field` is as `patterns[2]`.
    """

    def __init__(self, spec: ParamMatcherSpec, source: ParamSource) -> None:
        self._spec = spec
        self._source = source
        self._patterns = [
            _compiled(spec.match_type, pattern, f"patterns[{index}]")
            for index, pattern in enumerate(spec.patterns)
        ]

    def takes(self, request: RequestFacts) -> bool:
        """Whether the values in `request` are taken."""
        return self.match(request.values(self._source, self._spec.key))

    def match(self, values: Sequence[str]) -> bool:
        """Whether one of the patterns matches `values`, as one text with commas between them."""
        if not values:
            return False
        text = ",".join(values)
        return any(each.matches(text) for each in self._patterns)

    @property
    def description(self) -> str:
        """As `header X-Env is "prod" or "test"`, without secrets."""
        subject = f"{self._source} {quoted(self._spec.key, marks='')}"
        if not self._patterns:
            return f"{subject} has no patterns, so that nothing matches"
        patterns = [REDACTED] if self._is_secret else map(quoted, self._spec.patterns)
        return f"{subject} {_VERBS[self._spec.match_type]} {' or '.join(patterns)}"

    @property
    def _is_secret(self) -> bool:
        """Whether a pattern may be, or tell of, what nobody is to know."""
        if self._source == "header":
            return is_secret_field(self._spec.key.lower().encode())
        return is_secret_parameter(self._spec.key)


def _compiled(match_type: MatchType, pattern: str, field: str) -> Pattern:
    try:
        return compile_pattern(match_type, pattern)
    except PatternError as error:
        error.field = field
        raise
