"""An address in words → bound sockets.

`localhost` means both loopback addresses here, whatever the hosts file says of it: a browser may try ::1
first, and a server on 127.0.0.1 alone would leave `localhost:9090` on ::1 to a stranger.  A family that
the machine does not have is left out.
"""

import errno
import os
import re
import socket
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

_PORT_TRIES: Final = 20
"""With port 0: how often a port that is free on one family may turn out to be taken on the other."""

_NO_SUCH_FAMILY: Final = frozenset(
    {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT, errno.ENOPROTOOPT}
)


@dataclass(frozen=True, slots=True)
class Addr:
    """Where to listen: a host name or address (empty: every interface) and a port (0: any that is free)."""

    host: str
    port: int

    def __str__(self) -> str:
        """`host:port`, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """What to open in a browser on this machine."""
        host = self.host if self.host not in {"", "0.0.0.0", "::"} else "localhost"  # noqa: S104 - compared
        return f"http://{Addr(host, self.port)}"


class ListenError(Exception):
    """An address cannot be listened on; the message says which, why, and what to do."""

    @classmethod
    def of(cls, addr: Addr, error: OSError) -> Self:
        """What `error` means for somebody who wants to listen on `addr`, on one line."""
        if error.errno in {errno.EADDRINUSE, getattr(errno, "WSAEADDRINUSE", errno.EADDRINUSE)}:
            cure = f"end it, or choose another port with --addr {Addr(addr.host, addr.port % 65535 + 1)}"
            return cls(f"cannot listen on {addr}: another program has that port; {cure}")
        if error.errno == errno.EACCES:
            return cls(f"cannot listen on {addr}: not permitted; ports below 1024 are often reserved")
        if error.errno == errno.EADDRNOTAVAIL:
            return cls(f"cannot listen on {addr}: that is not an address of this machine")
        return cls(f"cannot listen on {addr}: {os.strerror(error.errno) if error.errno else error}")


def parse_addr(text: str) -> Addr:
    """The address that `text` (`localhost:9090`, `:9090`, `[::1]:9090`) stands for.

    Raises ValueError, with a message for people.
    """
    match = re.fullmatch(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[^\s:\[\]/@]*)):(?P<port>[0-9]{1,5})", text)
    if match is None:
        hint = f"; did you mean localhost:{text}?" if re.fullmatch(r"[0-9]{1,5}", text) else ""
        raise ValueError(f"{text!r} is not an address; write it as localhost:9090 or [::1]:9090{hint}")
    port = int(match["port"])
    if port > 65535:
        raise ValueError(f"port {port} does not exist; the highest is 65535")
    return Addr(match["v6"] or match["name"], port)


def bind(addr: Addr) -> list[socket.socket]:
    """A bound socket for each address that `addr` stands for, all on one port, none listening yet.

    Raises ListenError; then nothing stays bound.
    """
    hosts = _hosts(addr)
    for _ in range(_PORT_TRIES):
        try:
            return _bind_all(hosts, addr)
        except OSError as error:
            if addr.port == 0 and error.errno == errno.EADDRINUSE:
                continue
            raise ListenError.of(addr, error) from error
    raise ListenError(f"cannot listen on {addr}: found no port that is free on every address; name one")


def _hosts(addr: Addr) -> list[tuple[socket.AddressFamily, str]]:
    """The addresses behind the host, each with its family."""
    if addr.host == "localhost":
        return [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
    if addr.host == "":
        return [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")]  # noqa: S104 - asked for
    try:
        found = socket.getaddrinfo(addr.host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ListenError(f"cannot listen on {addr}: {addr.host!r} is not known here ({reason})") from error
    return list(dict.fromkeys((family, str(sockaddr[0])) for family, _, _, _, sockaddr in found))


def _bind_all(hosts: Iterable[tuple[socket.AddressFamily, str]], addr: Addr) -> list[socket.socket]:
    """Sockets for all `hosts` on one port; raises OSError where one is refused or none is left."""
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    port = addr.port
    try:
        for family, host in hosts:
            try:
                sockets.append(_bind(family, host, port))
            except OSError as error:
                if error.errno not in _NO_SUCH_FAMILY:
                    raise
                missing = error
            else:
                port = sockets[0].getsockname()[1]
        if missing and not sockets:
            raise missing
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _bind(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":
            sock.setsockopt(
                socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1
            )  # REUSEADDR would share the port
        else:
            sock.setsockopt(
                socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
            )  # a restart need not wait for TIME_WAIT
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock
