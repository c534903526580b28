r"""Path and parameter matchers, and the router around them.

Input: a byte of options, then lines: a pattern, a rewriting, a target, a method, a host, and header fields.

Oracle: a pattern is refused as `PatternError`, in words that a terminal can show, or compares and rewrites
whatever comes; texts compare as Python compares them, and globs as Go's `path.Match`, written out below.  Of
any request the router decides without an error, what it sends on is one request line, and an explanation ends
in the same way.
"""

from functools import cache
from typing import Final

from gateway.config import HTTPServer, MatchType, PathMatcherSpec
from gateway.config.problems import escaped
from gateway.config.resources import ParamMatcherSpec
from gateway.headers import is_token
from gateway.routing import Forward, Redirect, Refused, RequestHead, Router, Routes, build
from gateway.routing.explain import Step, explain
from gateway.routing.matchers import ParamMatcher, PathMatcher
from gateway.routing.patterns import PatternError
from tests.fuzz.choices import Choices
from tests.gateway.config.samples import ENTRYPOINT, loaded

TOKENS: Final = (
    *b"/a/* [a-z] [^a] [\\]] \\* ? ** (a|b)+ (?i)a $1 ${n} (?P<n>.) $$ ^/x$ [[:alpha:]] a{2,3}".split(b" "),
    *b"/api/v1 /b/ /c?x=1 /%2e%2e // GET POST shop.example shop.example:80 X-Env:prod".split(b" "),
    b"Cookie:a=b",
    b"\n",
    b"\xff",
)

_CONFIG: Final = (
    ENTRYPOINT
    + """\
---
apiVersion: core/v1
kind: HTTPServer
spec:
  addr: ":8080"
  virtualHosts:
    - hosts: [shop.example]
      methods: [GET, POST]
      handlers:
        - pattern: /api/
          handler: {apiVersion: core/v1, kind: ReverseProxyHandler}
        - pattern: /rooms/{room}/x/{rest...}
          handler: {apiVersion: core/v1, kind: ReverseProxyHandler}
    - pattern: /b
      handlers:
        - handler: {apiVersion: core/v1, kind: ReverseProxyHandler}
    - handlers:
        - handler: {apiVersion: core/v1, kind: ReverseProxyHandler, name: other}
---
apiVersion: core/v1
kind: ReverseProxyHandler
spec:
  loadBalancers:
    - pathMatchers: [{match: "^/api/v([0-9])(/.*)?", matchType: Regex, rewrite: "/$1$2", appendPrefix: /v}]
      methods: [GET]
      upstreams: [{url: "http://a?k=v"}]
    - pathMatcher: {match: "/*/x/*", matchType: Path, trimPrefix: /b}
      headerMatchers: [{key: X-Env, patterns: [prod, "t*t"], matchType: Path}]
      lbAlgorithm: Maglev
      hasher: {hashSource: Header, key: X-Env}
      upstreams: [{url: "http://b"}, {url: "http://c", weight: 3}]
    - pathMatcher: {match: /b, matchType: Prefix}
      queryMatchers: [{key: x, patterns: ["[0-9]+"], matchType: Regex}]
      upstreams: [{url: "http://d"}]
    - pathMatcher: {match: /x, matchType: Contains}
      pathParamMatchers: [{key: room, patterns: [a], matchType: Prefix}]
      upstreams: [{url: "http://e", weight: -1}]
---
apiVersion: core/v1
kind: ReverseProxyHandler
metadata: {name: other}
spec:
  patterns: [/c, /d/]
  loadBalancers:
    - pathMatcher: {match: "", matchType: Prefix, trimPrefix: /, appendPrefix: a b}
      upstreams: [{url: "http://f?x"}]
"""
)

_CLIENT: Final = ("192.0.2.1", 4711)


def check(data: bytes) -> None:
    """Compile, compare, and decide."""
    choices = Choices(data)
    match_type = list(MatchType)[choices.below(len(MatchType))]
    trim, append = ("", "/", "/a")[choices.below(3)], ("", "/p", "é")[choices.below(3)]
    lines = choices.rest().split(b"\n")
    pattern, rewrite, target, method, host = (
        line.decode("utf-8", "surrogateescape") for line in [*lines, *[b""] * 5][:5]
    )
    spec = PathMatcherSpec(
        match=pattern, match_type=match_type, rewrite=rewrite, trim_prefix=trim, append_prefix=append
    )
    _match(spec, target)
    fields = [(name, value.strip(b" \t")) for name, _, value in (line.partition(b":") for line in lines[5:9])]
    _decide(
        RequestHead(
            method=method, host=host, target=target, headers=[each for each in fields if is_token(each[0])]
        )
    )


