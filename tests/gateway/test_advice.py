"""Warnings: each with a config that calls for it, and a near miss that does not."""

from pathlib import Path
from typing import Final

import pytest

from gateway.advice import advise
from gateway.config import Id, link
from gateway.config.documents import parse
from gateway.config.problems import Problem, tidy
from gateway.loading import inspect
from gateway.routing import Routes, build
from gateway.routing.proxying import ProxyHandler
from tests.gateway.config.samples import ENTRYPOINT, GOOD, PROXY, SERVER

CONFIG: Final = Path(__file__).parents[2] / "config.yaml"

EVERYTHING: Final = "pathMatcher: {match: /, matchType: Prefix}"
UPSTREAM: Final = "upstreams: [{url: 'http://up'}]"


def advised(content: str) -> list[Problem]:
    """The warnings about a config that has no errors."""
    problems: list[Problem] = []
    reading = parse("config.yaml", content.encode())
    config = link(reading.documents, problems, files=["config.yaml"])
    assert config is not None, problems
    handlers: dict[Id, ProxyHandler] = {}
    routes: list[Routes] = []
    for server in config.servers:
        own, wrong = build(config, server, handlers)
        routes.append(own)
        problems += wrong
    assert problems == []
    return list(tidy(advise(config, routes)))


def warnings(content: str) -> list[str]:
    """The warnings, as they are printed, but for file and severity."""
    found = [str(each).removeprefix("config.yaml:").replace(" warning:", "", 1) for each in advised(content)]
    return [each.replace("default/default", "*") for each in found]


def proxy(*balancers: str, mount: str = "", patterns: str = "") -> str:
    """A config with these load balancers, in flow style, each on a line, from line 23 on."""
    server = SERVER.replace("        - handler:", f"        - {mount or 'pattern: /'}\n          handler:")
    lines = "".join(f"    - {each}\n" for each in balancers)
    head = PROXY.partition("  loadBalancers:")[0]
    return f"{ENTRYPOINT}{server}{head}  patterns: [{patterns}]\n  loadBalancers:\n{lines}"


def balancer(more: str, path: str = EVERYTHING, upstreams: str = UPSTREAM) -> str:
    """A config with one load balancer, which has `more` at column 8 of line 24, and is sound without."""
    return proxy(f"{{{more}, {path}, {upstreams}}}", mount="pattern: '/{id}'")


def matching(matcher: str, mount: str = "") -> str:
    """A config whose one path matcher stands at column 21 of line 24."""
    return proxy(f"{{pathMatcher: {{{matcher}}}, {UPSTREAM}}}", mount=mount)


def going_to(upstreams: str, server: str = ":8080") -> str:
    """A config with these upstreams, the first at column 71 of line 24."""
    return proxy(f"{{{EVERYTHING}, upstreams: [{upstreams}]}}").replace('":8080"', f'"{server}"')


def with_server(right: str, wrong: str) -> str:
    """The good config with something else in its server."""
    assert right in SERVER
    return ENTRYPOINT + SERVER.replace(right, wrong, 1) + PROXY


UNUSED: Final = "---\napiVersion: core/v1\nkind: HTTPServer\nmetadata: {name: b}\n"
CERT: Final = "certKeyPairs: [{certFile: a, keyFile: b}]"
RUNNER: Final = "    - {apiVersion: core/v1, kind: HTTPServer, name: b}\n"
HEADER: Final = "headerMatchers: [{key: X, patterns: [a]}], "


def wrapped(pattern: str, patterns: str) -> str:
    """A config in which an HTTPHandler stands before the ReverseProxyHandler."""
    handler = "{apiVersion: core/v1, kind: ReverseProxyHandler}"
    spec = f"{{pattern: {pattern!r}, handler: {handler}}}"
    server = SERVER.replace("ReverseProxyHandler", "HTTPHandler")
    own = PROXY.replace("  loadBalancers", f"  patterns: [{patterns}]\n  loadBalancers")
    return f"{ENTRYPOINT}{server}{own}---\napiVersion: core/v1\nkind: HTTPHandler\nspec: {spec}\n"


