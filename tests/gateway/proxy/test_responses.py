"""What the gateway says itself: errors as AILERON's JSON, and as a page for people."""

import asyncio
import json
from collections.abc import Iterator

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser, HttpRequestParserPy

from gateway.events import Error, Request
from gateway.proxy.listener import unreadable
from gateway.routing import Router
from tests.gateway.proxy.raw import handshake
from tests.gateways import GatewayProcess, GatewayThread, config_of
from tests.servers import Peer, Upstream, reserved_port


async def ask(port: int, *fields: str, target: str = "/", method: str = "GET") -> tuple[str, str]:
    """Send a request with these header fields: head and body of the answer."""
    request = "\r\n".join([f"{method} {target} HTTP/1.1", "Host: gateway.example", *fields, "", ""])
    return await say(port, request.encode("utf-8", "surrogateescape"))


async def say(port: int, request: bytes) -> tuple[str, str]:
    """Send `request`: head and body of the answer."""
    with await Peer.connect(port) as client:
        await client.send(request)
        head = (await client.read_head()).decode()
        if request.startswith(b"HEAD"):
            client.end()
            assert await client.read_to_end() == b""
            return head, ""
        if "Content-Length: " not in head:  # what Go's server says itself ends with its connection
            return head, (await client.read_to_end()).decode()
        size = int(head.partition("Content-Length: ")[2].partition("\r\n")[0])
        return head, (await client.read(size)).decode()


@pytest.fixture(scope="module")
def picky() -> Iterator[GatewayThread]:
    """A gateway that has an upstream for /api alone, which is down, and whose url holds credentials."""
    with reserved_port() as port:
        config = config_of(f"http://user:hunter2@127.0.0.1:{port}/ignored?api_key=s3cret")
        config = config.replace('match: "/"', 'match: "/api"')
        with GatewayThread(config) as running:
            yield running


PAGE = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
"""What a browser says."""


@pytest.mark.parametrize(
    "accept",
    [
        (),
        ("Accept: */*",),
        ("Accept: application/json",),
        ("Accept: application/json, text/html",),
        ("Accept: text/htmlx",),
        ("Accept: image/png, application/xml",),
        ("Accept: */*", "Accept: text/html"),
    ],
)
async def test_errors_are_json(picky: GatewayThread, accept: tuple[str, ...]) -> None:
    """AILERON's own body and headers, for all whose first wish is not a page."""
    head, body = await ask(picky.port, *accept)
    assert body == '{"status":404,"statusText":"Not Found"}'
    assert head.startswith("HTTP/1.1 404 Not Found\r\n")
    assert "\r\nContent-Type: application/json; charset=utf-8\r\n" in head
    assert "\r\nX-Content-Type-Options: nosniff\r\n" in head
    assert "\r\nVary: Accept\r\n" in head
    assert "\r\nConnection:" not in head
    assert "aiohttp" not in head


XML = "<result><status>404</status><statusText>Not Found</statusText><errors></errors></result>"
YAML = "status: 404\nstatusText: Not Found\n"


@pytest.mark.parametrize(
    ("accept", "kind", "expected"),
    [
        ("text/json", "text/json", '{"status":404,"statusText":"Not Found"}'),
        ("application/xml", "application/xml", XML),
        ("text/xml;q=0.1, application/json", "text/xml", XML),
        (" , application/yaml", "application/yaml", YAML),
        ("text/yaml", "text/yaml", YAML),
        ("TEXT/Plain", "text/plain", YAML),
    ],
)
async def test_the_first_type_in_accept_decides(
    picky: GatewayThread, accept: str, kind: str, expected: str
) -> None:
    """AILERON's bodies, byte for byte, whatever the weights say."""
    head, body = await ask(picky.port, f"Accept: {accept}")
    assert body == expected
    assert f"\r\nContent-Type: {kind}; charset=utf-8\r\n" in head
    assert "\r\nX-Content-Type-Options: nosniff\r\n" in head
    assert "\r\nVary: Accept\r\n" in head


@pytest.mark.parametrize(
    "accept", [PAGE, "Accept: text/html", "Accept: TEXT/HTML;level=1, */*", "accept: ,text/html"]
)
async def test_people_get_a_page(picky: GatewayThread, accept: str) -> None:
    """With text/html first, the 404 is a page that needs nothing from anywhere."""
    head, body = await ask(picky.port, accept)
    assert head.startswith("HTTP/1.1 404 Not Found\r\n")
    assert "\r\nContent-Type: text/html; charset=utf-8\r\n" in head
    assert (
        "\r\nContent-Security-Policy: default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n" in head
    )
    assert "<title>404 Not Found</title>" in body
    assert "balancer takes this request" in body


async def test_a_page_says_which_upstream_did_what(picky: GatewayThread) -> None:
    """The upstream's url without its credentials, what it did, and the command that starts one."""
    _, body = await ask(picky.port, PAGE, target="/api/x?token=s3cret")
    error = await picky.records.wait_for(Error, status=502, path="/api/x?token=[redacted]")
    assert error.upstream is not None
    assert f"{error.upstream} refused the connection; nothing listens there." in body
    port = error.upstream.rpartition(":")[2]
    assert f"python -m demo_upstream --addr 127.0.0.1:{port}" in body
    for secret in ("hunter2", "user", "s3cret"):
        assert secret not in body
        assert not any(secret.encode() in line for line in picky.records.lines)


async def test_no_command_for_an_upstream_elsewhere() -> None:
    """Only on loopback would the kit's own server be of help."""
    with GatewayThread(config_of("http://no..where.example:9090")) as gateway:
        _, body = await ask(gateway.port, PAGE)
    assert "http://no..where.example:9090 has a name that cannot be looked up" in body
    assert "demo_upstream" not in body


HOSTILE = '"><script>alert(1)</script>{{7*7}}'


async def test_a_hostile_request_is_only_text(picky: GatewayThread) -> None:
    """Whatever path, host and headers say, the page shows them escaped or not at all."""
    for target in (f"/{HOSTILE}", f"/api/{HOSTILE}?{HOSTILE}", "/<b>", f"/{HOSTILE}/../"):
        _, body = await ask(
            picky.port, PAGE, f"X-Forwarded-Host: {HOSTILE}", f"Referer: {HOSTILE}", target=target
        )
        assert "<script" not in body
        assert "<b>" not in body


async def test_a_hostile_upstream_is_only_text(gateway: GatewayProcess, upstream: Upstream) -> None:
    """What an upstream said instead of a proper answer is shown escaped."""
    with await Peer.connect(gateway.port) as client:
        await client.send(handshake(PAGE))
        server = await upstream.accept()
        await server.send(b"HTTP/1.1 1<script>alert(1)</script> \x1b[2J\r\n\r\n")
        page = (await client.read_to_end()).decode()
    assert page.startswith("HTTP/1.1 502 Bad Gateway\r\n")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script" not in page
    assert "\x1b" not in page


async def test_a_refused_handshake_is_told_in_words(picky: GatewayThread) -> None:
    """What the upstream cannot be blamed for is explained too, and an upgrade gets a page as any request."""
    head, body = await say(picky.port, handshake(PAGE, without="Sec-WebSocket-Key", path="/api"))
    assert head.startswith("HTTP/1.1 400 Bad Request\r\n")
    assert "\r\nConnection: close\r\n" in head
    assert "Sec-WebSocket-Key must be 16 bytes in base64, once" in body
    head, body = await say(picky.port, handshake(path="/api"))
    assert head.startswith("HTTP/1.1 502 Bad Gateway\r\n")
    assert json.loads(body) == {"status": 502, "statusText": "Bad Gateway"}


@pytest.mark.parametrize("accept", [PAGE, "Accept: */*"])
async def test_the_answer_to_head_has_no_body(picky: GatewayThread, accept: str) -> None:
    """The head of a GET's answer, its length included."""
    head, _ = await ask(picky.port, accept, "Connection: close", method="HEAD")
    same, body = await ask(picky.port, accept, "Connection: close")
    assert _but_for_date(head) == _but_for_date(same)
    assert f"\r\nContent-Length: {len(body.encode())}\r\n" in head


async def test_an_unclean_path_is_a_redirect(picky: GatewayThread) -> None:
    """307 to the clean path, the query kept."""
    head, _ = await ask(picky.port, target="/api//x/../y?a=b")
    assert head.startswith("HTTP/1.1 307 Temporary Redirect\r\nLocation: /api/y?a=b\r\n")


@pytest.mark.parametrize(
    ("target", "method"),
    [("*", "OPTIONS"), ("gateway.example:443", "CONNECT"), ("/%zz", "GET"), ("x", "GET")],
)
async def test_targets_that_mean_nothing_are_a_400(picky: GatewayThread, target: str, method: str) -> None:
    """What no upstream could be asked is refused here."""
    head, _ = await ask(picky.port, "Connection: close", target=target, method=method)
    assert head.split(" ")[1] == "400"