def _match(spec: PathMatcherSpec, path: str) -> None:
    pattern, match_type, append = spec.match, spec.match_type, spec.append_prefix
    try:
        matcher = PathMatcher(spec)
        parameter = ParamMatcher(
            ParamMatcherSpec(key="k", patterns=(pattern,), match_type=match_type), "query"
        )
    except PatternError as error:
        assert str(error).isprintable(), str(error)
        assert match_type not in {MatchType.Exact, MatchType.Prefix, MatchType.Suffix, MatchType.Contains}
        return
    sent = matcher.match(path)
    compared = path.removeprefix(spec.trim_prefix)
    expected: bool | None = None
    match match_type:
        case MatchType.Exact:
            expected = compared == pattern
        case MatchType.Prefix:
            expected = compared[: len(pattern)] == pattern
        case MatchType.Suffix:
            expected = compared.endswith(pattern)
        case MatchType.Contains:
            expected = compared.find(pattern) >= 0
        case MatchType.Path | MatchType.FilePath:
            expected = _glob(pattern, compared)
    if expected is not None:
        assert (sent == append + compared) is expected
        assert (sent is None) is not expected
    assert sent is None or sent.startswith(append)
    assert parameter.match([path]) in {True, False}
    assert matcher.description.isprintable()
    assert parameter.description.isprintable()


def _glob(pattern: str, text: str) -> bool:
    """Go's `path.Match`, of a pattern without mistakes: chunk after chunk, each at its first place."""
    while pattern:
        star = pattern.startswith("*")
        pattern = pattern.lstrip("*")
        end = _chunk_end(pattern)
        chunk, pattern = pattern[:end], pattern[end:]
        if star and not chunk:
            return "/" not in text
        rest = _chunk(chunk, text)
        if rest is not None and (rest == "" or pattern):
            text = rest
            continue
        if not star:
            return False
        for at, character in enumerate(text):
            if character == "/":
                return False
            rest = _chunk(chunk, text[at + 1 :])
            if rest is not None and (rest == "" or pattern):
                text = rest
                break
        else:
            return False
    return text == ""


def _chunk_end(pattern: str) -> int:
    """Where the next star stands that is one."""
    at, inside = 0, False
    while at < len(pattern):
        match pattern[at]:
            case "\\":
                at += 1
            case "[":
                inside = True
            case "]":
                inside = False
            case "*" if not inside:
                return at
        at += 1
    return at


def _chunk(chunk: str, text: str) -> str | None:
    """What is left of `text` behind a chunk, which has no star; None where it does not match."""
    at = 0
    while at < len(chunk):
        if not text:
            return None
        character, text = text[0], text[1:]
        match chunk[at]:
            case "[":
                at += 1
                negated = chunk.startswith("^", at)
                at += negated
                found, first = False, at
                while at == first or chunk[at] != "]":
                    low, at = _escaped(chunk, at)
                    high = low
                    if chunk[at] == "-":
                        high, at = _escaped(chunk, at + 1)
                    found |= low <= character <= high
                if found is negated:
                    return None
                at += 1
            case "?":
                if character == "/":
                    return None
                at += 1
            case _:
                literal, at = _escaped(chunk, at)
                if literal != character:
                    return None
    return text


def _escaped(chunk: str, at: int) -> tuple[str, int]:
    at += chunk[at] == "\\"
    return chunk[at], at + 1


@cache
def _site() -> tuple[HTTPServer, Routes]:
    config = loaded(_CONFIG)
    (server,) = config.servers
    routes, problems = build(config, server, {})
    assert not problems, problems
    return server, routes


def _decide(head: RequestHead) -> None:
    server, routes = _site()
    decision = Router(routes).decide(head)
    told = explain(server, routes, head, _CLIENT)
    for line in _lines(told):
        assert line.isprintable(), line
    end = told.steps[-1].text
    match decision:
        case Forward(target=target, upstream=upstream):
            assert _one_line(target)
            assert "//" not in target[:2]
            asks = told.steps[-1].steps
            assert end.startswith("answered with 4") or asks[0].text == escaped(
                f"{head.method} {target} HTTP/1.1"
            )
            assert end.startswith("answered with 4") or end == f"{upstream.url} is sent"
        case Redirect(location=location):
            assert _one_line(location)
            assert not location.startswith("//")
            assert end == f"answered with 307 Temporary Redirect: go to {location}"
        case Refused(status=status):
            assert status in {400, 404, 502}
            assert end.startswith(f"answered with {int(status)} ")


def _one_line(target: str) -> bool:
    return target.startswith("/") and all("!" <= each <= "~" for each in target)


def _lines(step: Step) -> list[str]:
    return [step.text, *(line for each in step.steps for line in _lines(each))]
