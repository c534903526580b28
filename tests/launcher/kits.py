"""Kits of small children, for tests that need a launcher and no real servers."""

import sys
from collections.abc import Sequence
from pathlib import Path

from gateway.config import Upstream
from launcher.files import ConfigFile
from launcher.kit import GATEWAY, UPSTREAM, Address, Kit, Part

NINETY = Upstream(scheme="http", host="localhost", port=9090, authority="localhost:9090")


def script(source: str) -> tuple[str, ...]:
    """The command line of a child that runs `source`."""
    return (sys.executable, "-P", "-c", source)


def part(name: str = GATEWAY, source: str = "", port: int = 0, hosts: Sequence[str] = ("127.0.0.1",)) -> Part:
    """A child that is to listen on `port` of each host."""
    addresses = tuple(Address(host, port) for host in hosts)
    return Part(name=name, command=script(source), addresses=addresses, cure="take another port")


def kit(*parts: Part, bypassed: str | None = None, own: bool = True) -> Kit:
    """A kit of `parts`; without any, one that only looks like the real one."""
    return Kit(
        parts=parts or (part(UPSTREAM, port=9090), part(GATEWAY, port=8080)),
        config=ConfigFile(Path("config.yaml"), own=own),
        page=None,
        routes=(NINETY,),
        open_page=False,
        bypassed=bypassed,
    )
