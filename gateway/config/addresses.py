"""Where a server listens and where an upstream is: text → parts, checked.

Both parsers raise ValueError with words for the author of the config.  No message repeats any part of a
url in which credentials might stand.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import quote

from gateway.config.problems import quoted

_HOST_NAME: Final = re.compile(r"[0-9A-Za-z_]([0-9A-Za-z_.-]*[0-9A-Za-z_.])?")
"""Letters, digits, hyphens and dots as in RFC 1123, and underscores, which container names have."""

_IPV4: Final = re.compile(r"[0-9]+(\.[0-9]+){3}")

_DIGITS_AND_DOTS: Final = re.compile(r"[0-9.]+")

_NUMBER: Final = re.compile(r"[0-9]{1,9}")

_WEB_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
"""What people write before "://", and what an upstream's url has there: WebSockets begin as HTTP."""

_BARE: Final = re.compile(r"(//)?([0-9A-Za-z_.-]+(:[0-9]+)?/?)")
"""A host and perhaps a port that lack the scheme; nothing in it can be a password."""


_EVERYWHERE: Final = frozenset((None, "0.0.0.0", "::"))  # noqa: S104  (compared, not bound)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a server listens."""

    network: Literal["tcp", "tcp4", "tcp6", "unix"]
    """`tcp` is both families, as far as the host has them."""
    host: str | None = None
    """A name or an address, an IPv6 one without brackets; None means every interface."""
    port: int = 0
    """0: the system chooses one."""
    path: str = ""
    """Of a unix socket; with "@" in front, a name in Linux's abstract namespace."""

    def meets(self, other: "Address") -> bool:
        """Whether no two sockets can listen at both."""
        if "unix" in (self.network, other.network):
            return self.path == other.path
        if self.port == 0 or self.port != other.port or {self.network, other.network} == {"tcp4", "tcp6"}:
            return False
        return self.host == other.host or not _EVERYWHERE.isdisjoint((self.host, other.host))

    def __str__(self) -> str:
        if self.network == "unix":
            return f"unix://{self.path}"
        return host_port(self.host or "", self.port)


ADDR_WORDS: Final = 'write it as in "localhost:8080", or ":8080" for every interface'
"""How an `addr` is written."""

_NETWORKS: Final[tuple[Literal["tcp", "tcp4", "tcp6"], ...]] = ("tcp", "tcp4", "tcp6")

_NAMED_PORTS: Final = {"http": 80, "https": 443, "http-alt": 8080}


def parse_addr(addr: str) -> Address:
    """Where `addr` says to listen, as in `HTTPServer.spec.addr` (core-v1, section 4.1).

    `:8080` (every interface), `localhost:8080`, `127.0.0.1:8080`, `[::1]:8080`; `tcp://`, `tcp4://` or
    `tcp6://` before any of them; `unix:///path` and `unix://@abstract`.  Port 0 lets the system choose one.
    Raises ValueError.
    """
    scheme, separator, rest = addr.partition("://")
    if separator and scheme.lower() in _WEB_SCHEMES:
        raise ValueError(f'write it without {quoted(f"{scheme}://", marks="")}, as in "localhost:9090"')
    if separator and scheme == "unix":
        return _unix(rest)
    if addr.startswith(("@", "/")):
        raise ValueError(f"a unix socket is written as {quoted(f'unix://{addr}')}")
    network = next((each for each in _NETWORKS if separator and each == scheme), None)
    if separator and network is None:
        raise ValueError(f"{quoted(scheme)} is no network to listen on; tcp, tcp4, tcp6 and unix are")
    host, port = _listening(rest if separator else addr)
    found = Address(network=network or "tcp", host=host, port=port)
    if host is not None and (
        (network == "tcp4" and ":" in host) or (network == "tcp6" and _IPV4.fullmatch(host))
    ):
        raise ValueError(f"{quoted(host)} is no address of {network}")
    return found


def _unix(path: str) -> Address:
    if not path.startswith(("/", "@")) or len(path) == 1:
        raise ValueError('a unix socket has an absolute path, as in "unix:///run/gateway.sock"')
    if len(path.encode()) > 107 or "\0" in path:
        raise ValueError("the path of a unix socket has at most 107 bytes, and no NUL among them")
    return Address(network="unix", path=path)


def _listening(addr: str) -> tuple[str | None, int]:
    bracketed = addr.startswith("[")
    host, colon, port = addr.rpartition(":")
    if not colon or (bracketed and not host.endswith("]")):
        if _NUMBER.fullmatch(addr):
            raise ValueError(
                f'a port alone is not enough; write "localhost:{addr}" for this machine only, or ":{addr}" '
                "for every interface"
            )
        raise ValueError(f"the port is missing; write it as in {quoted(f'{addr}:8080')}")
    if host in ("*", "[]"):
        raise ValueError(f"all interfaces are meant where there is no host; write {quoted(f':{port}')}")
    if ":" in host and not bracketed:
        raise ValueError(f"an IPv6 address stands in brackets; write {quoted(f'[{host}]:{port}')}")
    return (_host(host) if host else None), _NAMED_PORTS.get(port) or _port(port, lowest=0)