def two(first: str, path: str, second: str, other: str) -> str:
    """A config with two load balancers, each with a path matcher and something before it."""
    return proxy(
        f"{{{first}pathMatcher: {{{path}}}, {UPSTREAM}}}", f"{{{second}pathMatcher: {{{other}}}, {UPSTREAM}}}"
    )


def with_errors(message: str) -> str:
    """The good config with an ErrorHandler that has this entry."""
    reference = "{apiVersion: core/v1, kind: ErrorHandler}"
    spec = f"spec:\n  errorMessages:\n    - {message}\n"
    return (
        f"{ENTRYPOINT}  errorHandlers: [{reference}]\n{SERVER}{PROXY}"
        f"---\napiVersion: core/v1\nkind: ErrorHandler\n{spec}"
    )


WARNED: Final = (
    (
        f"{GOOD}{UNUSED}",
        "unreferenced",
        "HTTPServer",
        ("29:7: HTTPServer default/b: kind: nothing refers to this resource, so it does nothing"),
    ),
    (
        with_server("spec:", "metadata: {logger: l}\nspec:"),
        "no-effect",
        "l}",
        (
            "10:20: HTTPServer *: metadata.logger: this gateway has one log for all, so a logger that "
            "is named has no effect"
        ),
    ),
    (
        "apiVersion: core/v1\nkind: Entrypoint\n",
        "no-runners",
        "apiVersion:",
        ("1:1: Entrypoint: runners are not given, so the gateway ends at once"),
    ),
    (
        with_server("  addr", "  httpConfig: {listenConfig: {readDeadline: 5}}\n  addr"),
        "no-effect",
        "5}}",
        (
            "11:45: HTTPServer *: spec.httpConfig.listenConfig.readDeadline: the HTTP server's own "
            "timeouts overrule it at once, so it has no effect"
        ),
    ),
    (
        with_server("  addr", "  httpConfig: {listenConfig: {tlsConfig: {}}}\n  addr"),
        "no-certificate",
        "{}}}",
        (
            "11:42: HTTPServer *: spec.httpConfig.listenConfig.tlsConfig: certKeyPairs are not given, "
            "so every TLS handshake fails"
        ),
    ),
    (
        with_server(
            "  addr", f"  httpConfig: {{listenConfig: {{tlsConfig: {{{CERT}, serverName: x}}}}}}\n  addr"
        ),
        "no-effect",
        "x}}}",
        (
            "11:98: HTTPServer *: spec.httpConfig.listenConfig.tlsConfig.serverName: this concerns TLS "
            "clients, and has no effect on a server"
        ),
    ),
    (
        ENTRYPOINT + SERVER.partition("  virtualHosts")[0],
        "no-routes",
        "addr:",
        ("11:3: HTTPServer *: spec: virtualHosts are not given, so every request gets 404"),
    ),
    (
        with_server("    - handlers", "    - hosts: [a]\n    - handlers"),
        "no-routes",
        "hosts:",
        (
            "13:7: HTTPServer *: spec.virtualHosts[0]: a virtual host without handlers answers every "
            "request with 404"
        ),
    ),
    (
        with_server("    - handlers", "    - pattern: /a/\n      handlers"),
        "lost-slash",
        "/a/",
        (
            '13:16: HTTPServer *: spec.virtualHosts[0].pattern: the "/" at the end of a virtual host\'s '
            "pattern is dropped, so only the very path matches; write it at the end of the handler's "
            'pattern: pattern: "/" beside handler'
        ),
    ),
    (
        with_server("    - handlers", "    - methods: [GET]\n      handlers").replace(
            "  load", "  methods: [POST]\n  load"
        ),
        "no-methods",
        "[GET]",
        (
            "13:16: HTTPServer *: spec.virtualHosts[0].methods: no method is both among those of this "
            "virtual host and of ReverseProxyHandler *, so every request gets 404"
        ),
    ),
    (
        wrapped("/x", ""),
        "no-effect",
        "'/x',",
        (
            "31:17: HTTPHandler *: spec.pattern: this pattern goes before the patterns of the handler, "
            "which has none, so it has no effect; write it into patterns of ReverseProxyHandler *"
        ),
    ),
    (
        wrapped("", "/a/, /b"),
        "lost-slash",
        "{apiVersion:",
        (
            '31:30: HTTPHandler *: spec.handler: inside of an HTTPHandler the "/" at the end of "/a/" '
            'is dropped, so only the very path matches; write "/a/{rest...}" there'
        ),
    ),
    (
        proxy(f"{{{UPSTREAM}}}"),
        "no-path-matcher",
        "{upstreams:",
        (
            "24:7: ReverseProxyHandler *: spec.loadBalancers[0]: without a pathMatcher this load "
            'balancer takes no request; for all of them write pathMatcher: {match: "/", matchType: '
            "Prefix}"
        ),
    ),
    (
        matching(""),
        "never-matches",
        "{},",
        (
            "24:21: ReverseProxyHandler *: spec.loadBalancers[0].pathMatcher: neither match nor "
            "matchType is given, so no path matches"
        ),
    ),
    (
        matching("match: api, matchType: Prefix"),
        "never-matches",
        "api,",
        (
            "24:29: ReverseProxyHandler *: spec.loadBalancers[0].pathMatcher.match: every path begins "
            'with "/", so none matches; write "/api"'
        ),
    ),
    (
        matching("match: api"),
        "never-matches",
        "api},",
        (
            "24:29: ReverseProxyHandler *: spec.loadBalancers[0].pathMatcher.match: every path begins "
            'with "/", so none matches; write "/api"'
        ),
    ),
    (
        matching("match: /users, matchType: Prefix", "pattern: /api/"),
        "unreachable",
        "/users,",
        (
            "24:29: ReverseProxyHandler *: spec.loadBalancers[0].pathMatcher.match: no request with "
            'such a path comes here, for this handler is mounted at "/api/", which is a part of '
            "each path; write match with it, or take it off with trimPrefix"
        ),
    ),
    (
        matching("match: /api/users, matchType: Prefix", "pattern: /api"),
        "unreachable",
        "/api/users,",
        (
            "24:29: ReverseProxyHandler *: spec.loadBalancers[0].pathMatcher.match: no request with "
            'such a path comes here, for this handler is mounted at "/api", which is a part of '
            "each path; write match with it, or take it off with trimPrefix"
        ),
    ),
    (
        matching("match: /users"),
        "absent-match-type",
        "/users},",
        (
            "24:29: ReverseProxyHandler *: spec.loadBalancers[0].pathMatcher.match: matchType is not "
            'given, which means Exact: only the path "/users" itself matches; for all paths that begin '
            "with it write matchType: Prefix"
        ),
    ),
    (
        matching("match: /users, matchType: Prefix, rewrite: /x"),
        "no-effect",
        "/x},",
        (
            "24:65: ReverseProxyHandler *: spec.loadBalancers[0].pathMatcher.rewrite: rewrite has an "
            "effect with Regex and RegexPOSIX alone, not with Prefix"
        ),
    ),
    (
        with_server("    - handlers", "    - hosts: [A.Example]\n      handlers"),
        "host-case",
        "[A.Example]",
        (
            "13:14: HTTPServer *: spec.virtualHosts[0].hosts: hosts are compared letter by letter, and "
            'browsers send small ones; write "a.example"'
        ),
    ),
    (
        balancer("hosts: [A.Example, 'a.example:8080']"),
        "host-case",
        "[A.Example,",
        (
            "24:15: ReverseProxyHandler *: spec.loadBalancers[0].hosts: hosts are compared letter by "
            'letter, and browsers send small ones; write "a.example"'
        ),
    ),
    (
        with_server("        - handler", "        - pattern: /users/:id\n          handler"),
        "no-wildcard",
        "/users/:id",
        (
            '14:20: HTTPServer *: spec.virtualHosts[0].handlers[0].pattern: ":id" is matched as it is '
            'written; a wildcard is written "{id}"'
        ),
    ),
    (
        with_server("    - handlers", "    - pattern: /api/*\n      handlers"),
        "no-wildcard",
        "/api/*",
        (
            '13:16: HTTPServer *: spec.virtualHosts[0].pattern: "*" is matched as it is written; one '
            'segment is written "{name}", and all that follows "{rest...}"'
        ),
    ),
    (
        proxy(f"{{{EVERYTHING}, {UPSTREAM}}}", patterns="/a/**"),
        "no-wildcard",
        "[/a/**]",
        (
            '22:13: ReverseProxyHandler *: spec.patterns: "**" is matched as it is written; one segment'
            ' is written "{name}", and all that follows "{rest...}"'
        ),
    ),
    (
        wrapped("/:x", "/a"),
        "no-wildcard",
        "'/:x',",
        ('31:17: HTTPHandler *: spec.pattern: ":x" is matched as it is written; a wildcard is written "{x}"'),
    ),
    (
        matching("match: ^/api, matchType: Prefix"),
        "never-matches",
        "Prefix},",
        (
            "24:47: ReverseProxyHandler *: spec.loadBalancers[0].pathMatcher.matchType: Prefix knows no"
            " regular expressions; write matchType: Regex"
        ),
    ),
    (
        matching("match: /api/*, matchType: Prefix"),
        "no-wildcard",
        "/api/*,",
        (
            '24:29: ReverseProxyHandler *: spec.loadBalancers[0].pathMatcher.match: to Prefix "*" is a '
            'character like any other; write match: "/api/", matchType: Prefix'
        ),
    ),
    (
        matching("match: /api/**, matchType: Path"),
        "no-wildcard",
        "/api/**,",
        (
            '24:29: ReverseProxyHandler *: spec.loadBalancers[0].pathMatcher.match: "**" is no more '
            'than "*", which does not go beyond a "/"; write match: "/api/", matchType: Prefix'
        ),
    ),
    (
        matching("match: /api/**/x, matchType: Path"),
        "no-wildcard",
        "/api/**/x,",
        (
            '24:29: ReverseProxyHandler *: spec.loadBalancers[0].pathMatcher.match: "**" is no more '
            'than "*", which does not go beyond a "/"; write matchType: Regex, with .* for any text'
        ),
    ),
    (
        matching("match: ^/a/(.*), matchType: Regex, rewrite: /b/$2"),
        "unknown-group",
        "/b/$2},",
        (
            '24:66: ReverseProxyHandler *: spec.loadBalancers[0].pathMatcher.rewrite: "$2" is always '
            "empty, for match has no such group; a name goes as far as there are letters, digits and "
            "underscores"
        ),
    ),
    (
        matching('match: ^/a/(.*), matchType: Regex, rewrite: "/b/${1}"'),
        "not-portable",
        '"/b/${1}"',
        (
            "24:66: ReverseProxyHandler *: spec.loadBalancers[0].pathMatcher.rewrite: AILERON takes ${1} "
            "for a variable, of which nothing is left; write $1"
        ),
    ),
    (
        matching("match: ^/a/(.*), matchType: RegexPOSIX, rewrite: /b/$1_x"),
        "unknown-group",
        "/b/$1_x},",
        (
            '24:71: ReverseProxyHandler *: spec.loadBalancers[0].pathMatcher.rewrite: "$1_x" is always '
            "empty, for match has no such group; a name goes as far as there are letters, digits and "
            "underscores"
        ),
    ),
    (
        balancer("headerMatchers: [{key: X}]"),
        "no-patterns",
        "{key:",
        (
            "24:25: ReverseProxyHandler *: spec.loadBalancers[0].headerMatchers[0]: a matcher without "
            "patterns matches nothing, so this load balancer takes no request"
        ),
    ),
    (
        balancer("queryMatchers: [{key: X, patterns: []}]"),
        "no-patterns",
        "{key:",
        (
            "24:24: ReverseProxyHandler *: spec.loadBalancers[0].queryMatchers[0]: a matcher without "
            "patterns matches nothing, so this load balancer takes no request"
        ),
    ),
    (
        balancer("headerMatchers: [{key: host, patterns: [a]}]"),
        "no-header",
        "host,",
        (
            "24:31: ReverseProxyHandler *: spec.loadBalancers[0].headerMatchers[0].key: host does not "
            'count as a header here, so it is never found; the field "hosts" of a load balancer asks '
            "for the host"
        ),
    ),
    (
        balancer("headerMatchers: [{key: Transfer-Encoding, patterns: [a]}]"),
        "no-header",
        "Transfer-Encoding,",
        (
            "24:31: ReverseProxyHandler *: spec.loadBalancers[0].headerMatchers[0].key: "
            "Transfer-Encoding does not count as a header here, so it is never found"
        ),
    ),
    (
        balancer("lbAlgorithm: Maglev, hasher: {hashSource: Header, key: Host}"),
        "no-header",
        "Host},",
        (
            "24:63: ReverseProxyHandler *: spec.loadBalancers[0].hasher.key: Host does not count as a "
            'header here, so it is never found; the field "hosts" of a load balancer asks for the host'
        ),
    ),
    (
        balancer("pathParamMatchers: [{key: user, patterns: [a]}]"),
        "unknown-parameter",
        "user,",
        (
            "24:34: ReverseProxyHandler *: spec.loadBalancers[0].pathParamMatchers[0].key: no pattern "
            'at which this handler is mounted has a parameter "user"; there is id'
        ),
    ),
    (
        balancer("lbAlgorithm: Maglev, hasher: {hashSource: PathParam, key: user}"),
        "unknown-parameter",
        "user},",
        (
            "24:66: ReverseProxyHandler *: spec.loadBalancers[0].hasher.key: no pattern at which this "
            'handler is mounted has a parameter "user"; there is id'
        ),
    ),
    (
        proxy(f"{{pathParamMatchers: [{{key: user, patterns: [a]}}], {EVERYTHING}, {UPSTREAM}}}"),
        "unknown-parameter",
        "user,",
        (
            "24:34: ReverseProxyHandler *: spec.loadBalancers[0].pathParamMatchers[0].key: no pattern "
            'at which this handler is mounted has a parameter "user", as in "/users/{user}"'
        ),
    ),
    (
        two("", "match: /, matchType: Prefix", "", "match: /a, matchType: Exact"),
        "unreachable",
        "{pathMatcher:",
        (
            "25:7: ReverseProxyHandler *: spec.loadBalancers[1]: spec.loadBalancers[0] above takes "
            "every request that this one would"
        ),
    ),
    (
        two("", "match: /a, matchType: Prefix", "methods: [GET], ", "match: /a/b, matchType: Prefix"),
        "unreachable",
        "{methods:",
        (
            "25:7: ReverseProxyHandler *: spec.loadBalancers[1]: spec.loadBalancers[0] above takes "
            "every request that this one would"
        ),
    ),
    (
        two(
            "methods: [GET, PUT], ",
            "match: /a, matchType: Prefix",
            "methods: [GET], ",
            "match: /a, matchType: Prefix",
        ),
        "unreachable",
        "{methods:",
        (
            "25:7: ReverseProxyHandler *: spec.loadBalancers[1]: spec.loadBalancers[0] above takes "
            "every request that this one would"
        ),
    ),
    (
        two(HEADER, "match: a, matchType: Suffix", HEADER, "match: a, matchType: Suffix"),
        "unreachable",
        "{headerMatchers:",
        (
            "25:7: ReverseProxyHandler *: spec.loadBalancers[1]: spec.loadBalancers[0] above takes "
            "every request that this one would"
        ),
    ),
    (
        balancer("methods: [POST]").replace("  patterns: []", "  methods: [GET]"),
        "no-methods",
        "[POST],",
        (
            "24:17: ReverseProxyHandler *: spec.loadBalancers[0].methods: the routes to this handler "
            "let only GET through, so this load balancer takes no request"
        ),
    ),
    (
        proxy(f"{{{EVERYTHING}}}"),
        "no-upstream",
        "{pathMatcher:",
        (
            "24:7: ReverseProxyHandler *: spec.loadBalancers[0]: no upstream is given, so the requests "
            "that this load balancer takes get 502"
        ),
    ),
    (
        going_to("{url: 'http://a', weight: -1}"),
        "no-upstream",
        "[{url:",
        (
            "24:63: ReverseProxyHandler *: spec.loadBalancers[0].upstreams: every upstream is disabled "
            "by its weight, -1, so the requests that this load balancer takes get 502"
        ),
    ),
    (
        going_to("{url: 'http://a/b'}"),
        "ignored-path",
        "'http://a/b'}]}",
        (
            "24:70: ReverseProxyHandler *: spec.loadBalancers[0].upstreams[0].url: the path in an "
            "upstream's url is ignored; to put it before the path of each request, use appendPrefix in "
            "pathMatcher"
        ),
    ),
    (
        going_to("{url: 'http://u:p@a'}"),
        "ignored-credentials",
        "'http://u:p@a'}]}",
        (
            "24:70: ReverseProxyHandler *: spec.loadBalancers[0].upstreams[0].url: the user name and "
            "password in an upstream's url are dropped"
        ),
    ),
    (
        going_to("{url: 'http://a', weight: 1}, {url: 'http://b', weight: 100}"),
        "starving",
        "1},",
        (
            "24:90: ReverseProxyHandler *: spec.loadBalancers[0].upstreams[0].weight: this upstream "
            "gets only 1 of 101 requests"
        ),
    ),
    (
        going_to("{url: 'http://a', enableActive: true}"),
        "no-effect",
        "true}]}",
        (
            "24:96: ReverseProxyHandler *: spec.loadBalancers[0].upstreams[0].enableActive: there are "
            "no health checks, neither in AILERON nor here, so this has no effect"
        ),
    ),
    (
        going_to("{url: 'http://127.0.0.1:8080'}"),
        "loop",
        "'http://127.0.0.1:8080'}",
        (
            "24:70: ReverseProxyHandler *: spec.loadBalancers[0].upstreams[0].url: this is where "
            "HTTPServer * itself listens: each request would come back to it again and again"
        ),
    ),
    (
        going_to("{url: 'http://10.1.1.1:8080'}", "10.1.1.1:8080"),
        "loop",
        "'http://10.1.1.1:8080'}]",
        (
            "24:70: ReverseProxyHandler *: spec.loadBalancers[0].upstreams[0].url: this is where "
            "HTTPServer * itself listens: each request would come back to it again and again"
        ),
    ),
    (
        balancer("hasher: {hashSource: Header, key: X}"),
        "no-effect",
        "{hashSource:",
        (
            "24:16: ReverseProxyHandler *: spec.loadBalancers[0].hasher: RoundRobin does not hash, so "
            "this has no effect; RingHash, Maglev and DirectHash do"
        ),
    ),
    (
        balancer("lbAlgorithm: RingHash"),
        "hash-source",
        "RingHash,",
        (
            "24:21: ReverseProxyHandler *: spec.loadBalancers[0].lbAlgorithm: RingHash hashes the "
            "client's address with its port, which is another one for each connection; for one upstream"
            " for each client use a hasher with Header, Cookie or Query"
        ),
    ),
    (
        balancer("lbAlgorithm: RingHash, hasher: {hashSource: ClientAddr}"),
        "hash-source",
        "ClientAddr},",
        (
            "24:52: ReverseProxyHandler *: spec.loadBalancers[0].hasher.hashSource: RingHash hashes the"
            " client's address with its port, which is another one for each connection; for one "
            "upstream for each client use a hasher with Header, Cookie or Query"
        ),
    ),
    (
        balancer("lbAlgorithm: RingHash, hasher: {hashSource: Header}"),
        "hash-source",
        "Header},",
        (
            "24:52: ReverseProxyHandler *: spec.loadBalancers[0].hasher.hashSource: the key is missing:"
            " which Header?  Without it all requests go to one upstream"
        ),
    ),
    (
        balancer("hosts: [a.example]"),
        "host-port",
        "[a.example],",
        (
            "24:15: ReverseProxyHandler *: spec.loadBalancers[0].hosts: these are compared with the "
            'whole Host field, in which clients send the port; write "a.example:8080" as well'
        ),
    ),
    (
        with_errors("codes: [E1]"),
        "no-effect",
        "codes:",
        ("33:7: ErrorHandler *: spec.errorMessages[0]: without mimeContents this entry is passed over"),
    ),
    (
        with_errors("mimeContents: [{mimeType: text/plain}]"),
        "never-matches",
        "mimeContents:",
        (
            "33:7: ErrorHandler *: spec.errorMessages[0]: without codes, kinds and messages this entry "
            "matches no error"
        ),
    ),
)
"""Config, rule, what stands at the place that is told, and what is told."""


