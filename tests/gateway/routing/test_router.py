"""Requests → decisions."""

import re
import time
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.routing import Decision, Forward, Redirect, Refused, RequestHead, Router, build
from tests.gateway.config.samples import ENTRYPOINT, GOOD, PROXY, SERVER, loaded


def router(content: str) -> Router:
    """Of the one server that the config runs."""
    config = loaded(content)
    (server,) = config.servers
    routes, problems = build(config, server, {})
    assert problems == []
    return Router(routes)


def proxied(balancers: str) -> Router:
    """A router with these load balancers."""
    return router(ENTRYPOINT + SERVER + PROXY.partition("    -")[0] + balancers)


def mounted(host: str, proxy: str) -> Router:
    """A router with this one virtual host, and this spec of the handler that it mounts."""
    server = SERVER.replace("    - handlers:", f"    - {host}\n      handlers:") if host else SERVER
    return router(ENTRYPOINT + server + PROXY.partition("spec:")[0] + f"spec:\n{proxy}")


def decide(
    router: Router,
    target: str,
    *,
    method: str = "GET",
    host: str = "localhost:8080",
    headers: Sequence[tuple[bytes, bytes]] = (),
    client: str = "127.0.0.1:5000",
) -> Decision:
    """The router's decision on a request."""
    return router.decide(RequestHead(method=method, host=host, target=target, headers=headers, client=client))


def upstream_of(router: Router, target: str, **rest: Any) -> str | int:
    """The upstream that is asked, and for what; else the status."""
    decision = decide(router, target, **rest)
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
        status=404, code="E2122", reason="no load balancer takes this request"
    )


def test_a_balancer_without_upstreams_is_not_passed_over() -> None:
    """It answers 502, though another one would match (core-v1, section 5.1)."""
    routes = proxied(
        "    - {pathMatcher: {match: /a}, upstreams: [{url: 'http://off', weight: -1}]}\n"
        "    - {pathMatcher: {match: /b}}\n"
        "    - {pathMatcher: {match: /, matchType: Prefix}, upstreams: [{url: 'http://on'}]}\n"
    )
    words = "the load balancer that takes this request has no upstream"
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
        status=404, code="E2131", reason="no virtual host of this server has a handler for this path"
    )
    assert decide(routes, "//a") == Redirect(location="/a", status=307)


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("OPTIONS", "*"),  # the server itself may answer that, with enableGeneralOptionsHandler
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


def test_a_virtual_host_knows_no_port_and_a_load_balancer_does() -> None:
    """Both compare case-sensitively (core-v1, sections 4.3 and 5.1)."""
    routes = mounted(
        "hosts: [a.example]",
        "  loadBalancers:\n"
        "    - hosts: ['a.example:8080']\n"
        "      pathMatcher: {match: /, matchType: Prefix}\n"
        "      upstreams: [{url: 'http://port'}]\n"
        "    - hosts: [a.example]\n"
        "      pathMatcher: {match: /, matchType: Prefix}\n"
        "      upstreams: [{url: 'http://none'}]\n",
    )
    assert upstream_of(routes, "/", host="a.example:8080") == "http://port /"
    assert upstream_of(routes, "/", host="a.example") == "http://none /"
    assert upstream_of(routes, "http://a.example/", host="b.example") == "http://none /"
    assert upstream_of(routes, "http://a.example:8080", host="b.example") == "http://port /"
    for host, code in (
        ("a.example:9", "E2122"),
        ("A.example", "E2131"),
        ("b.example", "E2131"),
        ("", "E2131"),
    ):
        decision = decide(routes, "/", host=host)
        assert isinstance(decision, Refused)
        assert (host, decision.status, decision.code) == (host, 404, code)


def test_a_method_outside_the_list_is_404() -> None:
    """Not 405; HEAD is not implied by GET; a redirection comes first (core-v1, section 4.2)."""
    routes = mounted(
        "methods: [GET, POST]",
        "  methods: [GET, PUT]\n"
        "  loadBalancers: [{pathMatcher: {match: /, matchType: Prefix}, upstreams: [{url: 'http://h'}]}]\n",
    )
    assert upstream_of(routes, "/a") == "http://h /a"
    for method in ("POST", "PUT", "HEAD", "get", "BREW"):
        assert decide(routes, "/a", method=method) == Refused(
            status=404, code="E2131", reason=f"the handler for this path does not take the method {method}"
        )
    assert decide(routes, "//a", method="POST") == Redirect(location="/a", status=307)


