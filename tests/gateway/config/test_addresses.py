"""Listen addresses and upstream urls."""

import re

import pytest

from gateway.config.addresses import Upstream, parse_addr, parse_upstream


@pytest.mark.parametrize(
    ("addr", "parts"),
    [
        (":8080", (None, 8080)),
        (":0", (None, 0)),
        ("localhost:8080", ("localhost", 8080)),
        ("127.0.0.1:65535", ("127.0.0.1", 65535)),
        ("[::1]:8080", ("::1", 8080)),
        ("[::]:1", ("::", 1)),
        ("[fe80::1%eth0]:80", ("fe80::1%eth0", 80)),
        ("my_host.local:80", ("my_host.local", 80)),
    ],
)
def test_listen_addresses(addr: str, parts: tuple[str | None, int]) -> None:
    """Host and port; no host is every interface, and IPv6 addresses lose their brackets."""
    assert parse_addr(addr) == parts


@pytest.mark.parametrize(
    ("addr", "words"),
    [
        (
            "8080",
            (
                'a port alone is not enough; write "localhost:8080" for this machine only, or ":8080" for '
                "every interface"
            ),
        ),
        ("http://localhost:9090", 'write it without http://, as in "localhost:9090"'),
        ("WSS://h", 'write it without WSS://, as in "localhost:9090"'),
        ("localhost", 'the port is missing; write it as in "localhost:8080"'),
        ("[::1]", 'the port is missing; write it as in "[::1]:8080"'),
        ("localhost:", "the port is missing behind the colon"),
        (":65536", "port 65536 is out of range; ports go from 1 to 65535"),
        (":-1", '"-1" is not a port number'),
        (":\uff18\uff10", '"\uff18\uff10" is not a port number'),
        (":https", '"https" is not a port number; write 443'),
        ("::1:8080", 'an IPv6 address stands in brackets; write "[::1]:8080"'),
        ("[::g]:80", '"[::g]" is not an IPv6 address in brackets'),
        ("[localhost]:80", '"[localhost]" is not an IPv6 address in brackets'),
        ("*:80", 'all interfaces are meant where there is no host; write ":80"'),
        ("300.1.1.1:80", '"300.1.1.1" is not an IPv4 address'),
        ("a." * 200 + ":80", f'"{"a." * 29}a…" is not the name of a host'),
        ("a b:80", '"a b" is not the name of a host'),
        ("über:80", '"über" is not the name of a host; write its ASCII form, "xn--ber-goa"'),
        (
            "unix:///run/x.sock",
            'only a host and a port are supported yet; write them as in "localhost:9090"',
        ),
    ],
)
def test_wrong_listen_addresses(addr: str, words: str) -> None:
    """What is wrong, and what would be right."""
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        parse_addr(addr)


@pytest.mark.parametrize(
    ("url", "host", "port", "authority", "query"),
    [
        ("http://localhost:9090", "localhost", 9090, "localhost:9090", ""),
        ("http://localhost", "localhost", 80, "localhost", ""),
        ("https://echo.websocket.org/", "echo.websocket.org", 443, "echo.websocket.org", ""),
        ("https://h:8443/a/path?q=1&r#fragment", "h", 8443, "h:8443", "q=1&r"),
        ("http://[::1]:9090/", "::1", 9090, "[::1]:9090", ""),
        ("http://[fe80::1%25eth0]", "fe80::1%eth0", 80, "[fe80::1]", ""),
        ("http://user:p%40ss@h:1", "h", 1, "h:1", ""),
        ("http://h?x=ü'#y", "h", 80, "h", "x=%C3%BC'"),
    ],
)
def test_upstream_urls(url: str, host: str, port: int, authority: str, query: str) -> None:
    """The path and the credentials are ignored, the query is kept (core-v1, section 5.5)."""
    scheme = url.partition(":")[0]
    assert parse_upstream(url) == Upstream(
        scheme=scheme, host=host, port=port, authority=authority, query=query
    )


def test_an_upstream_shows_neither_credentials_nor_query() -> None:
    """What people read of it is scheme and authority."""
    upstream = parse_upstream("https://user:secret@h:1/p?token=secret")
    assert upstream.url == "https://h:1"
    assert "user" not in repr(upstream)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (
            "localhost:9090",
            'the url has to begin with "http://" or "https://"; write "http://localhost:9090"',
        ),
        ("//h/", 'the url has to begin with "http://" or "https://"; write "http://h/"'),
        ("9090", 'the url has to begin with "http://" or "https://"; write "http://localhost:9090"'),
        (
            "http:/h",
            'the url has to begin with "http://" or "https://"; two slashes stand behind the colon',
        ),
        (
            "ws://h/ws",
            (
                'the url has to begin with "http://" or "https://"; WebSockets go through it as well, so '
                'write "http://" instead of "ws://"'
            ),
        ),
        ("http://h // x", 'a url cannot hold spaces; a comment begins with " #"'),
        ("http://h# x", 'a url cannot hold spaces; a comment begins with " #"'),
        ("ftp://h", 'the url has to begin with "http://" or "https://"'),
        (
            "HTTP://h",
            'the url has to begin with "http://" or "https://"; write "http" in lower case',
        ),
        ("http://", 'the host is missing; for this machine it is "localhost"'),
        ("http:///path", 'the host is missing; for this machine it is "localhost"'),
        ("http://:9090", 'the host is missing; for this machine it is "localhost:9090"'),
        ("http://h:", "the port is missing behind the colon"),
        ("http://h:0", "port 0 is out of range; ports go from 1 to 65535"),
        ("http://h:x", '"x" is not a port number'),
        ("http://::1:9090", "an IPv6 address stands in brackets, as in http://[::1]:9090"),
        ("http://h /x", "a url cannot hold spaces"),
        ("http://h/\r\nX: y", "a url cannot hold control characters"),
    ],
)
def test_wrong_upstream_urls(url: str, words: str) -> None:
    """What is wrong, and what would be right."""
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        parse_upstream(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://user:hush/hush@h:1",
        "http://user:hush@hush:hush",
        "http://user:hush?hush@h:1",
        "http://user:hush#hush@h:1",
        "http://user:hush hush@h",
        "HTTP://user:hush@h",
        "http://user@hush@:1",
        "http://user:hush@[hush]:1",
        "user:hush@h:1",
    ],
)
def test_no_message_shows_a_password(url: str) -> None:
    """Wherever in a wrong url the password may be."""
    with pytest.raises(ValueError, match=r".") as caught:
        parse_upstream(url)
    assert "hush" not in str(caught.value)
