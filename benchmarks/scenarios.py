"""What is measured, under which load, and the target where there is one.  Data, and nothing else."""

import os
import resource
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from benchmarks.peers import LOGS, NGINX, PROXIES, Peer, workers

Kind = Literal["traffic", "memory", "start"]
"""A load and what it costs; idle connections and what they take; the start, and doing nothing."""

Mode = Literal["echo", "handshake", "http", "idle", "tick"]
"""As the load generator has them (benchmarks/native/load.c)."""

Cores = Literal["apart", "one", "free"]
"""The load and the proxy on different cores; everything on one core; wherever the system puts it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What the load generator is told to do."""

    label: str
    """The name of its row."""
    x: float = 0
    """What is varied where the scenario shows how cost grows."""
    mode: Mode = "echo"
    connections: int = 32
    size: int = 128
    """Bytes of payload in a frame."""
    batch: int = 1
    """Frames in a write."""
    path: str = "/small"
    """What plain requests ask for."""
    least: float = 0
    """Seconds below which measuring makes no sense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is to hold: `metric` of `peer` is at most `factor` times that of `against`."""

    metric: str
    peer: str
    against: str
    factor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One question, and how it is asked."""

    name: str
    title: str
    kind: Kind = "traffic"
    loads: Sequence[Load] = ()
    peers: Sequence[Peer] = PROXIES
    cores: Cores = "apart"
    grows: str = ""
    """What grows from load to load, with its unit, where that is the question."""
    rounds: int = 0
    """At most so many rounds; 0: as many as were asked for."""
    target: Target | None = None


def _fitting(connections: int) -> int:
    """`connections`, or the hundreds that the limit of open files admits: a proxy has two for each."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    return connections if most == resource.RLIM_INFINITY else min(connections, (most - 200) // 200 * 100)


MANY: Final = _fitting(10_000)
KIB: Final = 1024
MIB: Final = 1024 * KIB


def _sized(size: int) -> str:
    return f"{size // MIB} MiB" if size >= MIB else f"{size // KIB} KiB" if size >= KIB else f"{size} B"


SCENARIOS: Final = (
    Scenario(name="S1", title="Ping-pong, 32 connections, 128 B", loads=[Load(label="S1 ping-pong")]),
    Scenario(
        name="S1x1",
        title="The same, everything on one core",
        loads=[Load(label="S1x1 all on one core")],
        cores="one",
    ),
    Scenario(
        name="S2",
        title="Messages of 64 KiB, 8 connections",
        loads=[Load(label="S2 messages of 64 KiB", size=64 * KIB, connections=8)],
    ),
    Scenario(
        name="S3",
        title="Opening handshake, one echo, close",
        loads=[Load(label="S3 opening handshakes", mode="handshake")],
    ),
    Scenario(
        name="S4",
        title="Plain HTTP requests, keep-alive",
        loads=[
            Load(label="S4 plain HTTP, 13 B", mode="http", path="/small"),
            Load(label="S4 plain HTTP, 1 MiB", mode="http", path="/big", connections=8),
        ],
    ),
    Scenario(
        name="S5",
        title="64 frames of 16 B in a write, 8 connections",
        loads=[Load(label="S5 64 frames of 16 B a write", size=16, batch=64, connections=8)],
    ),
    Scenario(
        name="S6",
        title="Memory of idle connections",
        kind="memory",
        loads=[
            Load(label=f"S6 memory, {number:,} idle", mode="idle", connections=number)
            for number in (1_000, MANY)
        ],
        rounds=1,
    ),
    Scenario(
        name="S7",
        title="A tick a second to 2,000 connections",
        loads=[Load(label="S7 ticks to 2,000", mode="tick", connections=2_000, least=2)],
    ),
    Scenario(
        name="S8",
        title="The log",
        loads=[
            Load(label="S8 ping-pong", least=2),
            Load(label="S8 tick", mode="tick", connections=1_000, least=2),
        ],
        peers=LOGS,
        cores="free",
        target=Target(metric="p99_us", peer="aileron-up", against="aileron-json", factor=1.1),
    ),
    Scenario(
        name="connections",
        title="How cost grows with connections (ping-pong, 128 B)",
        loads=[Load(label=f"{n:,}", x=n, connections=n) for n in (10, 100, 1_000, MANY)],
        grows="connections",
        rounds=5,
    ),
    Scenario(
        name="size",
        title="How cost grows with the size of a message (8 connections)",
        loads=[
            Load(label=_sized(size), x=size, size=size, connections=8)
            for size in (16, 256, 4 * KIB, 64 * KIB, MIB, 16 * MIB)
        ],
        grows="bytes in a message",
        rounds=5,
    ),
    Scenario(
        name="frames",
        title="How cost grows with frames in a write (32 connections, 16 B)",
        loads=[Load(label=f"{n:,}", x=n, size=16, batch=n) for n in (1, 10, 100, 1_000)],
        grows="frames in a write",
        rounds=5,
    ),
    Scenario(
        name="workers",
        title="Throughput with --workers (ping-pong, 32 connections, 128 B)",
        loads=[Load(label="workers")],
        peers=[NGINX, *(workers(number) for number in range(1, len(os.sched_getaffinity(0)) + 1))],
        cores="free",
    ),
    Scenario(
        name="start",
        title="Start-up and footprint",
        kind="start",
        loads=[Load(label="start"), Load(label="aileron-demo")],
        rounds=3,
    ),
)


def light(scenario: Scenario) -> Scenario:
    """The same with a load that takes no time, to see that all works."""
    loads = scenario.loads if scenario.kind == "start" else scenario.loads[:1]
    return replace(
        scenario,
        loads=[replace(load, connections=min(load.connections, 20), least=0) for load in loads],
    )
