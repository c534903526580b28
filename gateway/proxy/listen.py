"""Where a server listens: an address → bound sockets, with the kernel's probes set up.

Rules
    * Every address that a name stands for is bound; with port 0 they all get the same port.
    * What listens on a unix socket owns its file and removes it at the end; a file that somebody left there
      is never removed, since another program may be using it.
    * The probes of keepAliveConfig are set once, on the listening socket: connections inherit them.
"""

import asyncio
import errno
import ipaddress
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final

from gateway.config import Address, host_port, parse_addr
from gateway.config.resources.listen import KeepAliveConfig
from gateway.loading import Site

BACKLOG: Final = 1024
"""Connections that may wait to be accepted."""

_FAMILIES: Final = {"tcp": socket.AF_UNSPEC, "tcp4": socket.AF_INET, "tcp6": socket.AF_INET6}

_IDLE: Final = 15
_INTERVAL: Final = 15
_COUNT: Final = 9
"""Go's probes: seconds of silence before the first, seconds between two, and how many."""


Key = tuple[Address, str]
"""What tells one listener from another: the address and, where the system chooses the port, the server."""


class ServeError(Exception):
    """A config that has been loaded cannot be served."""


class ListenError(ServeError):
    """An address cannot be listened on."""


def key_of(site: Site) -> Key:
    """The key of the listener for `site`."""
    address = parse_addr(site.server.spec.address)
    chosen = address.network != "unix" and address.port == 0
    return address, site.server.label if chosen else ""


def port_of(site: Site) -> int | None:
    """The port that `site` wants; None where any will do, or there are none."""
    return parse_addr(site.server.spec.address).port or None


class Binder:
    """Gets the sockets of listeners, and gives them back."""

    async def bind(self, site: Site) -> list[socket.socket]:
        """Sockets bound to all that the address of `site` means.  Raises ListenError."""
        listen = site.server.spec.http_config.listen_config
        return await bind(key_of(site)[0], listen.keep_alive_config if listen else None)

    def close(self, sockets: list[socket.socket], site: Site) -> None:
        """Give the address of `site` up; leaves `sockets` empty."""
        close(sockets, key_of(site)[0])


async def bind(address: Address, keep_alive: KeepAliveConfig | None) -> list[socket.socket]:
    """Sockets bound to all that `address` means, not yet accepting anything.  Raises ListenError."""
    if address.network == "unix":
        return [_bind_unix(address)]
    sockets = await _bind_tcp(address)
    for sock in sockets:
        probe(sock, keep_alive or KeepAliveConfig())
    return sockets


def where(sock: socket.socket, scheme: str) -> tuple[str, str]:
    """The address that `sock` is bound to, and the url to open on this machine; of unix, both the same."""
    name = sock.getsockname()
    if sock.family not in {socket.AF_INET, socket.AF_INET6}:
        addr = f"unix://{_readable(name)}"
        return addr, addr
    host, port = name[:2]
    return host_port(host, port), f"{scheme}://{host_port(_to_browse(host), port)}"


def close(sockets: list[socket.socket], address: Address) -> None:
    """Close all sockets of an address, and remove the file of a unix socket; leaves `sockets` empty."""
    if sockets and address.path.startswith("/"):
        Path(address.path).unlink(missing_ok=True)
    while sockets:
        sockets.pop().close()


async def _bind_tcp(address: Address) -> list[socket.socket]:
    host, port, family = address.host, address.port, _FAMILIES[address.network]
    try:
        if host is None:
            dual = address.network == "tcp" and socket.has_dualstack_ipv6()
            if family == socket.AF_UNSPEC:
                family = socket.AF_INET6 if dual else socket.AF_INET
            return [socket.create_server(("", port), family=family, dualstack_ipv6=dual, backlog=BACKLOG)]
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ListenError(reason(address, error)) from error
    sockets: list[socket.socket] = []
    for each, _, _, _, name in dict.fromkeys(found):
        wanted = (name[0], port or (sockets[0].getsockname()[1] if sockets else 0))
        try:
            sockets.append(socket.create_server(wanted, family=each, backlog=BACKLOG))
        except OSError as error:
            if error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT} and len(found) > 1:
                continue  # the name has an address of a family that this machine does not have
            for sock in sockets:
                sock.close()
            raise ListenError(reason(address, error)) from error
    if not sockets:
        raise ListenError(f"cannot listen on {address}: it is no address of this machine")
    return sockets


