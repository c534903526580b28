"""Listen addresses and upstream urls."""

import re

import pytest

from gateway.config.addresses import Address, Upstream, parse_addr, parse_upstream


@pytest.mark.parametrize(
    ("addr", "address"),
    [
        (":8080", Address(network="tcp", port=8080)),
        (":0", Address(network="tcp")),
        ("localhost:8080", Address(network="tcp", host="localhost", port=8080)),
        ("127.0.0.1:65535", Address(network="tcp", host="127.0.0.1", port=65535)),
        ("[::1]:8080", Address(network="tcp", host="::1", port=8080)),
        ("[::]:1", Address(network="tcp", host="::", port=1)),
        ("[fe80::1%eth0]:80", Address(network="tcp", host="fe80::1%eth0", port=80)),
        ("my_host.local:80", Address(network="tcp", host="my_host.local", port=80)),
        (":http", Address(network="tcp", port=80)),
        ("localhost:https", Address(network="tcp", host="localhost", port=443)),
        ("tcp://:8080", Address(network="tcp", port=8080)),
        ("tcp4://:8080", Address(network="tcp4", port=8080)),
        ("tcp6://[::1]:8080", Address(network="tcp6", host="::1", port=8080)),
        ("tcp4://127.0.0.1:http", Address(network="tcp4", host="127.0.0.1", port=80)),
        ("unix:///run/x.sock", Address(network="unix", path="/run/x.sock")),
        ("unix://@abstract", Address(network="unix", path="@abstract")),
    ],
)
def test_listen_addresses(addr: str, address: Address) -> None:
    """No host is every interface, and IPv6 addresses lose their brackets (core-v1, section 4.1)."""
    assert parse_addr(addr) == address


@pytest.mark.parametrize(
    ("addr", "shown"),
    [
        (":8080", ":8080"),
        ("tcp6://[::1]:http", "[::1]:80"),
        ("unix:///run/x.sock", "unix:///run/x.sock"),
        ("unix://@abstract", "unix://@abstract"),
    ],
)
def test_an_address_is_shown_as_files_have_it(addr: str, shown: str) -> None:
    """For messages."""
    assert str(parse_addr(addr)) == shown


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
        (":gopher", '"gopher" is not a port number'),
        ("::1:8080", 'an IPv6 address stands in brackets; write "[::1]:8080"'),
        ("[::g]:80", '"[::g]" is not an IPv6 address in brackets'),
        ("[localhost]:80", '"[localhost]" is not an IPv6 address in brackets'),
        ("*:80", 'all interfaces are meant where there is no host; write ":80"'),
        ("300.1.1.1:80", '"300.1.1.1" is not an IPv4 address'),
        ("a." * 200 + ":80", f'"{"a." * 29}a…" is not the name of a host'),
        ("a b:80", '"a b" is not the name of a host'),
        ("über:80", '"über" is not the name of a host; write its ASCII form, "xn--ber-goa"'),
        ("udp://:1", '"udp" is no network to listen on; tcp, tcp4, tcp6 and unix are'),
        ("TCP://:1", '"TCP" is no network to listen on; tcp, tcp4, tcp6 and unix are'),
        ("tcp4://[::1]:1", '"::1" is no address of tcp4'),
        ("tcp6://127.0.0.1:1", '"127.0.0.1" is no address of tcp6'),
        ("unix://x.sock", 'a unix socket has an absolute path, as in "unix:///run/gateway.sock"'),
        ("unix://@", 'a unix socket has an absolute path, as in "unix:///run/gateway.sock"'),
        ("unix:///" + "a" * 107, "the path of a unix socket has at most 107 bytes, and no NUL among them"),
        ("/run/x.sock", 'a unix socket is written as "unix:///run/x.sock"'),
        ("@abstract", 'a unix socket is written as "unix://@abstract"'),
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
            "${UPSTREAM",
            (
                'the url has to begin with "http://" or "https://"; a "}" is missing behind the name of the '
                "variable"
            ),
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


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        (":8080", ":8080", True),
        (":8080", "0.0.0.0:8080", True),
        (":8080", "localhost:8080", True),
        ("127.0.0.1:8080", "[::]:8080", True),
        ("127.0.0.1:8080", "127.0.0.2:8080", False),
        (":8080", ":8081", False),
        (":0", ":0", False),
        ("tcp4://:8080", "tcp6://:8080", False),
        ("unix:///a", "unix:///a", True),
        ("unix:///a", "unix:///b", False),
        ("unix:///a", ":8080", False),
    ],
)
def test_what_no_two_sockets_can_have(one: str, other: str, meet: bool) -> None:
    """Every interface includes each of them; a port that the system chooses is nobody else's."""
    assert parse_addr(one).meets(parse_addr(other)) is meet
    assert parse_addr(other).meets(parse_addr(one)) is meet
