"""The echo server and the peers in front of it, all running until a measurement is over."""

import os
import socket
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers import DIRECT, Peer, Site
from benchmarks.processes import Process, StartError, serves
from benchmarks.scenarios import Cores
from benchmarks.tools import echo


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """What is running.  All mappings have the names of the peers."""

    tool_cores: Collection[int]
    """Where the load generator is to run, beside the echo server."""
    echo: Process
    ports: Mapping[str, int]
    """That of the echo server, DIRECT, as well."""
    processes: Mapping[str, Process]
    silent: Mapping[str, str]
    """Peers that did not start, and why."""

    def cpu(self, first: str) -> dict[str, float]:
        """Seconds of processor time that each has used, `first` read first; the echo server's as DIRECT."""
        processes = {DIRECT: self.echo, **self.processes}
        return {name: processes[name].cpu() for name in dict.fromkeys((first, *processes))}


@contextmanager
def fleet(peers: Sequence[Peer], cores: Cores) -> Iterator[Fleet]:
    """Start the echo server and `peers` on `cores`, and stop them all."""
    tool_cores, proxy_cores = placed(os.sched_getaffinity(0), cores)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmarks-")))
        folder.chmod(0o755)  # nginx's worker may be another user
        upstream, upstream_port = echo(_room(folder, DIRECT), tool_cores)
        stack.enter_context(upstream)
        ports = {DIRECT: upstream_port}
        processes: dict[str, Process] = {}
        silent: dict[str, str] = {}
        for peer in peers:
            site = Site(folder=_room(folder, peer.name), port=free_port(), upstream=upstream_port)
            try:
                process = start(peer, site, proxy_cores)
            except StartError as error:
                silent[peer.name] = str(error)
                continue
            processes[peer.name] = stack.enter_context(process)
            ports[peer.name] = site.port
        yield Fleet(tool_cores=tool_cores, echo=upstream, ports=ports, processes=processes, silent=silent)


def start(peer: Peer, site: Site, cores: Collection[int]) -> Process:
    """Start `peer` and wait until it serves what the upstream has.  Raises StartError."""
    process = Process(peer.command(site), folder=site.folder, cores=cores, output=peer.output)
    try:
        process.wait_until(lambda: serves(site.port))
    except BaseException:
        process.stop()
        raise
    return process


def placed(available: Collection[int], cores: Cores) -> tuple[set[int], set[int]]:
    """Which of the `available` cores are for the load and the echo server, and which for the proxies."""
    first, *others = sorted(available)
    if cores == "free":
        return set(available), set(available)
    return {first}, set(others) if others and cores == "apart" else {first}


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _room(folder: Path, name: str) -> Path:
    """A new folder in `folder`."""
    room = folder / name
    room.mkdir()
    return room
