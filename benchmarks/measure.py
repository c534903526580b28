"""Rounds: the peers of a scenario, all running at once, each in turn under the same load.

Rules
    * Processor time is read when the load generator says that its window begins, and when it says that it
      has ended: what comes before and after costs nobody anything.
    * The order is another one in each round, so that nobody always comes after the same neighbour.
    * A peer that cannot carry a load is left out of its further rounds, and the result says why.
    * Memory and starts are measured on a process that nothing has happened to before, alone.
"""

import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.figures import Sample, figures
from benchmarks.fleet import Fleet, fleet, free_port
from benchmarks.peers import DIRECT, KIT, REFERENCE, MissingError, Peer, Site, kit_up
from benchmarks.processes import Process, StartError
from benchmarks.results import Result, Row, machine, now
from benchmarks.scenarios import Kind, Load, Scenario
from benchmarks.tools import End, Generator, LoadError, Open, Start

SETTLING: Final = 0.5
"""Seconds after which what idle connections have taken is read."""
SLOW: Final = 8.0
"""Seconds that are measured of a peer that has got nothing through in the usual time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured."""

    rounds: int
    seconds: float
    """Measured of each peer in each round."""
    warmup: float
    """Seconds of load before these."""
    tell: Callable[[str], None]
    """Told what goes on, a line of text at a time."""


def measure(scenario: Scenario, plan: Plan) -> Result:
    """Measure those peers of `scenario` that are here."""
    versions: dict[str, str] = {}
    skipped: dict[str, str] = {}
    peers = []
    for peer in scenario.peers:
        try:
            versions[peer.name] = peer.version()
            peers.append(peer)
        except MissingError as error:
            skipped[peer.name] = str(error)
            plan.tell(f"{scenario.name}: {peer.name} is skipped: {error}")
    rounds = min(plan.rounds, scenario.rounds or plan.rounds)
    plan = replace(plan, rounds=rounds)
    return Result(
        scenario=scenario.name,
        date=now(),
        machine=machine(),
        rounds=rounds,
        seconds=plan.seconds,
        versions=versions,
        skipped=skipped,
        rows=list(_MEASURES[scenario.kind](scenario, peers, plan)) if peers else [],
    )


def rotated(names: Sequence[str], number: int) -> list[str]:
    """`names` in the order of round `number`."""
    first = number % len(names)
    return [*names[first:], *names[:first]]


def _row(load: Load, names: Sequence[str], sample: Callable[[str], Sample], plan: Plan, what: str) -> Row:
    """All rounds of one load: `sample` measures one peer, by its name."""
    samples: list[dict[str, Sample]] = []
    skipped: dict[str, str] = {}
    for number in range(plan.rounds):
        plan.tell(f"{what}: {load.label}, round {number + 1} of {plan.rounds}")
        samples.append({})
        for name in rotated(names, number):
            if name in skipped:
                continue
            try:
                samples[-1][name] = sample(name)
            except (LoadError, StartError) as error:
                skipped[name] = str(error)
                plan.tell(f"{what}: {load.label}, {name} is left out: {error}")
    return Row(label=load.label, x=load.x, figures=figures(samples, REFERENCE), skipped=skipped)


def _traffic(scenario: Scenario, peers: Sequence[Peer], plan: Plan) -> Iterator[Row]:
    """What messages cost."""
    with fleet(peers, scenario.cores) as running:
        for load in scenario.loads:
            sample = partial(_loaded, running, load=load, plan=plan)
            row = _row(load, list(running.ports), sample, plan, scenario.name)
            yield replace(row, skipped={**running.silent, **row.skipped})


def _loaded(running: Fleet, name: str, load: Load, plan: Plan) -> Sample:
    """What `load` costs the peer `name`.  Raises LoadError."""
    usual = max(plan.seconds, load.least)
    for seconds in (usual, max(usual, SLOW)):
        end, used = _window(running, name, load, plan.warmup, seconds)
        if end.messages:
            return _sample(name, end, used)
    raise LoadError(f"nothing came through within {seconds:g} s, with {end.errors} errors")


def _window(
    running: Fleet, name: str, load: Load, warmup: float, seconds: float
) -> tuple[End, dict[str, float]]:
    """What the generator has measured, and the processor time that all used meanwhile.  Raises LoadError."""
    with Generator(
        load, running.ports[name], warmup=warmup, seconds=seconds, cores=running.tool_cores
    ) as generator:
        generator.wait_for(Start)
        before = running.cpu(name)
        end = generator.wait_for(End)
        used = {who: seconds - before[who] for who, seconds in running.cpu(name).items()}
        generator.finish()
    return end, used


