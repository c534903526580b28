"""Requests → decisions."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.routing import Decision, Forward, Redirect, Refused, RequestHead, Router
from tests.gateway.config.samples import ENTRYPOINT, GOOD, PROXY, SERVER, loaded


def router(content: str) -> Router:
    """Of the one server that the config runs."""
    config = loaded(content)
    (server,) = config.servers
    return Router(config, server)


def proxied(balancers: str) -> Router:
    """A router with these load balancers."""
    return router(ENTRYPOINT + SERVER + PROXY.partition("    -")[0] + balancers)


def decide(router: Router, target: str, *, method: str = "GET", host: str = "localhost:8080") -> Decision:
    """The router's decision on a request."""
    return router.decide(RequestHead(method=method, host=host, target=target, headers=()))


def upstream_of(router: Router, target: str) -> str | int:
    """The upstream that is asked, and for what; else the status."""
    decision = decide(router, target)
    return f"{decision.upstream.url} {decision.target}" if isinstance(decision, Forward) else decision.status


def test_the_example_sends_everything_on() -> None:
    """To its upstream, with the path and query as they came."""
    decision = decide(router(GOOD), "/ws?x=1")
    assert isinstance(decision, Forward)
    assert (decision.upstream.scheme, decision.upstream.host, decision.upstream.port) == (
        "http",
        "localhost",
        9090,
    )
    assert (decision.upstream.authority, decision.upstream.url) == ("localhost:9090", "http://localhost:9090")
    assert (decision.target, decision.host) == ("/ws?x=1", "localhost:8080")
    assert len({decision.upstream, decision.upstream}) == 1


def test_the_first_balancer_that_matches_takes_the_request() -> None:
    """In the order of the file; none takes what none matches (core-v1, section 5.1)."""
    routes = proxied(
        "    - {pathMatcher: {match: /a}, upstreams: [{url: 'http://exact'}]}\n"
        "    - {pathMatcher: {match: /a, matchType: Prefix}, upstreams: [{url: 'http://prefix'}]}\n"
        "    - {upstreams: [{url: 'http://never'}]}\n"
        "    - {pathMatcher: {}, upstreams: [{url: 'http://never'}]}\n"
        "    - {pathMatcher: {match: /a/b, matchType: Prefix}, upstreams: [{url: 'http://too-late'}]}\n"
    )
    assert upstream_of(routes, "/a") == "http://exact /a"
    assert upstream_of(routes, "/a/b") == "http://prefix /a/b"
    assert upstream_of(routes, "/%61") == "http://exact /a"
    assert decide(routes, "/b") == Refused(
        status=404, code="E2122", reason="no load balancer takes this path"
    )


def test_a_balancer_without_upstreams_is_not_passed_over() -> None:
    """It answers 502, though another one would match (core-v1, section 5.1)."""
    routes = proxied(
        "    - {pathMatcher: {match: /a}, upstreams: [{url: 'http://off', weight: -1}]}\n"
        "    - {pathMatcher: {match: /b}}\n"
        "    - {pathMatcher: {match: /, matchType: Prefix}, upstreams: [{url: 'http://on'}]}\n"
    )
    words = "the load balancer that takes this path has no upstream"
    assert decide(routes, "/a") == Refused(status=502, code="E2121", reason=words)
    assert decide(routes, "/b") == Refused(status=502, code="E2121", reason=words)
    assert upstream_of(routes, "/c") == "http://on /c"


def test_path_and_query_of_the_upstreams_url() -> None:
    """The path is ignored, the query goes first, the matcher rewrites (core-v1, section 5.5)."""
    routes = proxied(
        "    - pathMatcher: {match: /, matchType: Prefix, trimPrefix: /api, appendPrefix: /v1}\n"
        "      upstreams: [{url: 'https://u:p@h/ignored/?key=1'}]\n"
    )
    assert upstream_of(routes, "/api/x?y") == "https://h /v1/x?key=1&y"
    assert upstream_of(routes, "/api/x") == "https://h /v1/x?key=1"