@pytest.mark.parametrize(("content", "rule", "token", "words"), WARNED)
def test_what_surprises_is_told(content: str, rule: str, token: str, words: str) -> None:
    """By one warning, at the very place."""
    (found,) = advised(content)
    assert warnings(content) == [words]
    assert (found.severity, found.rule) == ("warning", rule)
    assert found.line is not None
    assert found.column is not None
    assert content.split("\n")[found.line - 1][found.column - 1 :].startswith(token)


@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        f"{GOOD}{UNUSED}".replace("      kind: HTTPServer\n", f"      kind: HTTPServer\n{RUNNER}", 1)
        + "spec: {addr: ':1', virtualHosts: [{handlers: [{handler: "
        "{apiVersion: core/v1, kind: ReverseProxyHandler}}]}]}\n",
        with_server("  addr", f"  httpConfig: {{listenConfig: {{tlsConfig: {{{CERT}}}}}}}\n  addr"),
        with_server("  addr", "  httpConfig: {listenConfig: {connectionLimit: 5, readDeadline: 0}}\n  addr"),
        # Slashes that are kept, or of no use.
        with_server("    - handlers", "    - pattern: /\n      handlers"),
        with_server("    - handlers", "    - pattern: /a\n      handlers"),
        with_server("    - handlers", "    - pattern: /a/\n      handlers").replace(
            "  load", "  patterns: [/b/]\n  load"
        ),
        wrapped("/x", "/a, /"),
        # Methods that meet.
        with_server("    - handlers", "    - methods: [GET, PUT]\n      handlers").replace(
            "  load", "  methods: [GET, POST]\n  load"
        ),
        balancer("methods: [GET, POST]").replace("  patterns: []", "  methods: [GET]"),
        balancer("methods: [POST]"),
        # Paths that match something.
        matching("match: '', matchType: Prefix"),
        matching("match: api, matchType: Suffix"),
        matching("match: api, matchType: Prefix, trimPrefix: /"),
        matching("match: /users, matchType: Exact"),
        matching("match: ^/(.*), matchType: Regex, rewrite: /x/$1"),
        matching("match: /api/users, matchType: Prefix", "pattern: /api/"),
        matching("match: /a, matchType: Prefix", "pattern: /api/"),
        matching("match: /api, matchType: Prefix", "pattern: /api"),
        matching("match: /api, matchType: Exact", "pattern: /api"),
        matching("match: /api/7/x, matchType: Exact", "pattern: '/api/{id}/x'"),
        matching("match: /users, matchType: Prefix, trimPrefix: /api", "pattern: /api/"),
        matching("match: /api/*, matchType: Path"),
        matching("match: /api/.*, matchType: Regex"),
        matching("match: '/a/(?P<n>.*)', matchType: Regex, rewrite: /b/$n/$1/$$x"),
        with_server("        - handler", "        - pattern: /a:b/{c}/x*\n          handler"),
        # Parameters that are there.
        balancer("headerMatchers: [{key: X, patterns: [a]}], queryMatchers: [{key: Host, patterns: [a]}]"),
        balancer("pathParamMatchers: [{key: id, patterns: [a]}]"),
        balancer("lbAlgorithm: Maglev, hasher: {hashSource: PathParam, key: id}"),
        balancer("lbAlgorithm: DirectHash, hasher: {hashSource: Header, key: X}"),
        balancer("lbAlgorithm: RingHash, hasher: {hashSource: Query, key: Host}"),
        balancer("lbAlgorithm: Random"),
        # Load balancers that leave something to the next.
        two("", "match: /a, matchType: Exact", "", "match: /, matchType: Prefix"),
        two("", "match: /a, matchType: Exact", "", "match: /a, matchType: Prefix"),
        two("", "match: /a, matchType: Prefix, trimPrefix: /x", "", "match: /a, matchType: Prefix"),
        two("methods: [GET], ", "match: /, matchType: Prefix", "", "match: /, matchType: Prefix"),
        two(
            "methods: [GET], ",
            "match: /, matchType: Prefix",
            "methods: [GET, PUT], ",
            "match: /, matchType: Prefix",
        ),
        two(HEADER, "match: /, matchType: Prefix", "", "match: /, matchType: Prefix"),
        two(
            HEADER,
            "match: /, matchType: Prefix",
            HEADER.replace("[a]", "[b]"),
            "match: /, matchType: Prefix",
        ),
        # Upstreams.
        going_to("{url: 'http://a/?x=1'}"),
        going_to("{url: 'http://a', weight: 1}, {url: 'http://b', weight: 99}"),
        going_to("{url: 'http://a', weight: -1}, {url: 'http://b', weight: 999}"),
        going_to("{url: 'http://a', enableActive: false, initialDelay: 0}"),
        going_to("{url: 'http://127.0.0.1:8081'}"),
        going_to("{url: 'http://10.1.1.1:8080'}"),
        going_to("{url: 'http://localhost:8080'}", "10.1.1.1:8080"),
        going_to("{url: 'http://localhost'}", "unix:///run/x"),
        # Hosts.
        balancer("hosts: [a.example, 'a.example:8080']"),
        balancer("hosts: [a.example]").replace('":8080"', '":80"'),
        balancer("hosts: [a.example]").replace('":8080"', '"localhost:0"'),
        balancer("hosts: [a.example]").replace('":8080"', '"unix:///run/x"'),
        balancer("hosts: ['[::1]:8080']"),
        with_errors("{codes: [E1], mimeContents: [{mimeType: text/plain}]}"),
    ],
)
def test_what_is_sound_is_left_alone(content: str) -> None:
    """A warning that is none teaches people to read none."""
    assert warnings(content) == []


