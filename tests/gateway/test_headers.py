"""Header fields: what goes on, what is added, and what is never written down."""

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.headers import (
    HOP_BY_HOP,
    REDACTED,
    Field,
    Secrets,
    ambiguity,
    end_to_end,
    for_upstream,
    is_host,
    is_token,
    members,
    readable,
    unsendable,
    values,
)

CLIENT = ("192.0.2.7", 50123)
NAMED = [
    b"Connection",
    b"upgrade",
    b"TE",
    b"Host",
    b"x-forwarded-for",
    b"X-Forwarded-Host",
    b"Accept",
    b"COOKIE",
]

fields_of_any_kind = st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=40)), max_size=6)


def sent(fields: list[Field], **changes: object) -> list[Field]:
    """What the upstream `up:9090` gets of a request with `fields`."""
    usual: dict[str, object] = {
        "authority": "up:9090",
        "client": CLIENT,
        "host": b"shop.example:8080",
        "scheme": "http",
    }
    return for_upstream(fields, **(usual | changes))  # type: ignore[arg-type]  # the test's own names and types


FORWARDED: list[Field] = [
    (b"X-Forwarded-For", b"192.0.2.7"),
    (b"X-Forwarded-Host", b"shop.example:8080"),
    (b"X-Forwarded-Port", b"50123"),
    (b"X-Forwarded-Proto", b"http"),
]


# Lists.


def test_members_of_a_list() -> None:
    """All fields of the name, in any letters, make one list; empty members are none."""
    fields = [
        (b"Connection", b"Keep-Alive, ,\tFoo ,"),
        (b"Other", b"x"),
        (b"CONNECTION", b"bar"),
        (b"connection", b""),
    ]
    assert members(fields, b"connection") == [b"keep-alive", b"foo", b"bar"]
    assert members(fields, b"absent") == []


def test_values_of_a_field() -> None:
    """Are given as they came, in order."""
    fields = [(b"Set-Cookie", b"a=1, B"), (b"X", b"y"), (b"set-cookie", b"c")]
    assert values(fields, b"set-cookie") == [b"a=1, B", b"c"]


@pytest.mark.parametrize("name", [b"Host", b"x", b"!#$%&'*+-.^_`|~09azAZ"])
def test_tokens(name: bytes) -> None:
    """The characters of RFC 9110 section 5.6.2."""
    assert is_token(name)
    assert unsendable([(name, b"v")]) is None


@pytest.mark.parametrize(
    "name", [b"", b"a b", b"a:", b"a\n", b"\n", b"(a)", b'"a"', b"a\x00", b"\xc3\xa9", b"a,b", b"a@b"]
)
def test_names_that_are_none(name: bytes) -> None:
    """Are found, and named in words."""
    assert not is_token(name)
    problem = unsendable([(b"Host", b"x"), (name, b"v")])
    assert problem is not None
    assert "is not a token" in problem
    assert problem.isprintable()


@pytest.mark.parametrize("value", [b"", b" a\tb ", b"caf\xc3\xa9", b"\xff\x80", b'"x", y; z=\\'])
def test_values_that_can_be_sent(value: bytes) -> None:
    """Anything but control characters, the tab excepted (RFC 9110 section 5.5)."""
    assert unsendable([(b"A", value)]) is None


@pytest.mark.parametrize("code", [*range(9), *range(10, 32), 127])
def test_values_that_cannot_be_sent(code: int) -> None:
    """A control character anywhere in it."""
    for value in (bytes([code]), b"a" + bytes([code]), bytes([code]) + b"a"):
        problem = unsendable([(b"A", b"fine"), (b"Bad", value)])
        assert problem == "the header Bad has a control character in its value"


# What can be understood in two ways.