def test_upstreams_take_turns() -> None:
    """Each balancer counts for itself; what it does not take is not counted."""
    routes = proxied(
        "    - {pathMatcher: {match: /x}, upstreams: [{url: 'http://x1'}, {url: 'http://x2'}]}\n"
        "    - {pathMatcher: {match: /y}, upstreams: [{url: 'http://y1'}, {url: 'http://y2', weight: 2}]}\n"
    )
    asked = [
        upstream_of(routes, target) for target in ("/x", "/y", "/z", "/x", "/y", "/y", "//x", "/y", "/x")
    ]
    assert asked == [
        "http://x1 /x",
        "http://y1 /y",
        404,
        "http://x2 /x",
        "http://y2 /y",
        "http://y2 /y",
        307,
        "http://y1 /y",
        "http://x1 /x",
    ]


@pytest.mark.parametrize("hosts", ["", "    - {}\n", "    - handlers: []\n"])
def test_a_server_without_handlers(hosts: str) -> None:
    """Everything is 404, but what is unclean is redirected first (core-v1, sections 4.1 and 4.3)."""
    routes = router(ENTRYPOINT + SERVER[: SERVER.index("    - handlers")] + hosts + PROXY)
    assert decide(routes, "/") == Refused(
        status=404, code="E2131", reason="no virtual host of this server has a handler"
    )
    assert decide(routes, "//a") == Redirect(location="/a")
    assert decide(routes, "//a") == Redirect(location="/a", status=307)


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("OPTIONS", "*"),
        ("GET", "*"),
        ("CONNECT", "localhost:80"),
        ("CONNECT", "/"),
        ("GET", "/%"),
        ("GET", ""),
    ],
)
def test_bad_requests(method: str, target: str) -> None:
    """400, which in AILERON Go's server answers, so without a code of AILERON's."""
    decision = decide(router(GOOD), target, method=method)
    assert isinstance(decision, Refused)
    assert (decision.status, decision.code) == (400, None)
    assert decision.reason


def test_the_host_of_an_absolute_form_counts() -> None:
    """In place of the Host field (RFC 9112, section 3.2.2)."""
    decision = decide(router(GOOD), "http://test.example:80/a", host="other.example")
    assert isinstance(decision, Forward)
    assert (decision.host, decision.target) == ("test.example:80", "/a")


def test_a_plain_request_is_decided_quickly() -> None:
    """It is on the path of every request: microseconds, and bounded for a long path as well."""
    routes = router(GOOD)
    head = RequestHead(method="GET", host="localhost:8080", target="/ws?x=1", headers=())
    begun = time.process_time()
    for _ in range(2000):
        routes.decide(head)
    assert (time.process_time() - begun) / 2000 < 200e-6
    begun = time.process_time()
    decide(routes, "/" + "../%2e%2e/" * 10_000)
    decide(routes, "/" + "%" * 50_000)
    decide(routes, "http://" + "h" * 50_000)
    assert time.process_time() - begun < 1


TARGETS = st.text() | st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape"))


@given(st.text(), st.text(), TARGETS | TARGETS.map("/{}".format) | TARGETS.map("http://{}".format))
def test_no_request_raises_or_becomes_two(method: str, host: str, target: str) -> None:
    """Whatever a client sends, and whatever the matcher makes of it."""
    routes = proxied(
        "    - pathMatcher: {match: '', matchType: Prefix, trimPrefix: /, appendPrefix: a b}\n"
        '      upstreams: [{url: "http://h?x"}]\n'
    )
    decision = decide(routes, target, method=method, host=host)
    if isinstance(decision, Forward):
        assert re.fullmatch("/[!-~]*", decision.target)
    elif isinstance(decision, Redirect):
        assert re.fullmatch("/[!-~]*", decision.location)
        assert not decision.location.startswith("//")
    else:
        assert decision.status in (400, 404, 502)
