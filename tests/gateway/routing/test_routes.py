"""Virtual hosts → routes: how patterns are joined, what fills the rest, and what is wrong with them."""

import pytest

from gateway.config import Problem
from gateway.routing import Forward, Redirect, Refused, RequestHead, Router, Routes, build
from gateway.routing.proxying import ProxyHandler
from tests.gateway.config.samples import ENTRYPOINT, loaded

BALANCER = "{pathMatcher: {match: /, matchType: Prefix}, upstreams: [{url: 'http://a'}, {url: 'http://b'}]}"


def server(*hosts: str) -> str:
    """A server with these virtual hosts, in YAML's flow style, each on a line."""
    lines = "".join(f"    - {host}\n" for host in hosts)
    return f"{ENTRYPOINT}---\napiVersion: core/v1\nkind: HTTPServer\nspec:\n  virtualHosts:\n{lines}"


def proxy(name: str = "default", patterns: str = "[]", methods: str = "[]") -> str:
    """A ReverseProxyHandler that takes everything."""
    return (
        f"---\napiVersion: core/v1\nkind: ReverseProxyHandler\nmetadata: {{name: {name}}}\nspec:\n"
        f"  patterns: {patterns}\n  methods: {methods}\n  loadBalancers: [{BALANCER}]\n"
    )


def wrapper(pattern: str, inner: str = "ReverseProxyHandler", name: str = "default") -> str:
    """An HTTPHandler around a handler."""
    return (
        f"---\napiVersion: core/v1\nkind: HTTPHandler\nmetadata: {{name: {name}}}\nspec:\n"
        f"  pattern: {pattern!r}\n  handler: {{apiVersion: core/v1, kind: {inner}}}\n"
    )


def entry(pattern: str = "", kind: str = "ReverseProxyHandler", name: str = "default") -> str:
    """An entry in `handlers`."""
    reference = f"{{apiVersion: core/v1, kind: {kind}, name: {name}}}"
    return f"{{pattern: {pattern!r}, handler: {reference}}}" if pattern else f"{{handler: {reference}}}"


def built(content: str) -> tuple[Routes, list[Problem]]:
    """What the one server comes to."""
    config = loaded(content)
    return build(config, config.servers[0], {})


def told(content: str) -> list[str]:
    """The problems, as they are printed."""
    return [str(problem) for problem in built(content)[1]]


def answer(content: str, target: str, *, host: str = "x", method: str = "GET") -> str | int:
    """The upstream that is asked, where a client is sent, or the status."""
    routes, problems = built(content)
    assert problems == []
    match Router(routes).decide(RequestHead(method=method, host=host, target=target, headers=())):
        case Forward(upstream=upstream):
            return upstream.url
        case Redirect(location=location):
            return location
        case Refused(status=status):
            return status


@pytest.mark.parametrize(
    ("outer", "mounted", "own", "route"),
    [
        # Nothing at all is everything.
        ("", "", "[]", "/"),
        ("/", "", "[]", "/"),
        ("", "/", "[]", "/"),
        ("", "", "[/]", "/"),
        ("/", "/", "[/]", "/"),
        # Without own patterns the entry's decides on the "/" at the end; the virtual host's is lost.
        ("/v", "", "[]", "/v"),
        ("/v/", "", "[]", "/v"),
        ("/v", "/", "[]", "/v/"),
        ("/v/", "/", "[]", "/v/"),
        ("/v", "/a", "[]", "/v/a"),
        ("/v/", "/a/", "[]", "/v/a/"),
        ("", "/a", "[]", "/a"),
        ("", "/a/", "[]", "/a/"),
        # The own pattern decides, where there is one.
        ("", "", "[/b]", "/b"),
        ("", "", "[/b/]", "/b/"),
        ("/v", "/a", "[/b]", "/v/a/b"),
        ("/v/", "/a/", "[/b/]", "/v/a/b/"),
        ("/v", "/a/", "[/b]", "/v/a/b"),
        ("/v", "/a", "[/]", "/v/a/"),
        # The virtual host's stands before the rest as it is; the other two have a "/" between them.
        ("v", "a", "[]", "/va"),
        ("/v", "a", "[b]", "/va/b"),
        ("", "a", "[b/]", "/a/b/"),
        # What is not clean is cleaned.
        ("//v/", "/./a", "[//b//]", "/v/a/b/"),
        # Wildcards.
        ("/{tenant}", "/users/{id}", "['/{rest...}']", "/{tenant}/users/{id}/{rest...}"),
        ("", "/e/{$}", "[]", "/e/{$}"),
    ],
)
def test_patterns_are_joined(outer: str, mounted: str, own: str, route: str) -> None:
    """The virtual host's, the entry's and the handler's own (core-v1, section 4.2)."""
    content = server(f"{{pattern: {outer!r}, handlers: [{entry(mounted)}]}}") + proxy(patterns=own)
    routes, problems = built(content)
    assert problems == []
    assert mounts(routes) == [("", route)]


