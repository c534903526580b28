"""The limits that only this kit has, as the command line sets them; the others stand in a config.

One frozen value travels from there to whatever has to hold a limit.  `docs/limits.md` tells what a limit
means, and what is seen of it.
"""

from dataclasses import dataclass
from typing import Final

HEADER_FIELDS: Final = 256
"""Fields that the head of a message may have, unless told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnLimits:
    """What the command line may set; the names are those of the options."""

    header_fields: int = HEADER_FIELDS
    """Fields that the head of a request, or of an upstream's answer, may have."""
    handshake_timeout: float = 10.0
    """Seconds to connect to an upstream, TLS included; and again for its answer to an opening handshake."""
    stall_timeout: float = 60.0
    """Seconds for which a peer of a tunnel may take nothing while bytes wait for it.  0: no limit."""
    tunnel_buffer: int = 64 * 1024
    """Bytes that may wait for a peer of a tunnel before the other one is no longer read."""
    idle_timeout: float = 0.0
    """Seconds for which nothing may pass through a tunnel.  0: no limit."""


DEFAULT_LIMITS: Final = OwnLimits()
"""Where the command line says nothing."""
