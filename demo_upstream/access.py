"""Who may come in: which Origin and which Host are welcome.  Pure.

Strategy
    A browser lets any page open a WebSocket to any host, so a page elsewhere could talk to a server on
    this machine; the Origin header (RFC 6454, RFC 6455 section 10.2) tells where the page came from, and
    scripts cannot forge it.  Plain GETs of one's own site carry no Origin, and a name that its owner lets
    point to 127.0.0.1 after the page has loaded (DNS rebinding) makes this server look like the page's own
    site; the Host header then still has that name.

Rules
    * An address cannot be rebound, nor can `localhost` or this machine's own name: those are ours.  Any
      other name is welcome only where --allow-origin has it.
    * A WebSocket is judged by its Origin: none (not a browser), this machine, or the very host that the
      browser addressed where that is ours.  That host is in X-Forwarded-Host behind a gateway, else in
      Host.  X-Forwarded-Host is only as good as who sends it, but a page cannot add headers to a WebSocket
      handshake, and who is not a browser needs no permission of this kind.
    * A plain request is judged by Host and X-Forwarded-Host together, each of which must be ours: a rebound
      page may well add an X-Forwarded-Host to a fetch from what it takes for its own site, so that header
      can only ever make a request less welcome here.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, Self

_ORIGIN: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?P<port>:[0-9]{1,5})?"
)
_HOST: Final = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_SHOWN: Final = 200
"""Characters of a header that a refusal repeats."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A web origin (RFC 6454): where a page came from."""

    scheme: str
    host: str
    """In lower case, an IPv6 address in brackets."""
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """The origin that `text` (`https://name.example`, with a port or without) stands for.

        Raises ValueError, with a message for people.
        """
        match = _ORIGIN.fullmatch(text.lower())
        if match is None:
            raise ValueError(
                f"{text!r} is not an origin; write it as https://name.example or http://10.0.0.5:8080"
            )
        port = int(match["port"][1:]) if match["port"] else _DEFAULT_PORTS[match["scheme"]]
        return cls(match["scheme"], match["host"], port)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The judgement on Origin and Host."""

    own_names: frozenset[str] = frozenset()
    """This machine's names besides localhost, in lower case."""
    allowed: frozenset[Origin] = frozenset()
    """What --allow-origin names."""
    _allowed_hosts: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Keep the hosts of the allowed origins at hand."""
        object.__setattr__(self, "_allowed_hosts", frozenset(origin.host for origin in self.allowed))

    def refuse_origin(self, origins: Sequence[str], addressed: Iterable[str]) -> str | None:
        """Why a WebSocket with these Origin headers is refused, or None where it is welcome.

        `addressed` is what the browser addressed: the values of X-Forwarded-Host where there are any, else
        of Host.
        """
        hosts = {host for value in addressed for host in _hosts(value)}
        for text in origins:
            try:
                origin = Origin.parse(text)
            except ValueError:
                return (
                    f"A WebSocket from Origin {text[:_SHOWN]!r} is refused: "
                    "only pages that this machine serves may talk to this demo."
                )
            ours = _is_loopback(origin.host) or (origin.host in hosts and self._is_ours(origin.host))
            if not ours and origin not in self.allowed:
                return (
                    f"A WebSocket from Origin {text[:_SHOWN]} is refused: a page elsewhere must not talk to "
                    "a demo on this machine. Where that is your own page, start with "
                    f"--allow-origin {text[:_SHOWN]}"
                )
        return None

    def refuse_host(self, values: Iterable[str]) -> str | None:
        """Why a plain request with these Host and X-Forwarded-Host headers is refused, or None."""
        for value in values:
            names = _hosts(value)
            if not names:
                return f"The host {value[:_SHOWN]!r} is not one."
            for name in names:
                if not self._is_ours(name) and name not in self._allowed_hosts:
                    return (
                        f"The host {name[:_SHOWN]} is refused: a name that is not this machine's own may "
                        "have been made to point here. Where it is yours, start with "
                        f"--allow-origin https://{name[:_SHOWN]} (scheme and port as the browser shows them)"
                    )
        return None

    def _is_ours(self, host: str) -> bool:
        """Whether no stranger can make `host` point to this machine."""
        return _is_loopback(host) or _address(host) is not None or host in self.own_names


def own_names(hostname: str) -> frozenset[str]:
    """The names by which its own network knows a machine: with and without its domain, and in mDNS."""
    name = hostname.lower().rstrip(".")
    first = name.split(".", 1)[0]
    return frozenset({name, first, f"{first}.local"}) if first else frozenset()


def host_of(value: str) -> str | None:
    """A Host header's value in lower case where it is well-formed, else None."""
    value = value.strip().lower()
    return value if _HOST.fullmatch(value) else None


def _hosts(value: str) -> list[str]:
    """The hosts in a Host or X-Forwarded-Host header, without ports; empty where one is malformed."""
    matches = [_HOST.fullmatch(part.strip().lower()) for part in value.split(",")]
    return [match["host"] for match in matches if match] if all(matches) else []


def _is_loopback(host: str) -> bool:
    """Whether `host` is this machine for whoever uses the name (RFC 6761 section 6.3 for names)."""
    address = _address(host)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback if address else host == "localhost" or host.endswith(".localhost")


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