@pytest.mark.parametrize(
    ("mounted", "pattern", "own", "route"),
    [
        ("", "/x", "[/b]", "/x/b"),
        ("", "/x", "[/b/]", "/x/b"),
        ("", "/x", "[/]", "/x"),
        ("/m", "/x", "[/b/]", "/m/x/b"),
        ("/m/", "", "[/]", "/m/"),
        ("", "x", "[b]", "/xb"),
        # Without own patterns there is nothing that an HTTPHandler's could go before.
        ("/m/", "/x", "[]", "/m/"),
        ("", "/x", "[]", "/"),
    ],
)
def test_an_http_handler_goes_before_the_own_patterns(
    mounted: str, pattern: str, own: str, route: str
) -> None:
    """And loses the "/" at their end (core-v1, section 7)."""
    content = (
        server(f"{{handlers: [{entry(mounted, 'HTTPHandler')}]}}") + wrapper(pattern) + proxy(patterns=own)
    )
    routes, problems = built(content)
    assert problems == []
    assert mounts(routes) == [("", route)]


def mounts(routes: Routes) -> list[tuple[str, str]]:
    """Host and pattern of every route that leads to a handler."""
    return [(each.host, str(each.pattern)) for each in routes.entries if each.value.handler is not None]


def test_http_handlers_nest() -> None:
    """Each goes before what the one inside of it has."""
    content = (
        server(f"{{handlers: [{entry('/m', 'HTTPHandler', 'outer')}]}}")
        + wrapper("/o", "HTTPHandler", "outer")
        + wrapper("/i")
        + proxy(patterns="[/a/, /b]")
    )
    assert mounts(built(content)[0]) == [("", "/m/o/i/a"), ("", "/m/o/i/b")]


def test_each_host_gets_each_pattern() -> None:
    """And a filler of its own; the server has one for all other hosts."""
    routes, problems = built(
        server(f"{{hosts: [a.example, b.example], handlers: [{entry('/m')}]}}") + proxy(patterns="[/p, /q]")
    )
    assert problems == []
    assert {(each.host, str(each.pattern), each.value.place) for each in routes.entries} == {
        ("a.example", "/m/p", "spec.virtualHosts[0].handlers[0]"),
        ("b.example", "/m/p", "spec.virtualHosts[0].handlers[0]"),
        ("a.example", "/m/q", "spec.virtualHosts[0].handlers[0]"),
        ("b.example", "/m/q", "spec.virtualHosts[0].handlers[0]"),
        ("a.example", "/", "spec.virtualHosts[0]"),
        ("b.example", "/", "spec.virtualHosts[0]"),
        ("", "/", ""),
    }


def test_a_listed_host_never_falls_back() -> None:
    """To a virtual host without hosts, which takes all the others (core-v1, section 4.2)."""
    content = (
        server(
            f"{{hosts: [a.example], handlers: [{entry('/a/')}]}}",
            f"{{handlers: [{entry('/', name='rest')}]}}",
        )
        + proxy()
        + proxy("rest").replace("//a", "//rest")
    )
    assert answer(content, "/a/x", host="a.example:8080") == "http://a"
    assert answer(content, "/b", host="a.example:8080") == 404
    assert answer(content, "/a", host="a.example") == "/a/"
    assert answer(content, "/b", host="b.example") == "http://rest"
    assert answer(content, "/b", host="A.example") == "http://rest"