def test_an_upstream_that_is_another_server_of_the_gateway_is_no_loop() -> None:
    """As long as requests do not come from there."""
    second = (
        UNUSED + "spec: {addr: ':9090', virtualHosts: [{handlers: [{handler: "
        "{apiVersion: core/v1, kind: ReverseProxyHandler, name: b}}]}]}\n"
    )
    own = PROXY.replace("kind: ReverseProxyHandler\n", "kind: ReverseProxyHandler\nmetadata: {name: b}\n")
    content = f"{ENTRYPOINT}{RUNNER}{SERVER}{PROXY}{second}{own}"
    (found,) = advised(content)
    assert found.rule == "loop"
    assert found.resource == "ReverseProxyHandler default/b"


def test_an_ipv6_host_of_a_load_balancer_has_no_port_either() -> None:
    """The colons in its brackets are not one."""
    (found,) = advised(balancer("hosts: ['[::1]']"))
    assert found.rule == "host-port"
    assert 'write "[::1]:8080" as well' in found.message


def test_the_config_that_comes_with_the_kit_is_sound() -> None:
    """For whoever checks it first."""
    assert inspect([CONFIG], {}).problems == ()


def test_a_variable_that_is_unset_is_told_of(tmp_path: Path) -> None:
    """By the reader of the file; with a default it is not."""
    path = tmp_path / "config.yaml"
    path.write_text(GOOD.replace("localhost:9090", "localhost${PORT}:9090"))
    (found,) = inspect([path], {}).problems
    assert (found.severity, found.line, found.column) == ("warning", 26, 32)
    path.write_text(GOOD.replace("localhost:9090", "localhost:${PORT:-9090}"))
    assert inspect([path], {}).problems == ()


def test_what_is_wrong_brings_no_warnings_along(tmp_path: Path) -> None:
    """A handler that no route leads to because its patterns are wrong is told of once."""
    path = tmp_path / "config.yaml"
    path.write_text(matching("match: /users, matchType: Prefix", "pattern: '/{x'"))
    assert [each.severity for each in inspect([path], {}).problems] == ["error"]