@pytest.mark.parametrize(
    ("fields", "version", "status"),
    [
        ([(b"Transfer-Encoding", b"gzip, chunked")], (1, 1), 501),
        ([(b"Transfer-Encoding", b"identity")], (1, 1), 501),
        ([(b"Transfer-Encoding", b",chunked")], (1, 1), 501),
        ([(b"Transfer-Encoding", b"")], (1, 1), 501),
        ([(b"Transfer-Encoding", b"chunked"), (b"transfer-encoding", b"chunked")], (1, 1), 501),
        ([(b"Transfer-Encoding", b"chunked")], (1, 0), 400),
        ([(b"Content-Length", b"9223372036854775808")], (1, 1), 400),
        ([(b"Content-Length", b"5"), (b"content-length", b"9" * 30)], (1, 1), 400),
        ([(b"Content-Length", b"0" * 5000 + b"5")], (1, 1), 400),
        ([(b"Content-Length", b"+5")], (1, 1), 400),
        ([], (1, 2), 505),
        ([], (2, 0), 505),
    ],
)
def test_messages_that_may_end_in_two_places(
    fields: list[Field], version: tuple[int, int], status: int
) -> None:
    """Nobody is asked to read them."""
    told = ambiguity(version, fields)
    assert told is not None
    assert told[0] == status


def test_messages_that_end_in_one_place() -> None:
    """A coding is written in any letters, and a length may have zeros before it."""
    assert ambiguity((1, 1), [(b"TRANSFER-ENCODING", b"Chunked"), (b"Transfer_Encoding", b"x")]) is None
    assert ambiguity((1, 0), [(b"Content-Length", b"0009223372036854775")]) is None
    assert ambiguity((1, 1), [(b"Content-Length", b"9223372036854775807")]) is None


@pytest.mark.parametrize(
    ("host", "sound"),
    [
        *((each, True) for each in (b"", b"a", b"A.example:8080", b"[::1]:80", b"10.0.0.1", b"a_b", b"%61")),
        *((each, False) for each in (b"a/b", b"user@a", b"a b", b"a\tb", b'"a"', b"a?", b"a#b", b"a\\b")),
        *((each, False) for each in (b"\xc3\xbc", b"<a>", b"a\n")),
    ],
)
def test_hosts(host: bytes, sound: bool) -> None:
    """What Go's server takes for malformed is malformed; what is left is not looked up."""
    assert is_host(host) is sound


# What goes on.


@pytest.mark.parametrize("name", sorted(HOP_BY_HOP))
def test_hop_by_hop_fields_stay_here(name: bytes) -> None:
    """Both ways, in any letters, as often as they come."""
    fields = [(b"A", b"1"), (name, b"x"), (name.title(), b"y"), (name.upper(), b""), (b"B", b"2")]
    assert end_to_end(fields) == [(b"A", b"1"), (b"B", b"2")]
    assert sent(fields) == [(b"Host", b"up:9090"), (b"A", b"1"), (b"B", b"2"), *FORWARDED]


def test_the_hop_by_hop_fields() -> None:
    """Those that AILERON removes (core-v1 section 5.5), and the one that belongs to h2c."""
    names = "Connection Keep-Alive Proxy-Connection Proxy-Authenticate Proxy-Authorization Te Trailer"
    names += " Transfer-Encoding Upgrade HTTP2-Settings"
    assert {name.lower().encode() for name in names.split()} == HOP_BY_HOP


def test_fields_that_connection_names_stay_here() -> None:
    """Also where it names what only its sender knows, in several fields and any letters."""
    fields = [
        (b"Connection", b"close, X-Internal"),
        (b"x-internal", b"1"),
        (b"Cookie", b"kept"),
        (b"connection", b"cookie2,,\tSEC-WEBSOCKET-KEY"),
        (b"Cookie2", b"2"),
        (b"Sec-WebSocket-Key", b"3"),
        (b"Sec-WebSocket-Version", b"13"),
    ]
    assert end_to_end(fields) == [(b"Cookie", b"kept"), (b"Sec-WebSocket-Version", b"13")]