def _bind_unix(address: Address) -> socket.socket:
    family = getattr(socket, "AF_UNIX", None)
    if family is None:
        raise ListenError(f"cannot listen on {address}: this system has no unix sockets; use host:port")
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Linux's abstract names begin with a NUL, which people write as "@".
        sock.bind("\0" + address.path[1:] if address.path.startswith("@") else address.path)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise ListenError(_unix_reason(address, error)) from error
    return sock


def probe(sock: socket.socket, config: KeepAliveConfig) -> None:
    """Let the kernel find out which silent clients have gone, as far as it can."""
    for option in probes(config):
        with suppress(OSError):  # an absurd value is refused by the system
            sock.setsockopt(*option)


def probes(config: KeepAliveConfig) -> tuple[tuple[int, int, int], ...]:
    """The socket options for that: level, name and value of each."""
    on = (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0 if config.disable else 1)
    if config.disable:
        return (on,)
    options = {"TCP_KEEPIDLE": config.idle or _IDLE, "TCP_KEEPALIVE": config.idle or _IDLE}
    if hasattr(socket, "TCP_KEEPIDLE"):
        del options["TCP_KEEPALIVE"]  # the name that macOS has for it
    options |= {"TCP_KEEPINTVL": config.interval or _INTERVAL, "TCP_KEEPCNT": config.count or _COUNT}
    # A negative value leaves it to the system, as in Go.
    there = {getattr(socket, name): value for name, value in options.items() if hasattr(socket, name)}
    return on, *((socket.IPPROTO_TCP, name, value) for name, value in there.items() if value > 0)


def reason(address: Address, error: OSError) -> str:
    """Why `address` cannot be listened on, in words."""
    match error.errno:
        case errno.EADDRINUSE:
            return f"cannot listen on {address}: the port is taken by another program"
        case errno.EACCES:
            return (
                f"cannot listen on {address}: this user may not use that port; ports from 1024 on need no "
                "rights"
            )
        case errno.EADDRNOTAVAIL:
            return f"cannot listen on {address}: it is no address of this machine"
    return f"cannot listen on {address}: {error.strerror or error}"


def _unix_reason(address: Address, error: OSError) -> str:
    what = f"cannot listen on {address}: "
    match error.errno:
        case errno.EADDRINUSE if address.path.startswith("@"):
            return f"{what}the name is taken by another program"
        case errno.EADDRINUSE:
            return (
                f"{what}the file is there already; if no program uses it any more, remove it with "
                f"`rm {address.path}`"
            )
        case errno.EACCES | errno.EROFS:
            return f"{what}this user may not write to the directory {os.path.dirname(address.path)}"  # noqa: PTH120 - a name, to be shown
        case errno.ENOENT:
            return f"{what}the directory {os.path.dirname(address.path)} does not exist"  # noqa: PTH120 - as above
    return f"{what}{error.strerror or error}"


def _to_browse(host: str) -> str:
    """The host to type into a browser on this machine for a socket bound to `host`."""
    if host in {"::", "0.0.0.0", "127.0.0.1", "::1"}:  # noqa: S104 - compared, not bound
        return "localhost"
    return host


def _readable(name: str | bytes) -> str:
    """The name of a unix socket; Python gives the abstract ones as bytes with a NUL in front."""
    return name if isinstance(name, str) else "@" + name[1:].decode("utf-8", "backslashreplace")


def peer_address(peer: object) -> tuple[str, int] | None:
    """Address and port of who is at the other end, as a transport tells it; None on a unix socket.

    An IPv4 client of a socket for both families is not made an IPv6 one by that.
    """
    return (peer[0].removeprefix("::ffff:"), peer[1]) if isinstance(peer, tuple) else None


def peer_name(peer: object) -> str:
    """The same as the log has it; `@` on a unix socket, as in Go."""
    address = peer_address(peer)
    return "@" if address is None else host_port(*address)


def ip_of(peer: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address of a client; an IPv4 one of a socket for both families is not made IPv6 by that."""
    found = ipaddress.ip_address(peer.partition("%")[0])
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found
