"""Listeners that speak TLS: real handshakes, with and without certificates, on both event loops."""

import asyncio
import signal
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import trustme
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from gateway.events import Close, Error, Open
from tests.gateway.proxy.listening import config_with, listening
from tests.gateway.proxy.plain import GET, OK, field
from tests.gateway.proxy.raw import ACCEPT, HANDSHAKE, SWITCHING, close, frame, from_client
from tests.gateway.test_tls import pair_in
from tests.gateways import LOOPS, GatewayProcess, Loop, gateway_command
from tests.servers import PATIENCE, Peer, Upstream


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority of this machine alone."""
    return trustme.CA()


@pytest.fixture(scope="module", params=LOOPS)
def secure(
    request: pytest.FixtureRequest,
    authority: trustme.CA,
    upstream_port: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[GatewayProcess]:
    """A gateway that is reached over TLS."""
    listen = tls_of(tmp_path_factory.mktemp("tls"), authority, "nextProtos: [h2, http/1.1]")
    with GatewayProcess(
        config_with(f"http://127.0.0.1:{upstream_port}", listen=listen), loop=request.param
    ) as running:
        yield running


def tls_of(folder: Path, authority: trustme.CA, *more: str) -> str:
    """A tlsConfig with a certificate for localhost."""
    pair = pair_in(folder, authority)
    pairs = f"certKeyPairs: [{{certFile: {pair.cert_file}, keyFile: {pair.key_file}}}]"
    return f"tlsConfig: {{{', '.join([pairs, *more])}}}"


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """What a client of `authority`'s servers has."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def dial(port: int, context: ssl.SSLContext) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A TLS connection."""
    async with asyncio.timeout(PATIENCE):
        return await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")


