"""WebSockets by hand: opening handshakes and frames as bytes."""

import struct
from typing import Final

from tests.servers import Peer, Upstream

KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="
"""The key of RFC 6455 section 1.3 ..."""

ACCEPT: Final = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""... and what answers it."""

HANDSHAKE: Final = (
    "GET /ws HTTP/1.1\r\nHost: gateway.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
).encode()

SWITCHING: Final = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
).encode()


def handshake(*fields: str, path: str = "/ws", without: str | None = None) -> bytes:
    """An opening handshake with more `fields`, and without the one of that name."""
    lines = HANDSHAKE.decode().replace("/ws", path, 1).removesuffix("\r\n\r\n").split("\r\n")
    kept = [line for line in lines if without is None or not line.lower().startswith(f"{without.lower()}:")]
    return "\r\n".join([*kept, *fields, "", ""]).encode()


def switching(*fields: str) -> bytes:
    """The 101 that answers `HANDSHAKE`, with more `fields`."""
    return SWITCHING[:-2] + "".join(f"{field}\r\n" for field in fields).encode() + b"\r\n"


def frame(
    payload: bytes,
    *,
    opcode: int = 1,
    fin: bool = True,
    rsv: int = 0,
    masked: bool = False,
    length: int | None = None,
) -> bytes:
    """A frame as RFC 6455 section 5.2 has it; `length` stands for a payload that is not all there."""
    size = len(payload) if length is None else length
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    mask = 0x80 if masked else 0
    if size < 126:
        head = struct.pack("!BB", first, mask | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", first, mask | 126, size)
    else:
        head = struct.pack("!BBQ", first, mask | 127, size)
    if not masked:
        return head + payload
    key = b"\x01\x02\x03\x04"
    return head + key + bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))


def close(code: int = 1000, reason: str = "", *, masked: bool = False) -> bytes:
    """A Close frame."""
    return frame(struct.pack("!H", code) + reason.encode(), opcode=8, masked=masked)


def from_client(payload: bytes, **how: int) -> bytes:
    """A masked frame."""
    return frame(payload, masked=True, **how)  # type: ignore[arg-type]  # bools are ints


async def read_frame(peer: Peer) -> tuple[int, bytes, bool]:
    """The next frame that `peer` gets: first byte, payload (unmasked), and whether it was masked."""
    first, second = await peer.read(2)
    size = second & 0x7F
    if size > 125:
        size = int.from_bytes(await peer.read(2 if size == 126 else 8), "big")
    key = await peer.read(4) if second & 0x80 else bytes(4)
    payload = await peer.read(size)
    return first, bytes(byte ^ key[at % 4] for at, byte in enumerate(payload)), bool(second & 0x80)


async def open_tunnel(port: int, upstream: Upstream, *fields: str) -> tuple[Peer, Peer]:
    """Both ends of a new tunnel: the client's and the upstream's."""
    client = await Peer.connect(port)
    await client.send(handshake(*fields))
    server = await upstream.accept()
    await server.read_head()
    await server.send(SWITCHING)
    head = await client.read_head()
    assert head.startswith(b"HTTP/1.1 101 "), head
    return client, server
