"""Explanations: they agree with what decides, and can be read."""

import functools
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import HTTPServer
from gateway.config.problems import escaped
from gateway.headers import Secrets
from gateway.routing import Forward, Redirect, Refused, RequestHead, Router, Routes, build
from gateway.routing.explain import Step, explain
from tests.gateway.config.samples import GOOD, loaded

CLIENT: Final = ("127.0.0.1", 50000)

SHOP: Final = """\
apiVersion: core/v1
kind: Entrypoint
spec:
  runners: [{apiVersion: core/v1, kind: HTTPServer}]
---
apiVersion: core/v1
kind: HTTPServer
spec:
  addr: ":8443"
  httpConfig: {listenConfig: {tlsConfig: {certKeyPairs: [{certFile: c, keyFile: k}]}}}
  virtualHosts:
    - hosts: [shop.example]
      methods: [GET, POST]
      handlers:
        - {pattern: "/users/{id}", handler: {apiVersion: core/v1, kind: ReverseProxyHandler}}
        - {pattern: /tree/, handler: {apiVersion: core/v1, kind: ReverseProxyHandler}}
    - handlers:
        - {pattern: /, handler: {apiVersion: core/v1, kind: ReverseProxyHandler, name: rest}}
---
apiVersion: core/v1
kind: ReverseProxyHandler
spec:
  loadBalancers:
    - pathMatcher: {match: /users/, matchType: Prefix, trimPrefix: /x}
      methods: [POST]
      headerMatchers: [{key: X-Env, patterns: [prod, test]}]
      upstreams: [{url: http://write}]
    - pathMatchers: [{match: /no, matchType: Exact}, {match: ^/users/(.*), matchType: Regex, rewrite: /u/$1}]
      pathParamMatchers: [{key: id, patterns: ["[0-9]+"], matchType: Regex}]
      lbAlgorithm: Maglev
      hasher: {hashSource: PathParam, key: id}
      upstreams: [{url: http://a, weight: 2}, {url: http://b}, {url: http://off, weight: -1}]
    - pathMatcher: {match: /tree/off, matchType: Exact}
      upstreams: [{url: http://off, weight: -1}]
---
apiVersion: core/v1
kind: ReverseProxyHandler
metadata: {name: rest}
spec:
  loadBalancers:
    - hosts: [a.example]
      upstreams: [{url: http://nowhere}]
    - pathMatcher: {match: /, matchType: Prefix}
      hosts: ["rest.example:8443", rest.example]
      upstreams: [{url: "http://rest:81?key=1"}]
"""


@functools.cache
def site(content: str) -> tuple[HTTPServer, Routes]:
    """The one server of a config, and its routes.  It counts nothing: no load balancer takes turns."""
    config = loaded(content)
    routes, problems = build(config, config.servers[0], {})
    assert problems == []
    return config.servers[0], routes