@pytest.mark.parametrize("empty", ["{}", "{handlers: []}", "{hosts: [a.example]}"])
def test_a_virtual_host_without_handlers_is_404(empty: str) -> None:
    """For all of its hosts."""
    assert answer(server(empty), "/", host="a.example") == 404


def test_within_a_virtual_host_order_does_not_matter() -> None:
    """The more specific pattern wins."""
    for handlers in ((entry("/"), entry("/a/")), (entry("/a/"), entry("/"))):
        routes, problems = built(server(f"{{handlers: [{', '.join(handlers)}]}}") + proxy())
        assert problems == []
        assert {pattern for _, pattern in mounts(routes)} == {"/", "/a/"}


def test_two_spellings_of_a_pattern_are_one() -> None:
    """Of one handler's own patterns; AILERON compacts them as well."""
    content = server(f"{{handlers: [{entry()}]}}") + proxy(patterns="[/a, a, //a, /b]")
    routes, problems = built(content)
    assert problems == []
    assert mounts(routes) == [("", "/a"), ("", "/b")]


@pytest.mark.parametrize(
    ("outer", "own", "taken"),
    [
        ("[]", "[]", {"GET", "POST", "BREW"}),
        ("[GET]", "[]", {"GET"}),
        ("[]", "[POST]", {"POST"}),
        ("[GET, POST]", "[POST, PUT]", {"POST"}),
        ("[GET]", "[POST]", set()),  # in AILERON this takes everything
    ],
)
def test_methods_have_to_be_in_both_lists(outer: str, own: str, taken: set[str]) -> None:
    """Any other gets 404 (core-v1, section 4.2)."""
    content = server(f"{{methods: {outer}, handlers: [{entry()}]}}") + proxy(methods=own)
    got = {method for method in ("GET", "POST", "BREW") if answer(content, "/", method=method) != 404}
    assert got == taken


def test_a_handler_that_is_mounted_twice_counts_once() -> None:
    """Its load balancers take turns over all of its routes, also of other servers (core-v1, section 2)."""
    config = loaded(server(f"{{handlers: [{entry('/a')}, {entry('/b')}]}}") + proxy())
    handlers: dict[tuple[str, str, str, str], ProxyHandler] = {}
    routers = [Router(build(config, config.servers[0], handlers)[0]) for _ in range(2)]
    assert len(handlers) == 1
    asked = [
        router.decide(RequestHead(method="GET", host="", target=target, headers=()))
        for router in routers
        for target in ("/a", "/b", "/a")
    ]
    assert [each.upstream.url for each in asked if isinstance(each, Forward)] == [
        "http://a",
        "http://b",
        "http://a",
        "http://b",
        "http://a",
        "http://b",
    ]


NEVER = (
    "config.yaml:13:14: HTTPServer default/default: spec.virtualHosts[1].handlers[0]: this route is never "
    "reached: spec.virtualHosts[0] has its hosts as well, and answers with 404 what its own handlers do not "
    "take; put the handlers of one host into one virtual host"
)