@pytest.mark.parametrize(
    "name", [b"X_Forwarded_For", b"x-forwarded_host", b"X_Forwarded-Port", b"x_forwarded_PROTO"]
)
def test_a_client_cannot_forge_where_it_comes_from(name: bytes) -> None:
    """Not in a spelling either that an upstream may take for the gateway's own."""
    assert sent([(name, b"forged"), (b"X_Forwarded_Other", b"1")]) == [
        (b"Host", b"up:9090"),
        (b"X_Forwarded_Other", b"1"),
        *FORWARDED,
    ]


def test_order_letters_and_duplicates_are_kept() -> None:
    """What goes on, goes on as it came."""
    fields = [
        (b"accept", b"a"),
        (b"X-Multi", b"2"),
        (b"Accept", b"b"),
        (b"x-multi", b"1, 3"),
        (b"X-Blank", b""),
        (b"X-Bytes", b"\xff"),
    ]
    assert end_to_end(fields) == fields
    assert sent(fields) == [(b"Host", b"up:9090"), *fields, *FORWARDED]


def test_the_upgrade_to_h2c_stays_here() -> None:
    """Nothing of it reaches the upstream, not even where Connection does not name its settings."""
    fields = [
        (b"Connection", b"Upgrade"),
        (b"Upgrade", b"h2c"),
        (b"HTTP2-Settings", b"AAMAAABkAAQCAAAAAAIAAAAA"),
    ]
    assert sent(fields) == [(b"Host", b"up:9090"), *FORWARDED]


@pytest.mark.parametrize(
    ("te", "goes_on"),
    [
        ([], False),
        ([b"trailers"], True),
        ([b"gzip, Trailers"], True),
        ([b"gzip", b"trailers"], True),
        ([b"gzip"], False),
        ([b"trailersx"], False),
    ],
)
def test_te(te: list[bytes], goes_on: bool) -> None:
    """Only that trailers are welcome is said again, once."""
    result = sent([(b"TE", value) for value in te])
    assert values(result, b"te") == ([b"trailers"] if goes_on else [])


# What is added.


def test_the_host_is_the_upstreams() -> None:
    """It comes first and alone; the client's is told in X-Forwarded-Host, as it was."""
    result = sent([(b"A", b"1"), (b"HOST", b"Shop.example"), (b"host", b"other")], host=b"Shop.example")
    assert result[0] == (b"Host", b"up:9090")
    assert values(result, b"host") == [b"up:9090"]
    assert values(result, b"x-forwarded-host") == [b"Shop.example"]


def test_who_asked_for_what() -> None:
    """Address, port and scheme of the client's connection; what it claimed itself is overwritten."""
    claimed = [(b"X-Forwarded-Host", b"bank"), (b"x-forwarded-port", b"1"), (b"X-FORWARDED-PROTO", b"https")]
    assert sent(claimed) == [(b"Host", b"up:9090"), *FORWARDED]
    result = sent(claimed, scheme="https", client=("2001:db8::1", 443))
    assert values(result, b"x-forwarded-proto") == [b"https"]
    assert values(result, b"x-forwarded-for") == [b"2001:db8::1"]
    assert values(result, b"x-forwarded-port") == [b"443"]


def test_the_way_so_far_is_kept() -> None:
    """X-Forwarded-For grows at its end, whether it came in one field or in several."""
    fields = [(b"X-Forwarded-For", b"10.0.0.1, 10.0.0.2"), (b"A", b"1"), (b"x-forwarded-for", b"10.0.0.3")]
    assert sent(fields)[2] == (b"X-Forwarded-For", b"10.0.0.1, 10.0.0.2, 10.0.0.3, 192.0.2.7")


def test_connection_cannot_take_away_what_the_gateway_adds() -> None:
    """Naming them drops what the client had put there, and nothing else."""
    names = b"Host, X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Port, X-Forwarded-Proto"
    fields = [(b"Connection", names), (b"X-Forwarded-For", b"10.0.0.1")]
    assert sent(fields) == [(b"Host", b"up:9090"), *FORWARDED]