def told(
    target: str,
    *,
    content: str = SHOP,
    method: str = "GET",
    host: str = "shop.example",
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> Step:
    """The explanation of a request."""
    server, routes = site(content)
    fields = [(b"Host", host.encode("utf-8", "replace")), *headers]
    head = RequestHead(
        method=method, host=host, target=target, headers=fields, client=f"{CLIENT[0]}:{CLIENT[1]}"
    )
    return explain(server, routes, head, CLIENT)


def lines(step: Step, depth: int = 0) -> list[str]:
    """An explanation as it reads, with signs and two blanks for each level."""
    sign = {"yes": "+ ", "no": "- ", "end": "> ", "": ""}[step.outcome]
    return [
        "  " * depth + sign + step.text,
        *(line for each in step.steps for line in lines(each, depth + 1)),
    ]


def test_a_request_that_is_sent_on() -> None:
    """Route, parameters, load balancers with what they ask for, the upstreams, and what one is sent."""
    assert lines(told("/users/7?x=1", headers=((b"X-Env", b"dev"),))) == [
        'HTTPServer default/default at :8443 is asked "GET /users/7?x=1" with Host: shop.example',
        (
            '  - route "shop.example/tree/" of spec.virtualHosts[0].handlers[1]: segment 1 of the path is '
            '"users", not "tree"'
        ),
        (
            '  + route "shop.example/users/{id}" of spec.virtualHosts[0].handlers[0], id = "7" leads to '
            "ReverseProxyHandler default/default"
        ),
        "    - spec.loadBalancers[0]",
        "      - method is POST",
        "    + spec.loadBalancers[1]",
        '      + path parameter id matches the regular expression "[0-9]+"',
        '      - path is "/no"',
        '      + path matches the regular expression "^/users/(.*)"; the path becomes "/u/7"',
        "      one of http://a (weight 2), http://b (weight 1) by Maglev of PathParam id",
        "  > http://a is sent",
        "    GET /u/7?x=1 HTTP/1.1",
        "    Host: a",
        "    X-Env: dev",
        "    X-Forwarded-For: 127.0.0.1",
        "    X-Forwarded-Host: shop.example",
        "    X-Forwarded-Port: 50000",
        "    X-Forwarded-Proto: https",
    ]


@pytest.mark.parametrize(
    ("request_", "end"),
    [
        ({"target": "/users/7", "method": "POST", "headers": ((b"x-env", b"prod"),)}, "http://write is sent"),
        (
            {"target": "/users/me"},
            "answered with 404 Not Found (E2122): no load balancer takes this request",
        ),
        (
            {"target": "/tree/off"},
            (
                "answered with 502 Bad Gateway (E2121): the load balancer that takes this request has no "
                "upstream"
            ),
        ),
        (
            {"target": "/other"},
            (
                "answered with 404 Not Found (E2131): no virtual host of this server has a handler for this "
                "path"
            ),
        ),
        (
            {"target": "/users/7", "method": "DELETE"},
            (
                "answered with 404 Not Found (E2131): the handler for this path does not take the method "
                "DELETE"
            ),
        ),
        ({"target": "/tree?q"}, "answered with 307 Temporary Redirect: go to /tree/?q"),
        ({"target": "//users/./7"}, "answered with 307 Temporary Redirect: go to /users/7"),
        (
            {"target": "/%"},
            ('answered with 400 Bad Request: the path holds a "%" that no two hexadecimal digits follow'),
        ),
        (
            {"target": "/", "method": "CONNECT"},
            "answered with 400 Bad Request: CONNECT is for forward proxies",
        ),
        ({"target": "/x", "host": "rest.example"}, "http://rest:81 is sent"),
        ({"target": "http://rest.example/x", "host": "shop.example"}, "http://rest:81 is sent"),
        (
            {"target": "/x", "host": "a.example"},
            "answered with 404 Not Found (E2122): no load balancer takes this request",
        ),
    ],
)
def test_what_becomes_of_a_request(request_: dict[str, object], end: str) -> None:
    """Stands at the end, once."""
    step = told(**request_)  # type: ignore[arg-type]  # a table of arguments
    assert [each.text for each in step.steps if each.outcome == "end"] == [end]
    assert step.steps[-1].text == end


@pytest.mark.parametrize(
    ("request_", "line"),
    [
        (
            {"target": "/users/7", "method": "DELETE"},
            (
                '  - route "shop.example/users/{id}" of spec.virtualHosts[0].handlers[0]: takes the methods '
                'GET, POST, not "DELETE"'
            ),
        ),
        (
            {"target": "/other"},
            (
                '  - route "shop.example/" of spec.virtualHosts[0], which is 404 for all that its handlers '
                "do not take"
            ),
        ),
        (
            {"target": "/x", "host": "a.example"},
            "      - there is no path matcher, so no path is taken",
        ),
        (
            {"target": "/x", "host": "b.example:1"},
            '      - Host is "rest.example:8443" or "rest.example"',
        ),
        (
            {"target": "/x", "host": "b.example"},
            (
                '  - route "shop.example/tree/" of spec.virtualHosts[0].handlers[1]: the host is '
                '"b.example", not "shop.example"'
            ),
        ),
        ({"target": "/tree/off"}, "      no upstream is enabled"),
        (
            {"target": "/users/7", "method": "POST"},
            '      - header X-Env is "prod" or "test"',
        ),
    ],
)
def test_why_not(request_: dict[str, object], line: str) -> None:
    """What did not take the request says what it asks for."""
    assert line in lines(told(**request_))  # type: ignore[arg-type]  # a table of arguments


HANDSHAKE: Final = (
    (b"Connection", b"Upgrade"),
    (b"Upgrade", b"websocket"),
    (b"Sec-WebSocket-Version", b"13"),
    (b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
)


def test_a_websocket_keeps_its_upgrade() -> None:
    """It is the only upgrade that is passed on; a handshake that is none is answered here."""
    sent = lines(told("/ws", content=GOOD, headers=HANDSHAKE))
    assert sent[-2:] == ["    Connection: Upgrade", "    Upgrade: websocket"]
    assert "    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==" in sent
    assert "    X-Forwarded-Proto: http" in sent
    assert lines(told("/ws", content=GOOD, headers=HANDSHAKE[:2]))[-1] == (
        "  > answered with 426 Upgrade Required: Sec-WebSocket-Version must be 13"
    )
    h2c = ((b"Connection", b"Upgrade"), (b"Upgrade", b"h2c"))
    assert not any("pgrade" in line for line in lines(told("/ws", content=GOOD, headers=h2c)))


def test_a_long_request_is_shown_whole() -> None:
    """Nothing of what is sent is cut."""
    shown = lines(told("/" + "a" * 500, content=GOOD, headers=((b"X-Long", b"b" * 500),)))
    assert f"    GET /{'a' * 500} HTTP/1.1" in shown
    assert f"    X-Long: {'b' * 500}" in shown


HOSTILE: Final = st.text(st.sampled_from("a/%.7?{}\x1b\x07\x9b\u202e\n\udce9é \"'"), max_size=12)
METHODS: Final = st.sampled_from(["GET", "POST", "HEAD", "CONNECT"]) | HOSTILE
HOSTS: Final = st.sampled_from(["shop.example", "shop.example:8443", "rest.example", "a.example"]) | HOSTILE
TARGETS: Final = st.builds(
    "{}{}".format,
    st.sampled_from(["/users/7", "/users/", "/tree", "/tree/off", "//", "/", "http://rest.example/", ""]),
    HOSTILE,
)


@given(st.sampled_from([SHOP, GOOD]), METHODS, HOSTS, TARGETS, st.booleans())
def test_an_explanation_agrees_with_the_router(
    content: str, method: str, host: str, target: str, production: bool
) -> None:
    """Whatever is asked: the same end, by what has said yes; and every line is fit for a terminal."""
    _, routes = site(content)
    headers = ((b"X-Env", b"prod"),) if production else ()
    step = told(target, content=content, method=method, host=host, headers=headers)
    decision = Router(routes).decide(
        RequestHead(method=method, host=host, target=target, headers=headers, client="127.0.0.1:50000")
    )
    assert all(line.isprintable() for line in lines(step))
    end = step.steps[-1].text
    taken = [each for each in step.steps if each.outcome == "yes"]
    match decision:
        case Forward(upstream=upstream, target=sent):
            assert end == f"{upstream.url} is sent"
            assert step.steps[-1].steps[0].text == escaped(f"{method} {Secrets().text(sent)} HTTP/1.1")
            assert [each.outcome for each in taken[0].steps][-1] == "yes"
        case Redirect(status=status):
            assert end.startswith(f"answered with {int(status)} ")
            assert taken == []
        case Refused(status=status, code=code):
            assert end.startswith(f"answered with {int(status)} ")
            assert (code in ("E2121", "E2122")) == bool(taken)
            if code == "E2122":
                assert all(each.outcome == "no" for each in taken[0].steps)