@pytest.mark.parametrize(
    ("hosts", "problem"),
    [
        ([f"{{handlers: [{entry('/a')}]}}", f"{{handlers: [{entry()}]}}"], NEVER.replace(":14:", ":19:")),
        (
            [
                f"{{hosts: [a.example, b.example], handlers: [{entry('/a')}]}}",
                f"{{hosts: [c.example, b.example, a.example], handlers: [{entry()}]}}",
            ],
            NEVER.replace(":14:", ":61:"),
        ),
        (
            [f"{{handlers: [{entry('/a')}, {entry('/a')}]}}"],
            (
                "config.yaml:12:120: HTTPServer default/default: spec.virtualHosts[0].handlers[1].pattern: "
                '"/a" is routed twice; a pattern has one route; the other one is at '
                "spec.virtualHosts[0].handlers[0], and what differs by method, host or header is for the "
                "load balancers of one handler"
            ),
        ),
        (
            [f"{{pattern: /v, handlers: [{entry('/a')}]}}", f"{{handlers: [{entry('/v/a')}]}}"],
            (
                "config.yaml:13:29: HTTPServer default/default: spec.virtualHosts[1].handlers[0].pattern: "
                '"/v/a" is routed twice; a pattern has one route; the other one is at '
                "spec.virtualHosts[0].handlers[0], and what differs by method, host or header is for the "
                "load balancers of one handler"
            ),
        ),
        (
            [f"{{handlers: [{entry('/{a}/b')}, {entry('/a/{b}')}]}}"],
            (
                "config.yaml:12:124: HTTPServer default/default: spec.virtualHosts[0].handlers[1].pattern: "
                '"/a/{b}" and "/{a}/b" both match "/a/b", and neither is more specific than the other; write '
                "one that matches only a part of what the other does; the other one is at "
                "spec.virtualHosts[0].handlers[0], and what differs by method, host or header is for the "
                "load balancers of one handler"
            ),
        ),
        (
            [f"{{pattern: /v, handlers: [{entry()}, {entry()}]}}"],
            (
                "config.yaml:12:108: HTTPServer default/default: spec.virtualHosts[0].handlers[1]: "
                '"/v" is routed twice; a pattern has one route; the other one is at '
                "spec.virtualHosts[0].handlers[0], and what differs by method, host or header is for the "
                "load balancers of one handler"
            ),
        ),
    ],
)
def test_conflicts(hosts: list[str], problem: str) -> None:
    """Are found at load, each told once, where the second one stands."""
    assert told(server(*hosts) + proxy()) == [problem]


@pytest.mark.parametrize(
    ("outer", "mounted", "own", "problem"),
    [
        (
            "",
            "GET /a",
            "[]",
            (
                "config.yaml:12:42: HTTPServer default/default: spec.virtualHosts[0].handlers[0].pattern: "
                'the pattern "/GET /a" holds a method; write "/a", and "GET" in the field "methods"'
            ),
        ),
        (
            "/{x",
            "/a",
            "[/b]",
            (
                "config.yaml:12:17: HTTPServer default/default: spec.virtualHosts[0].pattern: segment 1 of "
                'the pattern "/{x" is "{x", which has no closing brace; write "{x}"'
            ),
        ),
        (
            "/v",
            "/a",
            "[/b, '/a{b}']",
            (
                "config.yaml:18:13: ReverseProxyHandler default/default: spec.patterns[1]: segment 1 of the "
                'pattern "/a{b}" is "a{b}", but a wildcard takes a whole segment; write "{b}" alone'
            ),
        ),
        (
            "/{id}",
            "/a",
            "['/{id}']",
            (
                "config.yaml:18:13: ReverseProxyHandler default/default: spec.patterns[0]: segment 3 of the "
                'pattern "/{id}/a/{id}" repeats the name "id"; give one of the wildcards another name'
            ),
        ),
        (
            "a b",
            "",
            "[]",
            (
                "config.yaml:12:17: HTTPServer default/default: spec.virtualHosts[0].pattern: segment 1 of "
                'the pattern "/a b" is "a b", in which blanks are not escaped; write "a%20b"'
            ),
        ),
    ],
)
def test_bad_patterns(outer: str, mounted: str, own: str, problem: str) -> None:
    """Are told where the part stands that brings the mistake in."""
    content = server(f"{{pattern: {outer!r}, handlers: [{entry(mounted)}]}}") + proxy(patterns=own)
    assert told(content) == [problem]


def test_bad_expressions_of_a_handler_are_told_once() -> None:
    """However often it is mounted."""
    content = server(f"{{handlers: [{entry('/a')}, {entry('/b')}]}}") + proxy().replace(
        "match: /, matchType: Prefix", "match: '(', matchType: Regex"
    )
    (problem,) = told(content)
    assert problem.startswith(
        "config.yaml:20:41: ReverseProxyHandler default/default: spec.loadBalancers[0].pathMatcher.match: "
    )
