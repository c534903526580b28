"""Gateways to be stopped, and what a stop looks like."""

from tests.gateway.proxy.raw import close, read_frame
from tests.gateways import GatewayThread, Loop, config_of
from tests.servers import Peer, Upstream

SOON = 3.0
"""Seconds that a stop may take where everybody answers; `shutdownTimeout` is more in each test of this."""

GOING_AWAY = close(1001)
"""What a client is sent: unmasked, without a reason."""


def start(upstream: Upstream, loop: Loop = "uvloop", shutdown_timeout: int = 10) -> GatewayThread:
    """A gateway to be stopped."""
    config = config_of(f"http://127.0.0.1:{upstream.port}", shutdown_timeout=shutdown_timeout)
    return GatewayThread(config, loop=loop)


async def expect_going_away(peer: Peer, *, masked: bool) -> None:
    """The next frame that `peer` gets is a Close 1001, and the way there is at an end afterwards."""
    assert await read_frame(peer) == (0x88, b"\x03\xe9", masked)


async def answer(client: Peer, server: Peer) -> None:
    """Both peers say what a peer says to a Close, and the gateway closes both connections."""
    await client.send(close(1001, masked=True))
    await server.send(close(1001))
    assert await client.read_to_end() == b""
    assert await server.read_to_end() == b""