def _sample(name: str, end: End, used: dict[str, float]) -> Sample:
    """What the generator said, and the seconds that each process has `used`, as a sample of peer `name`."""
    tools = end.cpu_seconds + used[DIRECT]
    others = sum(seconds for who, seconds in used.items() if who not in (name, DIRECT))
    proxy = {}
    if name != DIRECT:
        proxy = {"cpu_us": used[name] / end.messages * 1e6, "busy": used[name] / end.seconds * 100}
    return {
        **proxy,
        "rate": end.messages / end.seconds,
        "p50_us": end.p50_us,
        "p99_us": end.p99_us,
        "p999_us": end.p999_us,
        "tools_us": tools / end.messages * 1e6,
        "tools_busy": tools / end.seconds * 100,
        "others_busy": others / end.seconds * 100,
        "errors": end.errors,
    }


def _memory(scenario: Scenario, peers: Sequence[Peer], plan: Plan) -> Iterator[Row]:
    """What idle connections take."""
    by_name = {peer.name: peer for peer in peers}
    for load in scenario.loads:
        yield _row(load, list(by_name), partial(_idle, by_name, load=load), plan, scenario.name)


def _idle(peers: Mapping[str, Peer], name: str, load: Load) -> Sample:
    """What the idle connections of `load` take in a fresh process.  Raises LoadError, StartError."""
    with fleet([peers[name]], "apart") as running:
        process = _only(running)
        before = process.memory()
        with Generator(load, running.ports[name], warmup=0, seconds=0, cores=running.tool_cores) as generator:
            opened = generator.wait_for(Open).connections
            if opened != load.connections:
                raise LoadError(f"only {opened} of {load.connections} connections could be opened")
            time.sleep(SETTLING)
            after = process.memory()
    return {"connection_kib": (after - before) / opened / 1024, "memory_mib": after / 1024**2}


def _only(running: Fleet) -> Process:
    """The one peer that is running.  Raises StartError where it did not start."""
    for reason in running.silent.values():
        raise StartError(reason)
    (process,) = running.processes.values()
    return process


def _start(scenario: Scenario, peers: Sequence[Peer], plan: Plan) -> Iterator[Row]:
    """What it takes until a process answers, and while it has nothing to do."""
    by_name = {peer.name: peer for peer in peers}
    proxies, kit = scenario.loads
    yield _row(proxies, list(by_name), partial(_started, by_name, plan=plan), plan, scenario.name)
    commands = {"aileron-demo up": _kit_up, "aileron-demo --help": _kit_help}
    yield _row(kit, list(commands), lambda name: commands[name](), plan, scenario.name)


def _started(peers: Mapping[str, Peer], name: str, plan: Plan) -> Sample:
    """The start of a fresh process, and a while in which nothing happens.  Raises StartError."""
    with fleet([peers[name]], "apart") as running:
        process = _only(running)
        return {**_start_of(process), "idle_ms": _idle_ms(process, plan)}


def _start_of(process: Process) -> Sample:
    """What it took a process until it answered, which it just has."""
    return {
        "start_ms": process.answered_after * 1e3,
        "start_cpu_ms": process.cpu() * 1e3,
        "memory_mib": process.memory() / 1024**2,
    }


def _idle_ms(process: Process, plan: Plan) -> float:
    """Milliseconds of processor time that a second takes in which there is nothing to do."""
    time.sleep(plan.warmup)  # what a start leaves to be done
    before, begun = process.cpu(), time.monotonic()
    time.sleep(plan.seconds)
    return (process.cpu() - before) / (time.monotonic() - begun) * 1e3


def _kit_up() -> Sample:
    """`aileron-demo up` until both of its servers answer.  Raises StartError."""
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        site = Site(folder=Path(folder), port=free_port(), upstream=free_port())
        with Process(kit_up(site), folder=site.folder, cores=os.sched_getaffinity(0)) as process:
            said = site.folder / "stdout.txt"
            process.wait_until(lambda: b'"event":"ready"' in said.read_bytes())
            return _start_of(process)


def _kit_help() -> Sample:
    """`aileron-demo --help`, from its start to its end."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([*KIT, "--help"], stdout=subprocess.DEVNULL, check=True)
    after, ended = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"start_ms": (ended - begun) * 1e3, "start_cpu_ms": cpu * 1e3}


_MEASURES: Final[dict[Kind, Callable[[Scenario, Sequence[Peer], Plan], Iterator[Row]]]] = {
    "traffic": _traffic,
    "memory": _memory,
    "start": _start,
}
