"""Frames that need no look: what may be stepped over, and how far.  Pure.

A table has, for byte 0 and byte 1 of a frame, its length on the wire where that is small, or a mark where
there is more to be done; which table counts depends on what came before the frame.
"""

from functools import cache
from typing import Final

from gateway.events import Side
from gateway.websocket.wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    CONTROL_PAYLOAD,
    FIN,
    IN_TWO_BYTES,
    MASK,
    MASKED_HEADER,
    PING,
    PONG,
    RSV,
    RSV1,
    TEXT,
    UNWALKABLE,
    header_length,
    payload_length,
)

LONG: Final = -1
"""In place of a step, as the three that follow: the length stands in the two bytes behind these."""
_LONGER: Final = -2
"""The length, and maybe a masking key where none belongs, stand somewhere behind these."""
_LOOK: Final = -3
"""The frame needs a look."""
CHANGING: Final = -4
"""From here on down stand the lengths of frames that change which message is under way."""

Steps = tuple[tuple[int, ...], ...]
"""For byte 0 and byte 1 of a frame, its length on the wire, or a mark."""

_LOOK_AT_ALL: Final = (_LOOK,) * 256

_WHOLE: Final = frozenset({FIN | TEXT, FIN | BINARY})
"""Byte 0 of messages that are whole and not compressed."""

WORTH_IT: Final = 8
"""Frames in a run that make up for looking for it."""

_STRETCH: Final = 32
"""Frames among which a run is looked for at first."""


def _is_sound(first: int, *, deflate: bool, rsv_known: int, inside: bool) -> bool:
    """Whether a frame other than Close may begin with the byte `first`, `inside` of a message or not."""
    opcode, marked = first & 0xF, deflate and first & RSV1
    if first & RSV & ~rsv_known:
        return False
    if opcode in {PING, PONG}:
        return first & FIN != 0 and not marked
    if opcode == CONTINUATION:
        return inside and not marked
    return opcode in {TEXT, BINARY} and not inside


@cache
def _row(sender: Side, *, judge: bool, control: bool, changes: bool) -> tuple[int, ...]:
    """For byte 1 of a frame, its length on the wire, or a mark.

    With `judge`, what no sound frame of `sender` has needs a look.  `changes`: the frame has a mark in any
    case, since it changes which message is under way.
    """
    row = [_LOOK] * 256
    for second in range(256):
        header, short = (MASKED_HEADER if second & MASK else 2), second & 0x7F
        fitting = (second >= MASK) is (sender == "client")
        if judge and (not fitting or (control and short > CONTROL_PAYLOAD)):
            continue
        if short > CONTROL_PAYLOAD:
            row[second] = LONG if short == IN_TWO_BYTES and fitting and not changes else _LONGER
        else:
            row[second] = CHANGING - (header + short) if changes else header + short
    return tuple(row)


@cache
def tables(
    sender: Side, *, deflate: bool, rsv_known: int, looking: bool
) -> tuple[tuple[tuple[Steps, Steps], tuple[Steps, Steps]], ...]:
    """What may be stepped over: `[judge][closed][inside]`, as `Decoder._table` asks.

    Where nobody is `looking`, messages make no difference.
    """

    def table(judge: bool, closed: bool, inside: bool) -> Steps:
        rows: list[tuple[int, ...]] = []
        for first in range(256):
            control = first & 0xF >= CLOSE
            sound = _is_sound(first, deflate=deflate, rsv_known=rsv_known, inside=inside)
            if (first & 0xF == CLOSE and not closed) or (judge and (closed or not sound)):
                rows.append(_LOOK_AT_ALL)
            else:
                changes = looking and not control and (inside or first not in _WHOLE)
                rows.append(_row(sender, judge=judge, control=control, changes=changes))
        return tuple(rows)

    def pair(judge: bool, closed: bool) -> tuple[Steps, Steps]:
        return table(judge, closed, False), table(judge, closed, True)

    return tuple((pair(judge, False), pair(judge, True)) for judge in (False, True))


def marked_length(mark: int, data: bytes, at: int, *, judge: bool) -> int:
    """The length on the wire of the frame at `at`, for which `mark` stands; 0 where it needs a look."""
    size = header_length(data, at)
    if mark == _LOOK or size is None or at + size > len(data):
        return 0
    if mark <= CHANGING:
        return CHANGING - mark
    length = payload_length(data, at)
    shortest = CONTROL_PAYLOAD if data[at + 1] & 0x7F == IN_TWO_BYTES else 0xFFFF
    # Where frames are judged, a length has to be written in the shortest form.
    if length >= UNWALKABLE or (judge and length <= shortest):
        return 0
    return size + length


def run_length(data: bytes, at: int, step: int) -> int:
    """How many frames from `at` on are whole and begin with the same two bytes, for which `step` stands.

    A longer stretch is looked at only where all of the one before was alike: a short run in a long chunk
    costs no more than its length.
    """
    first, second = data[at : at + 1], data[at + 1 : at + 2]
    most = (len(data) - at) // step
    found, stretch = 0, _STRETCH
    while found < most:
        stop = at + step * min(found + stretch, most)
        firsts, seconds = data[at + step * found : stop : step], data[at + step * found + 1 : stop : step]
        alike = min(
            len(firsts) - len(firsts.lstrip(first)),
            len(seconds) - len(seconds.lstrip(second)),
        )
        found += alike
        if alike < stretch:
            break
        stretch *= 2
    return found