def test_methods_of_a_load_balancer() -> None:
    """Are compared exactly; what it does not take goes to the next one (core-v1, section 5.1)."""
    routes = proxied(
        "    - {methods: [POST], pathMatcher: {match: /a}, upstreams: [{url: 'http://post'}]}\n"
        "    - {methods: [GET], pathMatcher: {match: /a}, upstreams: [{url: 'http://get'}]}\n"
    )
    assert upstream_of(routes, "/a", method="POST") == "http://post /a"
    assert upstream_of(routes, "/a", method="GET") == "http://get /a"
    refused = Refused(status=404, code="E2122", reason="no load balancer takes this request")
    assert decide(routes, "/a", method="HEAD") == refused


def test_all_matchers_of_a_load_balancer_have_to_match() -> None:
    """Headers, query and path parameters, which come from the route (core-v1, section 5.3)."""
    routes = mounted(
        "pattern: '/users/{id}/{rest...}'",
        "  loadBalancers:\n"
        "    - pathMatcher: {match: /, matchType: Prefix}\n"
        "      headerMatchers: [{key: X-Env, patterns: [prod, test]}]\n"
        "      queryMatchers: [{key: v, patterns: ['2']}]\n"
        "      pathParamMatchers: [{key: id, patterns: [a b]}, {key: rest, patterns: [c/d]}]\n"
        "      upstreams: [{url: 'http://h'}]\n",
    )
    good = {"headers": [(b"x-env", b"test")]}
    assert upstream_of(routes, "/users/a%20b/c/d?v=2", **good) == "http://h /users/a%20b/c/d?v=2"
    assert upstream_of(routes, "/users/a%20b/c/d?v=2", headers=[(b"x-env", b"other")]) == 404
    assert upstream_of(routes, "/users/a%20b/c/d?v=2") == 404
    assert upstream_of(routes, "/users/a%20b/c/d?v=3", **good) == 404
    assert upstream_of(routes, "/users/a/c/d?v=2", **good) == 404
    assert upstream_of(routes, "/users/a%20b/c?v=2", **good) == 404


def test_path_matchers_are_tried_in_order() -> None:
    """pathMatcher first; the first that matches decides what becomes of the path (core-v1, section 5.1)."""
    routes = proxied(
        "    - pathMatchers:\n"
        "        - {match: /a, matchType: Prefix, appendPrefix: /second}\n"
        "        - {match: /, matchType: Prefix, appendPrefix: /third}\n"
        "      pathMatcher: {match: /a/b, appendPrefix: /first}\n"
        "      upstreams: [{url: 'http://h'}]\n"
    )
    assert upstream_of(routes, "/a/b") == "http://h /first/a/b"
    assert upstream_of(routes, "/a/c") == "http://h /second/a/c"
    assert upstream_of(routes, "/c") == "http://h /third/c"


@pytest.mark.parametrize(
    ("hasher", "same", "other"),
    [
        ("{hashSource: Header, key: X-User}", {"headers": [(b"X-User", b"foo")]}, {}),
        ("{hashSource: PathParam, key: id}", {"target": "/foo"}, {"target": "/bar"}),
        ("{hashSource: Query, key: id}", {"target": "/a?id=foo"}, {"target": "/a?id=bar"}),
        ("{hashSource: Cookie, key: id}", {"headers": [(b"Cookie", b"id=foo")]}, {}),
        ("{hashSource: ClientAddr}", {"client": "foo"}, {"client": "bar"}),
    ],
)
def test_what_is_hashed_decides(hasher: str, same: dict[str, Any], other: dict[str, Any]) -> None:
    """By DirectHash `foo` goes to the third of these, as in AILERON; a path parameter as well."""
    routes = mounted(
        "pattern: '/{id}'",
        "  loadBalancers:\n"
        "    - lbAlgorithm: DirectHash\n"
        f"      hasher: {hasher}\n"
        "      pathMatcher: {match: /, matchType: Prefix}\n"
        "      upstreams:\n"
        "        - {url: 'http://127.0.0.1:12301', weight: 100}\n"
        "        - {url: 'http://127.0.0.1:12302', weight: 200}\n"
        "        - {url: 'http://127.0.0.1:12303', weight: 300}\n",
    )

    def asked(request: dict[str, Any]) -> str:
        return str(upstream_of(routes, **{"target": "/x", **request})).partition(" ")[0]

    assert [asked(same) for _ in range(3)] == ["http://127.0.0.1:12303"] * 3
    if "headers" not in same:
        assert asked(other) == "http://127.0.0.1:12301"


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
