"""Frames on the wire (RFC 6455 section 5.2): opcodes, bits, lengths and masks; and Close frames.  Pure."""

import codecs
from typing import Final

from gateway.websocket.rules import CLOSE_CODE, CLOSE_ONE_BYTE, CLOSE_REASON, Rule

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

OPCODE_NAMES: Final = {
    CONTINUATION: "continuation",
    TEXT: "text",
    BINARY: "binary",
    CLOSE: "close",
    PING: "ping",
    PONG: "pong",
}

FIN: Final = 0x80
RSV1: Final = 0x40
RSV: Final = 0x70
MASK: Final = 0x80

CONTROL_PAYLOAD: Final = 125
"""The most that a control frame may carry (section 5.5)."""

IN_TWO_BYTES: Final = 126
"""In place of a length: it stands in the two bytes behind this one."""

MASKED_HEADER: Final = 6
"""The header of a small frame has no more bytes."""

UNWALKABLE: Final = 1 << 63
"""A payload length from here on has its top bit set, which section 5.2 forbids."""

_utf8 = codecs.getincrementaldecoder("utf-8")


def header_length(data: bytes, at: int = 0) -> int | None:
    """The length of the frame header at `at`, masking key included; None where two bytes are not there."""
    if len(data) - at < 2:
        return None
    second = data[at + 1]
    extended = {126: 2, 127: 8}.get(second & 0x7F, 0)
    return 2 + extended + (4 if second & MASK else 0)


def has_header(data: bytes, at: int) -> bool:
    """Whether the frame header at `at` is complete."""
    size = header_length(data, at)
    return size is not None and at + size <= len(data)


def payload_length(data: bytes, at: int = 0) -> int:
    """The payload length in the complete frame header at `at`."""
    short = data[at + 1] & 0x7F
    if short == 126:
        return int.from_bytes(data[at + 2 : at + 4], "big")
    if short == 127:
        return int.from_bytes(data[at + 2 : at + 10], "big")
    return short


def unmask(data: bytes | bytearray, key: bytes) -> bytes:
    """XOR `data` with the repeated four-byte `key` (section 5.3); its own inverse."""
    size = len(data)
    repeated = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(repeated, "big")).to_bytes(size, "big")


def opcode_name(opcode: int) -> str:
    """`text`, `close`, …, or `0xB` for a reserved opcode."""
    return OPCODE_NAMES.get(opcode) or f"0x{opcode:X}"


def may_be_sent(code: int) -> bool:
    """Whether a Close frame may carry `code` (section 7.4 and the registry that it opens)."""
    return (1000 <= code <= 1014 and code not in {1004, 1005, 1006}) or 3000 <= code <= 4999


def close_frame(code: int, key: bytes | None) -> bytes:
    """A Close frame with `code` and no reason, masked with the four-byte `key` where there is one."""
    payload = code.to_bytes(2, "big")
    if key is None:
        return bytes((FIN | CLOSE, len(payload))) + payload
    return bytes((FIN | CLOSE, MASK | len(payload))) + key + unmask(payload, key)


def parse_close(payload: bytes, *, whole: bool) -> tuple[int | None, str | None, list[Rule]]:
    """Code, reason and the broken rules of a Close frame's payload (section 5.5.1).

    Where `payload` is not the `whole` of it, a character that is cut at its end is left out of the reason.
    """
    if len(payload) < 2:
        return None, None, [CLOSE_ONE_BYTE] if payload and whole else []
    code = int.from_bytes(payload[:2], "big")
    rules = [] if may_be_sent(code) else [CLOSE_CODE]
    try:
        reason = _utf8().decode(payload[2:], final=whole)
    except UnicodeDecodeError:
        reason = payload[2:].decode(errors="replace")
        rules.append(CLOSE_REASON)
    return code, reason, rules
