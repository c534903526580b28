"""Random byte streams through live gateways: a few in every run, and what longer runs have found."""

import asyncio
from typing import Final

import pytest

from gateway.proxy.log import Frames
from tests.fuzz.plans import How, Plan, Script
from tests.fuzz.tunnel import Lived, Site, Way, open_tunnel, site
from tests.gateway.proxy.raw import frame
from tests.gateways import LOOPS, Loop
from tests.servers import Peer

FRAMES: dict[Loop, Frames] = {"uvloop": "json", "asyncio": "off"}
"""Either way of forwarding: with somebody who looks at the frames, and without."""

FOUND: Final = (50762296, 3443818037)
"""What longer runs have found: upstreams over TLS whose last bytes were lost, and the loss told as an end."""

NOTHING = Script(pieces=[], pauses=[], lazy=0.0, glued=False)


@pytest.mark.parametrize("loop", LOOPS)
async def test_what_goes_in_comes_out(loop: Loop) -> None:
    """Split at random, with pauses, half-closes and resets, with and without TLS; nothing is left open.

    A failure names its seed; `python -m tests.fuzz tunnel --seed SEED` tries it again.
    """
    async with site(loop, FRAMES[loop]) as place:
        assert await place.tunnels(Plan.of(seed) for seed in (*range(24), *FOUND)) == []
        await _all_of_it_comes(place)


@pytest.mark.parametrize(
    ("got", "how", "reset", "words"),
    [
        (b"whole", "fin", None, None),
        (b"who", "reset", "early", None),
        (b"whole", "fin", "late", None),
        (b"wh", "fin", None, "of 5 bytes from the client, 2 came"),
        (b"whxle", "fin", None, "of 5 bytes from the client, 5 came, which differ from byte 2 on"),
        (b"whole!", "fin", None, "of 5 bytes from the client, 6 came, which differ from byte 5 on"),
        (b"whole", "reset", None, "of 5 bytes from the client, 5 came, and then a reset"),
        (
            b"who",
            "fin",
            "early",
            "of 5 bytes from the client, 3 came, then it reset, which was told as an end",
        ),
        (
            b"who",
            "fin",
            "late",
            "of 5 bytes from the client, 3 came, then it reset, and the rest was passed off as all",
        ),
    ],
)
def test_the_oracle_can_object(got: bytes, how: How, reset: str | None, words: str | None) -> None:
    """To bytes that are missing, or others, and to an end that is another."""
    sent = Script(
        pieces=[b"whole"],
        pauses=[0.0],
        lazy=0.0,
        glued=False,
        how="reset" if reset else "fin",
        early=reset == "early",
    )
    plan = Plan(seed=0, tls=False, client=sent, upstream=NOTHING)
    way = Way("client", sent, NOTHING, Lived(got=bytearray(got), how=how), plan)
    assert list(way.wrong()) == ([] if words is None else [words])


async def _all_of_it_comes(place: Site) -> None:
    """A client that is still sending gets all of what an upstream over TLS has sent before it ended.

    The gateway closes the client's connection then, with bytes unread that nobody wants any more: the system
    would reset it, and drop what is on its way.
    """
    plan = Plan(seed=-1, tls=True, client=NOTHING, upstream=NOTHING)
    much = frame(bytes(2 << 20), opcode=2)
    client, upstream = await open_tunnel(place.gateway.port, plan, place.upstreams, receive_buffer=1 << 16)
    with client, upstream.peer:
        await client.send(frame(b"", opcode=2, masked=True, length=1 << 40))
        await _fill(client)
        sending = asyncio.create_task(upstream.send(much))
        came = b""
        while len(came) < len(much) // 4:  # the gateway can take the rest from the upstream
            came += await client.read_some()
        await sending
        await upstream.finish()
        while piece := await client.read_some():
            came += piece
            await asyncio.sleep(0.001)
        assert came == much


async def _fill(peer: Peer) -> None:
    """Send until nobody takes any more, which is when three attempts in a row were in vain."""
    vain = 0
    while vain < 3:
        try:
            peer.sock.send(bytes(1 << 16))
            vain = 0
        except BlockingIOError:
            vain += 1
            await asyncio.sleep(0.05)
