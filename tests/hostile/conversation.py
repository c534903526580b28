"""One conversation that brings every hostile string, and every secret, to every entrance of a gateway.

Stage      both servers behind the gateway: one that says what it is asked for, and one that is down
converse   the conversation; gives all that the client was answered
SECRETS    what was said on the way that is nobody's business
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from tests.gateway.proxy.raw import close, frame, from_client, handshake, switching
from tests.gateways import config_of
from tests.hostile.strings import BYTES, LONG, STRINGS, piece, raw_piece
from tests.servers import PATIENCE, reserved_port

SHOWN: Final = (
    *("s-cookie", "s-authorization", "s-proxy", "s-api-key", "s-csrf-token", "s-subprotocol", "s-referer"),
    *("s-query", "s-fragment", "s-encoded", "s-set-cookie", "s-location", "s-down", "s-absolute"),
)
"""Secrets that records have with --show-secrets."""

NEVER: Final = (
    *("s-url-password", "s-url-key", "s-broken-cookie", "s-broken-upgrade", "s-refused", "s-invalid-field"),
)
"""Those that nobody gets to see, whatever is asked for."""

SECRETS: Final = (*SHOWN, *NEVER)

_ACT: Final = b"X-Act: "


def config(live: int, dead: int) -> str:
    """A config.yaml that sends what begins with /dead to nobody, and all else to `live`."""
    secret = "http://user:s-url-password@127.0.0.1"
    text = config_of(f"{secret}:{live}/?key=s-url-key")
    matcher = '    - pathMatcher: {match: "/", matchType: Prefix}'
    before = matcher.replace('"/"', "/dead")
    return text.replace(
        matcher, f"{before}\n      upstreams: [{{url: '{secret}:{dead}/?key=s-url-key'}}]\n{matcher}"
    )


@dataclass(slots=True)
class Stage:
    """Where a gateway with `config` sends its requests."""

    config: str
    long: int = LONG
    """Characters of the longest line."""
    answers: list[bytes] = field(default_factory=list)
    """All that clients were answered by the gateway."""


@asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    """Both servers, for as long as the block lasts."""
    handlers: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handlers.add(task)
        await _answer(reader, writer)

    with reserved_port() as dead:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            yield Stage(config(server.sockets[0].getsockname()[1], dead))
            if handlers:
                await asyncio.wait(handlers, timeout=PATIENCE)


Step = Callable[[str], Awaitable[bool]]
"""Waits after each part of the conversation, which ends with a request for that path; whether it was seen."""


async def converse(port: int, told: Stage, until: Step, names: Sequence[str] = (*STRINGS, *BYTES)) -> None:
    """Say everything of the groups called `names` to the gateway at `port`, a part at a time."""
    for number, name in enumerate(names):
        for request in _requests(name):
            told.answers.append(await _say(port, request))
        await _end_part(port, f"/part-{number}", until)
    for request in _secret_requests():
        told.answers.append(await _say(port, request))
    await _say(port, handshake(f"X-Act: long {told.long}", path="/long") + from_client(b"x"))
    await _end_part(port, "/the-end", until)


async def _end_part(port: int, path: str, until: Step) -> None:
    seen = False
    while not seen:  # a live view leaves lines out where they come too fast for it
        await _say(port, _get(path.encode()))
        seen = await until(path)


def _requests(name: str) -> list[bytes]:
    """What is sent of a group: to be refused, to be passed on, to be opened, to be answered by nonsense."""
    text = piece(name).encode() if name in STRINGS else raw_piece(name)
    line = text.replace(b"\r", b"").replace(b"\n", b"")  # else it would be several
    target = b"".join(bytes([each]) for each in line if each > 0x20 and each not in b"\x7f#")
    value = bytes(each for each in line if each >= 0x20 and each != 0x7F)
    opening = handshake(f"X-Act: {name}")
    fields = (b"X-Value", b"Sec-WebSocket-Protocol", b"Sec-WebSocket-Extensions", b"User-Agent")
    return [
        _get(b"/refused " + line),
        _get(b"/refused", b"X-" + line + b": v"),
        _get(b"/refused", b"X-Value: " + line),
        _get(b"/", b"Host: " + value, host=b""),
        _get(b"/?q=" + target, act=name),
        _get(b"/dead/" + target, b"Accept: text/html", act=name),
        handshake(f"X-Act: junk {name}", path="/junk"),
        handshake("X-Act: brief").replace(b"/ws", b"/ws?q=" + target, 1) + from_client(text),
        opening[:-2]
        + b"".join(b"%s: %s\r\n" % (each, value) for each in fields)
        + b"\r\n"
        + from_client(text),
    ]


def _secret_requests() -> list[bytes]:
    """Requests with all kinds of secrets."""
    fields = (
        b"Cookie: id=s-cookie",
        b"Authorization: Bearer s-authorization",
        b"Proxy-Authorization: Basic s-proxy",
        b"X-Api-Key: s-api-key",
        b"X-Csrf-Token: s-csrf-token",
        b"Referer: https://user:s-referer@host.example/?token=s-query",
        b"Origin: https://user:s-referer@host.example",
        b"X-Link: <https://host.example/#access_token=s-fragment>",
    )
    target = b"/ws?token=s-query&next=https%3A%2F%2Fuser%3As-encoded%40host%2F%3Fcode%3Ds-query"
    opening = handshake("X-Act: secrets", path="/PATH").replace(b"/PATH", target)
    bearer = b"Sec-WebSocket-Protocol: bearer, s-subprotocol"
    head = opening[:-2] + b"\r\n".join((*fields, bearer)) + b"\r\n\r\n"
    return [
        head + from_client(b"hello"),
        _get(target, *fields, act="secrets"),
        _get(b"/dead?token=s-down", *fields, b"Accept: text/html"),
        _get(b"/dead?token=s-down", *fields),
        handshake(path="/dead?token=s-down")[:-2] + b"\r\n".join((*fields, bearer)) + b"\r\n\r\n",
        _get(b"http://user:s-absolute@host.example/?api_key=s-absolute", *fields),
        _get(b"/?signature=s-refused", b"Authorization: s-invalid-field\x01"),
        _get(b"/?signature=s-refused", b"Host: a", b"Authorization s-invalid-field: x"),
        _get(b"/broken", act="broken"),
        _get(b"/broken", act="broken long"),
        handshake("X-Act: broken", path="/broken"),
        handshake("X-Act: broken 101", path="/broken"),
    ]


def _get(target: bytes, *fields: bytes, act: str = "", host: bytes = b"Host: gateway.example") -> bytes:
    lines = [b"GET " + target + b" HTTP/1.1", host, *fields, _ACT + act.encode() if act else b""]
    return b"\r\n".join([*filter(None, lines), b"Connection: close", b"", b""])


async def _say(port: int, request: bytes) -> bytes:
    """Send `request`: all that comes back."""
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(request)
            return await reader.read()
        except ConnectionResetError:
            return b""
        finally:
            writer.close()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The server behind the gateway: does what the field X-Act asks for."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            act = head.partition(_ACT)[2].partition(b"\r\n")[0].decode()
            upgrade = b"\r\nUpgrade: websocket\r\n" in head
            writer.write(_opening(act) if upgrade else _ordinary(act))
            if upgrade or act.startswith(("junk", "broken")):
                await writer.drain()
                writer.write_eof()
                await reader.read()
                return
    except (asyncio.IncompleteReadError, OSError):
        pass  # the gateway has had enough
    finally:
        writer.close()


def _ordinary(act: str) -> bytes:
    """The answer to a plain request."""
    kind, _, name = act.partition(" ")
    if kind == "junk":
        return _text(name) + b"\r\n\r\n"
    if kind == "broken":
        long = b"x" * (1 << 17) if name == "long" else b""
        bad = b"Set Cookie" if name != "long" else b"Set-Cookie"
        return b"HTTP/1.1 200 OK\r\n" + bad + b": s-broken-cookie" + long + b"\r\n\r\n"
    text = b"OK" if act in ("", "secrets") else _value(act)
    return b"HTTP/1.1 200 " + text + b"\r\n" + _fields(act) + b"Content-Length: 2\r\n\r\nok"


def _fields(act: str) -> bytes:
    if act == "secrets":
        return (
            b"Set-Cookie: id=s-set-cookie\r\n"
            b"Location: https://user:s-location@host.example/#access_token=s-location\r\n"
        )
    return b"" if not act else b"X-Value: " + _value(act) + b"\r\n"


def _opening(act: str) -> bytes:
    """The answer to an opening handshake, and the frames behind it."""
    kind, _, name = act.partition(" ")
    if kind == "junk":
        return _text(name) + b"\r\n\r\n"
    if kind == "broken" and name == "101":
        return switching("Set-Cookie: a=1;", " s-broken-upgrade")
    if kind == "broken":
        return b"HTTP/1.1 200 OK\r\nSet Cookie: s-broken-upgrade\r\n\r\n"
    if act == "secrets":
        return switching("Sec-WebSocket-Protocol: s-subprotocol")[:-2] + _fields(act) + b"\r\n" + close()
    if act == "brief":
        return switching() + close()
    if kind == "long":
        line = "\x1b[2J日" * (int(name) // 5)
        return switching() + frame(line.encode()) + frame(b"\x9b" * int(name), opcode=2) + close()
    text = _text(act)
    short = text[:123] if act in BYTES else text[:123].decode(errors="ignore").encode()
    value = _value(act)
    return (
        switching()[:-2]
        + b"X-Value: " + value + b"\r\nSec-WebSocket-Protocol: " + value
        + b"\r\nSec-WebSocket-Extensions: " + value + b"\r\n\r\n"
        + frame(text) + frame(text, opcode=2) + frame(short, opcode=9) + frame(short, opcode=10)
        + frame(b"\x03\xe8" + short, opcode=8)
    )  # fmt: skip


def _text(name: str) -> bytes:
    return piece(name).encode() if name in STRINGS else raw_piece(name)


def _value(name: str) -> bytes:
    """What of a group may stand in a field of a response."""
    return bytes(each for each in _text(name) if each >= 0x20 and each != 0x7F)
