"""The short way through a tunnel: a chunk is written, then its frames are counted.

Each of the two generators is one direction; its `send` is what a transport calls with the bytes that it has
read.  It writes first and looks afterwards: no task, no queue, no object for a message.
"""

import time
from collections.abc import Callable, Generator
from typing import Final

from gateway.proxy.log import Tap
from gateway.websocket.frames import Decoder
from gateway.websocket.steps import LONG

_MUCH: Final = 128 * 1024
"""Bytes at once behind which more may be waiting: the others have their turn first."""

# Both begin with the same short cut, which is not worth a call: most chunks are one whole message.


def forward(
    write: Callable[[bytes], object], decoder: Decoder, pause: Callable[[], None]
) -> Generator[None, bytes, None]:
    """Forward, and keep the frame boundaries; nobody wants to know about the frames.

    Where much has come at once, `pause` is called.
    """
    steps, long_header, longest_short = decoder.steps, decoder.long_header, decoder.longest_short
    ready = True
    while True:
        data = yield
        write(data)
        size = len(data)
        if ready and size > 1:
            step = steps[data[0]][data[1]]
            if step == LONG and size > longest_short:
                step = long_header + (data[2] << 8 | data[3])
            if step == size:
                decoder.omitted_frames += 1
                decoder.omitted_bytes += size
                continue
        at = decoder.skip(data, 0) if decoder.plain else 0
        if at < size:
            decoder.receive_data(data[at:], 0)
        if size > _MUCH:
            pause()
        ready = decoder.ready
        data = b""  # a large one would stay until the next


def forward_watched(
    write: Callable[[bytes], object], tap: Tap, pause: Callable[[], None]
) -> Generator[None, bytes, None]:
    """Forward, count every frame, and hand over what the log has room for or what needs a look.

    Where much has come at once, `pause` is called.
    """
    decoder = tap.decoder
    steps, long_header, longest_short = decoder.steps, decoder.long_header, decoder.longest_short
    clock = time.monotonic_ns
    ready = True
    while True:
        data = yield
        write(data)
        now = clock()
        size = len(data)
        at = 0
        if not tap.room:
            if ready and size > 1:
                step = steps[data[0]][data[1]]
                if step == LONG and size > longest_short:
                    step = long_header + (data[2] << 8 | data[3])
                if step == size:
                    decoder.omitted_frames += 1
                    decoder.omitted_bytes += size
                    decoder.last_ns = now
                    continue
            if decoder.plain:
                at = decoder.skip(data, now)
        if at < size:
            tap.receive_data(data[at:], now)
        if size > _MUCH:
            pause()
        ready = decoder.ready
        data = b""  # as above