async def test_a_404_after_a_body_leaves_the_connection_usable(picky: GatewayThread) -> None:
    """The body of a refused request is not taken for the next request."""
    hidden = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
    with await Peer.connect(picky.port) as client:
        length = b"Content-Length: %d\r\n\r\n" % len(hidden)
        await client.send(b"POST /no HTTP/1.1\r\nHost: a\r\n" + length + hidden)
        assert (await client.read_until(b"}")).startswith(b"HTTP/1.1 404 ")
        await client.send(b"GET /second HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await client.read_until(b"}")).startswith(b"HTTP/1.1 404 ")
        await picky.records.wait_for(Request, client=client.name, path="/second")
        assert [told.path for told in picky.records.all(Request, client=client.name)] == ["/no", "/second"]


async def test_a_fault_ends_one_request_alone(picky: GatewayThread, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug cuts the connection that it happened on, and is told in one error; the next is served."""

    def broken(*_: object) -> object:
        raise ZeroDivisionError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(Router, "decide", broken)
        with await Peer.connect(picky.port) as client:
            await client.send(b"GET /bug HTTP/1.1\r\nHost: a\r\n\r\n")
            assert await client.read_to_end() == b""
            await picky.records.wait_for(Request, client=client.name)
    told = picky.records.all(Error, path="/bug")
    assert [each.message for each in told] == ["a fault of the gateway: ZeroDivisionError: a bug"]
    head, _ = await ask(picky.port)
    assert head.startswith("HTTP/1.1 404 ")


async def test_garbage_is_answered_and_the_gateway_lives(
    gateway_on: GatewayProcess, upstream: Upstream
) -> None:
    """What is not HTTP at all gets a 400, and the next client is served."""
    for garbage in (
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET\r\n\r\n",
        b"\x00" * 100,
        b"GET / HTTP/9.9\r\n\r\n",
    ):
        with await Peer.connect(gateway_on.port) as client:
            await client.send(garbage)
            client.end()
            assert (await client.read_to_end()).split(b" ")[1:2] in ([b"400"], [])
    with await Peer.connect(gateway_on.port) as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        server = await upstream.accept()
        await server.read_head()
        await server.send(b"HTTP/1.1 204 Fine\r\n\r\n")
        assert (await client.read_head()).startswith(b"HTTP/1.1 204 Fine\r\n")


def _but_for_date(head: str) -> list[str]:
    return [line for line in head.split("\r\n") if not line.startswith("Date:")]


@pytest.mark.parametrize(
    ("request_", "answer", "words"),
    [
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nA: b\0c\r\n\r\n",
            "400 Bad Request",
            "Invalid header value char",
        ),
        (
            b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
            "400 Bad Request",
            "Bad request line",
        ),
        (
            b"GET /" + b"x" * 13000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
            "431 Request Header Fields Too Large",
            "its head has more than 12288 bytes",
        ),
    ],
)
async def test_what_cannot_be_read_is_told_in_words(
    picky: GatewayThread, request_: bytes, answer: str, words: str
) -> None:
    """One error record without the names of classes or the bytes that were sent; Go's text for the client."""
    told = len(picky.records.all(Error))
    head, body = await say(picky.port, request_)
    assert head == (
        f"HTTP/1.1 {answer}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
    )
    assert body == answer
    error = await picky.records.wait_for(Error, past=told)
    assert (error.message, error.status) == (
        f"a request that cannot be read: {words}",
        int(answer.partition(" ")[0]),
    )
    assert (error.client or "").startswith("127.0.0.1:")


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (b"GET foo?token=s3cret HTTP/1.1\r\nHost: a\r\n\r\n", "Invalid request target"),
        (b"G@T /?token=s3cret HTTP/1.1\r\nHost: a\r\n\r\n", "Bad request line"),
        (b"GET /?token=s3cret HTTP/9\r\nHost: a\r\n\r\n", "Bad request line"),
        (b"GET / HTTP/1.1\r\nHost: a\r\ns3 cret: x\r\n\r\n", "Invalid HTTP header"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: s3cret\r\n\r\n", None),
    ],
)
def test_nothing_of_an_unreadable_request_is_quoted(request_: bytes, words: str | None) -> None:
    """Not by either of aiohttp's parsers: there may be a secret in it."""
    for parser in (HttpRequestParserPy, HttpRequestParser):
        loop = asyncio.new_event_loop()
        try:
            with pytest.raises(HttpProcessingError) as caught:
                parser(BaseProtocol(loop), loop, 1 << 16).feed_data(request_)
        finally:
            loop.close()
        said = unreadable(caught.value)
        assert "s3" not in said
        assert parser is HttpRequestParser or words is None or said == words