@given(
    st.lists(
        st.tuples(st.one_of(st.sampled_from(NAMED), st.binary(max_size=8)), st.binary(max_size=20)),
        max_size=6,
    )
)
@example([(b"connection", b"a, \xff"), (b"A", b"1"), (b"\xff", b"2"), (b"b", b"3"), (b"te", b"trailers")])
def test_whatever_comes_something_sound_is_made_of_it(fields: list[Field]) -> None:
    """No field is invented or changed, and none that concerns the client's connection goes on."""
    first, *passed, way, host, port, scheme = sent(fields)
    assert (first, [host, port, scheme]) == ((b"Host", b"up:9090"), FORWARDED[1:])
    assert way[0] == b"X-Forwarded-For"
    assert way[1].endswith(CLIENT[0].encode())
    if (b"TE", b"trailers") in passed:
        passed.remove((b"TE", b"trailers"))
    stays = HOP_BY_HOP.union(
        members(fields, b"connection"), {name.lower() for name, _ in FORWARDED}, {b"host"}
    )
    assert passed == [field for field in fields if field[0].lower() not in stays]


# What is never written down.

shown = Secrets(show=True)
secrets = Secrets()


def value_of(name: str, value: str) -> str:
    """`value` as a record has it where the field is called `name`."""
    ((_, written),) = secrets.headers([(name.encode(), value.encode())])
    return written


@pytest.mark.parametrize(
    "name",
    [
        "Cookie",
        "set-cookie",
        "AUTHORIZATION",
        "Proxy-Authorization",
        "X-Api-Key",
        "X-CSRF-Token",
        "x-auth-token",
        "Idempotency-Key",
        "X-Functions-Key",
        "-token",
        "-KEY",
    ],
)
def test_fields_that_are_secret(name: str) -> None:
    """Their values never reach a record, unless secrets are to be shown; their names do."""
    fields = [(name.encode(), b"hunter2")]
    assert secrets.headers(fields) == ((name, REDACTED),)
    assert shown.headers(fields) == ((name, "hunter2"),)


@pytest.mark.parametrize(
    "name",
    [
        "Sec-WebSocket-Key",
        "sec-websocket-key",
        "Sec-WebSocket-Accept",
        "Token",
        "Key",
        "X-Token-Kind",
        "Keys",
        "X-Monkey",
        "Cookies",
        "WWW-Authenticate",
        "X-Authorization-Kind",
        "Host",
        "Origin",
    ],
)
def test_fields_that_are_not(name: str) -> None:
    """Near misses are written as they came."""
    assert value_of(name, "plain value") == "plain value"


NAMES = [
    *("token", "access_token", "id_token", "refresh_token", "jwt"),
    *("key", "api_key", "apikey", "password", "passwd", "pwd", "secret", "client_secret"),
    *("sig", "x-amz-signature", "x-amz-security-token", "x-goog-signature"),
]
NAMES += ["signature", "code"]


@pytest.mark.parametrize("name", NAMES)
def test_query_values_that_are_secret(name: str) -> None:
    """Every name of the list, in any letters and any percent-encoding."""
    encoded = "".join(f"%{ord(char):02x}" for char in name)
    for spelt in (name, name.upper(), encoded, encoded.upper(), name[0] + encoded[3:]):
        assert secrets.text(f"/ws?{spelt}=hunter2") == f"/ws?{spelt}={REDACTED}"
        assert secrets.text(f"/ws?a=1&{spelt}=hunter2&b=2") == f"/ws?a=1&{spelt}={REDACTED}&b=2"
        assert shown.text(f"/ws?{spelt}=hunter2") == f"/ws?{spelt}=hunter2"