def host_port(host: str, port: int) -> str:
    """Host and port in one, as a url has them: an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address, is this machine for whoever uses it (RFC 6761 section 6.3)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """Where requests are sent to: the url of an `upstreams` entry, without its credentials and its path.

    AILERON ignores both as well (core-v1, section 5.5).
    """

    scheme: str
    """`http` or `https`."""
    host: str
    """A name or an address to connect to; an IPv6 address stands without brackets."""
    port: int
    authority: str
    """What the `Host` field of a request to it says: the port only where the url has one."""
    query: str = ""
    """Goes before the query of each request; without the `?`."""

    @property
    def url(self) -> str:
        """For people to read."""
        return f"{self.scheme}://{self.authority}"


def parse_upstream(url: str) -> Upstream:
    """The upstream that `url` names.  Raises ValueError."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("http", "https"):
        raise ValueError(f'the url has to begin with "http://" or "https://"{_scheme_hint(url)}')
    if found := re.search(r"[\x00-\x20\x7f]", url):
        comment = '; a comment begins with " #"' if re.search(r" //|#.* ", url) else ""
        raise ValueError(
            f"a url cannot hold {'spaces' if found[0] == ' ' else 'control characters'}{comment}"
        )
    rest, _, query = rest.partition("#")[0].partition("?")
    _, _, hostport = rest.partition("/")[0].rpartition("@")
    try:
        host, authority, port = _authority(hostport, default_port=443 if scheme == "https" else 80)
    except ValueError:
        if "@" in url:
            raise ValueError(
                'no host and port stand between "@" and the next "/"; in a user name or a password, "/", '
                '"?", "#" and "@" are written as %2F, %3F, %23 and %40'
            ) from None
        raise
    return Upstream(
        scheme=scheme, host=host, port=port, authority=authority, query=quote(query, safe=_QUERY_SAFE)
    )


def _scheme_hint(url: str) -> str:
    """What to write instead of a url that begins wrongly; repeats nothing in which a password may stand."""
    if url.startswith("${") and "}" not in url:
        return '; a "}" is missing behind the name of the variable'
    scheme, separator, _ = url.partition("://")
    if separator and (right := _WEB_SCHEMES.get(scheme.lower())):
        if right == scheme.lower():
            return f"; write {quoted(right)} in lower case"
        return f'; WebSockets go through it as well, so write "{right}://" instead of "{scheme.lower()}://"'
    if re.match(r"https?:/?[^/]", url):
        return "; two slashes stand behind the colon"
    if bare := _BARE.fullmatch(url):
        return f"; write {quoted(f'http://localhost:{url}' if url.isdecimal() else f'http://{bare[2]}')}"
    return ""


_QUERY_SAFE: Final = "".join(map(chr, range(0x21, 0x7F)))


def _authority(hostport: str, *, default_port: int) -> tuple[str, str, int]:
    """Host, authority and port."""
    if hostport.count(":") > 1 and not hostport.startswith("["):
        raise ValueError("an IPv6 address stands in brackets, as in http://[::1]:9090")
    found = re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]*)(:(.*))?", hostport)
    if found is None:
        raise ValueError('after "//" stands a host and, behind a colon, a port')
    host, colon, port = found.groups()
    if not host:
        hint = f"localhost{colon or ''}"
        raise ValueError(f"the host is missing; for this machine it is {quoted(hint)}")
    number = default_port if colon is None else _port(port, lowest=1)
    name = _host(host)
    shown = f"[{name.partition('%')[0]}]" if ":" in name else name
    return name, f"{shown}{colon or ''}", number


def _host(host: str) -> str:
    """`host` without brackets."""
    if host.startswith("["):
        address = host[1:-1].replace("%25", "%")
        try:
            ipaddress.IPv6Address(address)
        except ValueError:
            raise ValueError(f"{quoted(host)} is not an IPv6 address in brackets") from None
        return address
    if _DIGITS_AND_DOTS.fullmatch(host):
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            raise ValueError(f"{quoted(host)} is not an IPv4 address") from None
    if _HOST_NAME.fullmatch(host) and len(host) <= 253:  # RFC 1035, section 2.3.4
        return host
    try:
        ascii_form = host.encode("idna").decode("ascii") if not host.isascii() else ""
    except UnicodeError:
        ascii_form = ""
    hint = f"; write its ASCII form, {quoted(ascii_form)}" if ascii_form else ""
    raise ValueError(f"{quoted(host)} is not the name of a host{hint}")


def _port(port: str, *, lowest: int) -> int:
    if not port:
        raise ValueError("the port is missing behind the colon")
    if not _NUMBER.fullmatch(port):
        named = _NAMED_PORTS.get(port)
        hint = f"; write {named}" if named else ""
        raise ValueError(f"{quoted(port)} is not a port number{hint}")
    if not lowest <= int(port) <= 65535:
        raise ValueError(f"port {int(port)} is out of range; ports go from {lowest or 1} to 65535")
    return int(port)