async def get(port: int, context: ssl.SSLContext, upstream: Upstream) -> bytes:
    """One request over TLS: the head that the upstream gets."""
    reader, writer = await dial(port, context)
    writer.write(GET)
    server = await upstream.accept()
    head = await server.read_head()
    await server.send(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    async with asyncio.timeout(PATIENCE):
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 OK\r\n")
    writer.close()
    await writer.wait_closed()
    return head


async def test_https(secure: GatewayProcess, authority: trustme.CA, upstream: Upstream) -> None:
    """The upstream is told that it was https, and so is whoever reads the log."""
    head = await get(secure.port, trusting(authority), upstream)
    assert field(head, "X-Forwarded-Proto") == ["https"]
    assert listening(secure).url == f"https://localhost:{secure.port}"


async def test_http_2_is_not_offered(secure: GatewayProcess, authority: trustme.CA) -> None:
    """However much both sides would like to: nobody here speaks it."""
    context = trusting(authority)
    context.set_alpn_protocols(["h2", "http/1.1"])
    _, writer = await dial(secure.port, context)
    assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("method", [b"GET", b"OPTIONS", b"DELETE"])
async def test_cleartext_is_told_so(secure: GatewayProcess, method: bytes) -> None:
    """Go's own words, then the end."""
    with await Peer.connect(secure.port) as client:
        await client.send(GET.replace(b"GET", method))
        assert await client.read_to_end() == (
            b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
        )


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x00\x05hello", b"\x00\x01\x02", b"\x16"])
async def test_what_is_no_tls_ends(
    secure: GatewayProcess, authority: trustme.CA, upstream: Upstream, garbage: bytes
) -> None:
    """A broken handshake is the end of its own connection; the log stays silent, the next one is served."""
    with await Peer.connect(secure.port) as client:
        await client.send(garbage)
        client.end()
        with suppress(ConnectionResetError):
            assert b"HTTP" not in await client.read_to_end()
    await get(secure.port, trusting(authority), upstream)
    assert secure.records.all(Error) == []


async def test_a_websocket_over_tls(
    secure: GatewayProcess, authority: trustme.CA, upstream: Upstream
) -> None:
    """Frames go both ways, megabytes too, and the end of one side is the end of both."""
    reader, writer = await dial(secure.port, trusting(authority))
    early = from_client(b"early")
    writer.write(HANDSHAKE + early)
    server = await upstream.accept()
    await server.read_head()
    await server.send(SWITCHING + frame(b"hello"))
    async with asyncio.timeout(PATIENCE):
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        assert ACCEPT.encode() in head
        assert await reader.readexactly(7) == frame(b"hello")
        assert await server.read(len(early)) == early
        big = from_client(bytes(4 << 20), opcode=2)
        writer.write(big)
        assert await server.read(len(big)) == big
        await server.send(frame(bytes(4 << 20), opcode=2))
        assert len(await reader.readexactly((4 << 20) + 10)) == (4 << 20) + 10
        writer.write(close(masked=True))
        assert len(await server.read(8)) == 8
        await server.send(close())
        assert await reader.readexactly(4) == close()
        server.end()
        assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    await secure.records.wait_for(Close)


async def test_a_real_client_and_a_real_server(
    secure: GatewayProcess, authority: trustme.CA, upstream_port: int
) -> None:
    """`websockets` talks to itself through wss, and closes as it should."""

    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    url = f"wss://localhost:{secure.port}/ws"
    async with (
        serve(echo, "127.0.0.1", upstream_port, max_size=None),
        connect(url, ssl=trusting(authority), host="127.0.0.1", port=secure.port, max_size=None) as client,
    ):
        for message in ("Hello", bytes(4 << 20)):
            await client.send(message)
            assert await client.recv() == message
        await client.close()
    assert (client.close_code, client.close_reason) == (1000, "")


@pytest.mark.parametrize("loop", LOOPS)
async def test_a_stop_ends_websockets_over_tls(
    authority: trustme.CA, upstream: Upstream, tmp_path: Path, loop: Loop
) -> None:
    """Close 1001 goes to a client over TLS as to any other."""
    config = config_with(f"http://127.0.0.1:{upstream.port}", listen=tls_of(tmp_path, authority))
    with GatewayProcess(config, loop=loop) as gateway:
        reader, writer = await dial(gateway.port, trusting(authority))
        writer.write(HANDSHAKE)
        server = await upstream.accept()
        await server.read_head()
        await server.send(SWITCHING)
        async with asyncio.timeout(PATIENCE):
            await reader.readuntil(b"\r\n\r\n")
            await gateway.records.wait_for(Open)
            gateway.signal(signal.SIGTERM)
            assert await reader.readexactly(4) == close(1001)
            writer.write(close(1001, masked=True))
            await server.send(close(1001))
            assert await reader.read() == b""
        writer.close()
        assert await gateway.ended() == 0


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("auth", ["VerifyClientCertIfGiven", "RequireAndVerifyClientCert"])
async def test_client_certificates(
    upstream: Upstream, authority: trustme.CA, tmp_path: Path, auth: str, loop: Loop
) -> None:
    """One of the right authority is let in, one of another is not, and none only where it may lack."""
    ours, theirs = trustme.CA(), trustme.CA()
    (tmp_path / "clients.pem").write_bytes(ours.cert_pem.bytes())
    more = (f"clientAuth: {auth}", f"clientCAs: [{tmp_path}/clients.pem]", "clientCAsIgnoreSystemCerts: true")
    config = config_with(f"http://127.0.0.1:{upstream.port}", listen=tls_of(tmp_path, authority, *more))
    with GatewayProcess(config, loop=loop) as gateway:
        known = trusting(authority)
        ours.issue_cert("somebody@example.org").configure_cert(known)
        await get(gateway.port, known, upstream)
        stranger = trusting(authority)
        theirs.issue_cert("somebody@example.org").configure_cert(stranger)
        assert await _is_sent_away(gateway.port, stranger)
        if auth == "VerifyClientCertIfGiven":
            await get(gateway.port, trusting(authority), upstream)
        else:
            assert await _is_sent_away(gateway.port, trusting(authority))


@pytest.mark.parametrize("loop", LOOPS)
async def test_no_certificate_at_all(upstream: Upstream, authority: trustme.CA, loop: Loop) -> None:
    """An empty list starts, and no handshake succeeds."""
    config = config_with(f"http://127.0.0.1:{upstream.port}", listen="tlsConfig: {}")
    with GatewayProcess(config, loop=loop) as gateway:
        assert await _is_sent_away(gateway.port, trusting(authority))


async def test_versions_are_kept_to(upstream: Upstream, authority: trustme.CA, tmp_path: Path) -> None:
    """A client that knows no more than TLS 1.2 is sent away where 1.3 is the least."""
    config = config_with(
        f"http://127.0.0.1:{upstream.port}", listen=tls_of(tmp_path, authority, "minVersion: 772")
    )
    with GatewayProcess(config) as gateway:
        old = trusting(authority)
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        assert await _is_sent_away(gateway.port, old)
        await get(gateway.port, trusting(authority), upstream)


@pytest.mark.parametrize(
    ("tls", "column", "words"),
    [
        (
            "certKeyPairs: [{certFile: /no.pem, keyFile: /no.key}]",
            69,
            'certKeyPairs[0].certFile: "/no.pem" cannot be read',
        ),
        ("maxVersion: 1", 55, "1 is no version of TLS; write 771 for TLS 1.2 or 772 for TLS 1.3"),
    ],
)
async def test_a_tls_config_that_cannot_be_honoured(
    tmp_path: Path, tls: str, column: int, words: str
) -> None:
    """The gateway does not start, and says in one line where and why."""
    path = tmp_path / "config.yaml"
    path.write_text(config_with("http://localhost:1", listen=f"tlsConfig: {{{tls}}}"))
    process = await asyncio.create_subprocess_exec(
        *gateway_command(), "-f", str(path), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    async with asyncio.timeout(PATIENCE):
        out, errors = await process.communicate()
    assert (process.returncode, out) == (1, b"")
    (line,) = (each for each in errors.decode().splitlines() if ": warning: " not in each)
    assert line.startswith(f"{path}:11:")
    assert words in line
    assert f":{column}: " in line


async def _is_sent_away(port: int, context: ssl.SSLContext) -> bool:
    """Whether a handshake fails; with TLS 1.3, a client learns that only when it reads."""
    try:
        reader, writer = await dial(port, context)
    except (ssl.SSLError, ConnectionError):
        return True
    writer.write(GET)
    try:
        async with asyncio.timeout(PATIENCE):
            return await reader.read() == b""
    except (ssl.SSLError, ConnectionError):
        return True
    finally:
        writer.close()