@pytest.mark.parametrize(
    "text",
    [
        "/token=hunter2",
        "/ws?token",
        "/ws?token=",
        "/ws?tokens=1",
        "/ws?mytoken=1",
        "/ws?my-token=1",
        "/ws?keyword=1&sigh=2&barcode=3&codec=4&passwords=5",
        "/ws?a=token&b=key",
        "/ws?a=b=token",
        "/ws?%74oken%00=1",
        "/ws?token%3",
        "12:30:45",
        "http://[::1]:9090/a@b",
        "/?next=https%3A%2F%2Fhost%3A8080%2Fa%40b",
        "/?next=https%3A%2F%2Fhost%3A8080&to=a%40b",
        "http://host:8080/a:b@c",
        "http://host?a:b@c",
        "http://user@host/",
        "mailto:user@host",
        "//user:pw@host",
        "permessage-deflate; client_max_window_bits",
        "text/html, */*;q=0.8",
    ],
)
def test_near_misses_in_a_text(text: str) -> None:
    """What only looks like a secret is left as it is."""
    assert secrets.text(text) == text
    assert value_of("X-Any", text) == text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("?token=a&key=b;code=c&x=d", "?token=*&key=*;code=*&x=d"),
        ("?token=a&token=b", "?token=*&token=*"),
        ("?token=a?b/c:d@e,f=g#h", "?token=*#h"),
        ("?a;token=b", "?a;token=*"),
        ("/a;token=b/c", "/a;token=*"),
        ("?token=%68unter&a", "?token=*&a"),
        ("?token=a b", "?token=* b"),
        ("?token=é", "?token=*"),
        ("/cb#access_token=a&state=b", "/cb#access_token=*&state=b"),
        ("/cb?code=a#id_token=b", "/cb?code=*#id_token=*"),
        ("/login?next=/x?token=a", "/login?next=/x?token=*"),
        (
            "/login?next=https%3A%2F%2Fx%2F%3Fa%3D1%26token%3Dhunter2",
            "/login?next=https%3A%2F%2Fx%2F%3Fa%3D1%26token%3D*",
        ),
        ("https://me:hunter2@host/", "https://me:*@host/"),
        ("/?next=https%3A%2F%2Fme%3Ahunter2%40host%2F", "/?next=https%3A%2F%2Fme%3A*%40host%2F"),
        ("/?next=https%3a%2f%2fme:hun%2Bter2@host&a=b@c", "/?next=https%3a%2f%2fme:*@host&a=b@c"),
        ("https://me:@host/", "https://me:*@host/"),
        ("https://:hunter2@host", "https://:*@host"),
        ("wss://me:p:w@d@host:1/?token=a", "wss://me:*@host:1/?token=*"),
        ("a http://b:c@d e http://f:g@h i", "a http://b:*@d e http://f:*@h i"),
        ("<http://b:c@d/?key=1>; rel=next", "<http://b:*@d/?key=*; rel=next"),
    ],
)
def test_secrets_in_a_text(text: str, written: str) -> None:
    """Several in one, behind any separator, in a fragment, in a url inside a url, and passwords."""
    assert secrets.text(text) == written.replace("*", REDACTED)
    assert shown.text(text) == text


@pytest.mark.parametrize("name", ["Referer", "Location", "Link", "Content-Location", "X-Original-Url"])
def test_a_url_in_a_field(name: str) -> None:
    """Is written without its secrets, whatever the field is called."""
    assert (
        value_of(name, "https://me:pw@host/?code=1&a=2") == f"https://me:{REDACTED}@host/?code={REDACTED}&a=2"
    )


# Subprotocols.

LONG = "x" * 65


