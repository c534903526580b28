"""Gateways of several workers, and an eye on their processes."""

import asyncio
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from gateway.events import Reload
from tests.gateway.proxy.raw import open_tunnel
from tests.gateways import GatewayProcess, config_of
from tests.servers import PATIENCE, Peer, Upstream


def start(upstream: Upstream, *options: str, workers: int = 2, shutdown_timeout: int = 5) -> GatewayProcess:
    """A gateway of several workers in front of `upstream`, with JSON lines."""
    config = config_of(f"http://127.0.0.1:{upstream.port}", shutdown_timeout=shutdown_timeout)
    return GatewayProcess(config, "--workers", str(workers), *options, daemon=True)


def workers_of(parent: int) -> list[int]:
    """The processes that the process `parent` has started and that run, oldest first."""
    return sorted(
        int(each.name)
        for each in Path("/proc").iterdir()
        if each.name.isdecimal() and _parent_of(each) == parent
    )


def _parent_of(process: Path) -> int | None:
    try:
        state, parent = (process / "stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return None  # it has gone in the meantime
    return None if state == "Z" else int(parent)


async def all_gone(processes: Sequence[int], patience: float = PATIENCE) -> None:
    """Wait for the end of all `processes`, whoever's they are."""
    async with asyncio.timeout(patience):
        for each in processes:
            await _gone(each)


async def _gone(process: int) -> None:
    try:
        descriptor = os.pidfd_open(process)
    except ProcessLookupError:
        return
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def kill(process: int) -> None:
    """End a process the hard way, and wait for its end."""
    os.kill(process, signal.SIGKILL)
    await all_gone([process])


Pair = tuple[Peer, Peer]
"""A WebSocket: the client's end and the upstream's."""


async def open_over_all(gateway: GatewayProcess, upstream: Upstream) -> list[Pair]:
    """WebSockets, of which each worker has one at least."""
    pairs: list[Pair] = []
    idle = {each: _sockets(each) for each in workers_of(gateway.pid)}
    while any(_sockets(each) < before + 2 for each, before in idle.items()):
        assert len(pairs) < 100, "one worker gets no connections"
        pairs.append(await open_tunnel(gateway.port, upstream))
    return pairs


def close_all(pairs: Sequence[Pair]) -> None:
    """Close both ends of each."""
    for pair in pairs:
        for each in pair:
            each.close()


def _sockets(process: int) -> int:
    count = 0
    for each in Path(f"/proc/{process}/fd").iterdir():
        try:
            count += str(each.readlink()).startswith("socket:")
        except OSError:
            continue  # closed in the meantime
    return count


def begin(config: str, *options: str) -> GatewayProcess:
    """Two workers, which reload on SIGHUP."""
    return GatewayProcess(config, "--workers", "2", *options, daemon=True)


async def reload(gateway: GatewayProcess, config: str) -> Reload:
    """What comes of a reload with this config in the file."""
    past = len(gateway.records.all(Reload))
    gateway.path.write_text(config)
    gateway.signal(signal.SIGHUP)
    return await gateway.records.wait_for(Reload, past=past)
