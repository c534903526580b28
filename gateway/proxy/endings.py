"""How connections end by a reset, and what is to be delivered before: asyncio's transports do not tell.

Each of these takes a transport of either event loop.  Where the system does not do it or does not know,
there is nothing to be delivered, and the end is no reset.
"""

import asyncio
import os
import socket
import ssl
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from typing import Final

_RESET_ON_CLOSE: Final = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
"""SO_LINGER with no time to linger: closing sends RST, and drops what the system has not sent yet."""

_SIOCOUTQNSD: Final = 0x894B
"""Linux: how many bytes the system has taken and not sent yet (linux/sockios.h)."""

_READ: Final = 1 << 18


def reset(transport: asyncio.Transport) -> None:
    """Close a connection with a RST, where the system lets us."""
    sock = transport.get_extra_info("socket")
    if sock is not None:
        with suppress(OSError):  # the connection has gone already, or the system has no such option
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()


def unsent(transport: asyncio.Transport) -> int:
    """How many bytes have not been sent yet: in the transport, and in the system on Linux."""
    waiting = transport.get_write_buffer_size()
    return waiting + _queued(transport, _SIOCOUTQNSD) if sys.platform == "linux" else waiting


def on_its_way(transport: asyncio.Transport) -> int:
    """How many bytes the system has been given and the peer's has not taken, sent or not."""
    with suppress(ImportError):  # Windows has no such module
        return _queued(transport, import_module("termios").TIOCOUTQ)
    return 0


def _queued(transport: asyncio.Transport, request: int) -> int:
    """What the system tells of a connection's queue; 0 where it does not tell."""
    sock = transport.get_extra_info("socket")
    # Not every system knows it of a socket, nor of one that is no TCP; a closed one has no number.
    with suppress(ImportError, OSError, ValueError):
        if sock is not None:
            told: bytes = import_module("fcntl").ioctl(sock.fileno(), request, bytes(4))
            return int.from_bytes(told, sys.byteorder)
    return 0


def unread(transport: asyncio.Transport) -> Iterator[bytes]:
    """What had come before a connection ended, and was not read.

    A write may notice first that the peer has gone, and its last words lie in the system still.  Below TLS,
    uvloop drops what it has not handed over where the end comes while reading is paused.  Only inside of
    `connection_lost`: there the socket is still open, and nobody else reads from it.
    """
    tls = transport.get_extra_info("ssl_object")
    if tls is not None:
        with suppress(ssl.SSLError):  # there is no more, or not a whole record
            while data := tls.read(_READ):
                yield data
        return
    sock = transport.get_extra_info("socket")
    if sock is None:
        return
    with suppress(OSError):  # there is no more, or sockets are no files here
        while data := os.read(sock.fileno(), _READ):
            yield data