@pytest.mark.parametrize(
    ("offered", "written"),
    [
        (["chat, superchat"], ["chat, superchat"]),
        (["bearer, hunter2"], ["bearer, *"]),
        (["chat, Bearer,hunter2 , v2"], ["chat, Bearer, *, v2"]),
        (["bearer", "hunter2"], ["bearer", "*"]),
        (["bearer,, ,hunter2"], ["bearer, , , *"]),
        (["bearer"], ["bearer"]),
        (["chat, bearer"], ["chat, bearer"]),
        (["bearer, hunter2, hunter2"], ["bearer, *, *"]),
        (["bearers, chat"], ["bearers, chat"]),
        (["chat, base64url.bearer.authorization.k8s.io.hunter2"], ["chat, *"]),
        (["Bearer.hunter2, bearer-hunter2"], ["*, *"]),
        (["bearer., my-bearer.v1, bearer_"], ["bearer., my-bearer.v1, bearer_"]),
        (["x" * 64], ["x" * 64]),
        ([f"chat, {LONG}"], ["chat, *"]),
        ([LONG, "chat"], ["*", "chat"]),
    ],
)
def test_subprotocols_that_are_secret(offered: list[str], written: list[str]) -> None:
    """What follows `bearer`, and what is longer than any name; browsers can send a token nowhere else."""
    fields = [(b"Sec-WebSocket-Protocol", value.encode()) for value in offered]
    hidden = secrets.subprotocols(fields)
    values_written = [value for _, value in secrets.headers(fields, hidden)]
    assert values_written == [value.replace("*", REDACTED) for value in written]
    assert [value for _, value in shown.headers(fields, shown.subprotocols(fields))] == offered


@pytest.mark.parametrize(
    ("chosen", "written"), [("chat", "chat"), ("bearer", "bearer"), ("hunter2", REDACTED), (LONG, REDACTED)]
)
def test_the_subprotocol_that_was_chosen(chosen: str, written: str) -> None:
    """A token stays secret where an upstream echoes it, in the answer's headers and on its own."""
    hidden = secrets.subprotocols([(b"Sec-WebSocket-Protocol", f"chat, bearer, hunter2, {LONG}".encode())])
    answer = [(b"sec-websocket-protocol", chosen.encode())]
    assert secrets.headers(answer, hidden) == (("sec-websocket-protocol", written),)
    assert secrets.subprotocol(chosen.encode(), hidden) == written
    assert shown.subprotocols([(b"Sec-WebSocket-Protocol", b"bearer, hunter2")]) == frozenset()
    assert shown.subprotocol(chosen.encode(), frozenset()) == chosen


# Whatever comes.


@given(fields_of_any_kind, st.booleans())
@example([(b"cookie\xff", b"\xed\xa0\x80"), (b"", b"")], False)
def test_any_fields_can_be_written_down(fields: list[Field], show: bool) -> None:
    """Nothing raises, and what comes out is text that JSON can carry."""
    writer = Secrets(show=show)
    hidden = writer.subprotocols(fields)
    written = writer.headers(fields, hidden)
    assert len(written) == len(fields)
    for pair in written:
        for text in pair:
            text.encode()


@given(st.text(), st.binary(max_size=40))
def test_any_text_can_be_written_down(text: str, data: bytes) -> None:
    """Redacting twice changes nothing more."""
    once = secrets.text(text)
    assert secrets.text(once) == once
    readable(data).encode()
    secrets.text(readable(data)).encode()


@given(
    st.sampled_from(NAMES),
    st.from_regex(r"[^&;#\s]+", fullmatch=True),
    st.text(alphabet="ab=&;?/:@%", max_size=12),
)
def test_no_secret_is_left(name: str, value: str, around: str) -> None:
    """Wherever the pair stands in a query, its value is gone."""
    marked = f"hunter2{value}"
    assert "hunter2" not in secrets.text(f"/{around}?{name}={marked}")
    assert "hunter2" not in secrets.text(f"/?{around}&{name}={marked}&{around}")


def test_bytes_as_text() -> None:
    """What is UTF-8 is read as such; what is not is written in digits."""
    assert readable("Grüße".encode()) == "Grüße"
    assert readable(b"caf\xe9") == "caf\\xe9"


@pytest.mark.parametrize(
    "piece", ["?", "&", "?a", "://", "://a:", "?token=", "%3f", "?%74", "key=", "@", ":@"]
)
def test_long_texts_take_a_moment(piece: str) -> None:
    """No repetition makes the search go back and forth: 64 KiB of it are nothing."""
    started = time.perf_counter()
    secrets.text(piece * (65536 // len(piece)))
    assert time.perf_counter() - started < 0.5
