"""The matrix: each server with each client, directly and through one gateway that knows every server.

config_for   a config that leads to all listeners, each at its own path
Pair         a server, compression, and the three ways to it
verdict      what is not as it should be with the transcripts of one pair
"""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.gateways import config_of
from tests.interop.servers import Listener
from tests.interop.talk import CLIENT_CLOSES, MESSAGES, PIECES, PROTOCOLS, SERVER_CLOSES, Transcript

WAYS: Final = ("direct", "http", "https")
"""To the server itself, and through the gateway to the same server without and with TLS."""

_BALANCER: Final = """\
    - pathMatcher: {{match: {path}, matchType: Prefix}}
      upstreams:
        - url: {url}
"""

_numbers = itertools.count(1)


def config_for(listeners: Iterable[Listener]) -> str:
    """A config.yaml that sends the path of each listener to it."""
    head, found, _ = config_of("").partition("    - pathMatcher:")
    assert found
    return head + "".join(_BALANCER.format(path=each.path, url=each.url) for each in listeners)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A server with or without compression, and where one client finds it."""

    name: str
    deflate: bool
    urls: Mapping[str, str]
    """A url for each of `WAYS`, under which a client may choose names that nobody else has."""


def pairs(listeners: Iterable[Listener], gateway_port: int) -> list[Pair]:
    """The servers as one client sees them, with urls that are its own."""
    found = []
    by_kind = {(each.server, each.deflate, each.tls): each for each in listeners}
    for (server, deflate, tls), listener in by_kind.items():
        if tls:
            continue
        secure = by_kind[server, deflate, True]
        bases = (
            f"ws://127.0.0.1:{listener.port}{listener.path}",
            f"ws://127.0.0.1:{gateway_port}{listener.path}",
            f"ws://127.0.0.1:{gateway_port}{secure.path}",
        )
        urls = {way: f"{base}{next(_numbers)}" for way, base in zip(WAYS, bases, strict=True)}
        name = f"{server}, {'with' if deflate else 'without'} compression"
        found.append(Pair(name=name, deflate=deflate, urls=urls))
    return found


def verdict(pair: Pair, transcripts: Mapping[str, Transcript], *, size: int = 0) -> list[str]:
    """What is wrong: the direct one has to be a conversation as it should be, the others have to be like it.

    `size` is that of long messages, as in `converse_at_length`.
    """
    direct = transcripts["direct"]
    wrong = [f"{pair.name}, directly: {what}" for what in _oddities(pair, direct, size)]
    for way in WAYS[1:]:
        for what in direct.keys() | transcripts[way].keys():
            one, other = direct.get(what), transcripts[way].get(what)
            if one != other:
                wrong.append(f"{pair.name}, {way}: {what} is {other!r}, and {one!r} directly")
    return wrong


def _oddities(pair: Pair, direct: Transcript, size: int) -> list[str]:
    """Why a conversation does not show what it is held for."""
    if "error" in direct:
        return [str(direct["error"])]
    odd = []
    if ("permessage-deflate" in direct["extensions"]) != pair.deflate:
        odd.append(f"the extensions agreed to are {direct['extensions']!r}")
    expected: dict[str, Any] = {"echoes": [f"{kind} of {size}: same" for kind in ("str", "bytes")]}
    if not size:
        expected = {
            "protocol": PROTOCOLS[1],
            "echoes": [f"{type(message).__name__} of {len(message)}: same" for message in MESSAGES],
            "pieces sent": "".join(PIECES),
            "pieces received": "".join(PIECES),
            "rest": None,
            "server closes": list(SERVER_CLOSES),
        }
        seen = direct["client closes"]
        if (seen["code"], seen["reason"]) != CLIENT_CLOSES:
            odd.append(f"the server saw {seen}")
    return odd + [f"{what} is {direct[what]!r}" for what, value in expected.items() if direct[what] != value]
