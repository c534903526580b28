"""aiohttp's reader in Python, which stands in where its extension is missing (as on PyPy).

It takes some of what the other one refuses; so the tables do not hold for it, but what they are for does.
"""

from typing import Final

from tests.attacks import test_framing, test_heads
from tests.attacks.attacks import launch
from tests.attacks.recorder import Recorder
from tests.gateways import GatewayProcess, config_of
from tests.servers import reserved_port

OTHERWISE: Final = frozenset({"no length, and a body", "chunks: past 64 bits"})
"""Those in which it takes the probe for what its sender has begun: a method, a chunk without an end."""


async def test_nothing_is_smuggled() -> None:
    """Nothing that is hidden in a request reaches the upstream as one, and the probe is not changed."""
    with reserved_port() as port:
        config = config_of(f"http://127.0.0.1:{port}")
        with GatewayProcess(config, env={"AIOHTTP_NO_EXTENSIONS": "1"}) as gateway:
            async with Recorder(port) as recorder:
                for attack in (*test_framing.ATTACKS, *test_heads.ATTACKS):
                    if attack.name not in OTHERWISE:
                        outcome = await launch(gateway.port, recorder, attack.sent)
                        assert not [
                            each for each in outcome.reached if b" /smuggled " in each.split(b"\r\n")[0]
                        ]
