"""What all listeners of a gateway share, and what one of them keeps of its WebSockets."""

import asyncio
import itertools
import ssl
from collections.abc import Callable

from gateway.headers import Secrets
from gateway.limits import OwnLimits
from gateway.proxy.dial import Dialer
from gateway.proxy.exchange import Exchanges
from gateway.proxy.log import EventLog
from gateway.proxy.names import Names
from gateway.proxy.tunnel import Tunnel


class Proxy:
    """What all listeners share: the ways upstream, the log, the numbers of the tunnels."""

    def __init__(
        self,
        log: EventLog,
        secrets: Secrets,
        tls: Callable[[], ssl.SSLContext],
        limits: OwnLimits,
        clients: Callable[[], int],
    ) -> None:
        self.log = log
        self.secrets = secrets
        self.limits = limits
        self.clients = clients
        """How many connections and WebSockets are open at all listeners."""
        names = Names()
        self.dialer = Dialer(tls, names, limits)
        self.exchanges = Exchanges(tls, names, limits)
        self.stopping = False
        """Whether a tunnel that opens now has to be ended at once."""
        self.numbers = itertools.count(1)
        """The numbers of the tunnels."""


class Tunnels:
    """The WebSockets of one listener."""

    def __init__(self) -> None:
        self.open: set[Tunnel] = set()
        self.all_closed = asyncio.Event()
        """Whether there is none."""
        self.all_closed.set()

    def add(self, tunnel: Tunnel) -> None:
        """A tunnel has opened."""
        self.open.add(tunnel)
        self.all_closed.clear()

    def remove(self, tunnel: Tunnel) -> None:
        """A tunnel has ended."""
        self.open.discard(tunnel)
        if not self.open:
            self.all_closed.set()
