"""Rounds → the verdict, and the report in Markdown.  Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tests.soak.faults import FAULTS
from tests.soak.world import Footprint

_SPARE_MEMORY: Final = 12 << 20
"""Bytes by which memory may grow once the gateway has warmed up: an allocator keeps some of what is free."""

_WARM: Final = 10_000
"""Sessions after which a gateway has seen everything, and its allocator the most of it."""

_MOST_MEMORY: Final = 32 << 20
_MOST_EACH: Final = 256 << 10
"""Bytes in all, and for each client at a time, that an allocator may come to keep before it is warm."""

_SPARE_THREADS: Final = 1
"""The loop's pool has its first thread when a config is first loaded anew, which may be in any round."""

_COLUMNS: Final = (
    "Memory, files and threads are the gateway's with nobody connected; *most memory* is the most that was"
    " seen while clients were there."
)


_HOW: Final = (
    "`python -m tests.soak` makes this report. Clients of the `websockets` library, clients that behave"
    " badly, and plain requests go through one gateway to two demo upstreams, while faults happen. At the"
    " end of each round all clients leave, and what the gateway then has is measured. A session counts as"
    " lost where it does not go as it should, unless its own upstream was killed. There may be no more files"
    " than at the start, one thread more than after round 1 (that of reloads), and"
    f" {_SPARE_MEMORY >> 20} MiB more memory than after the round that brought the {_WARM:,}th session. A"
    " soak that does not come so far can only tell of a leak that is large: it may take"
    f" {_MOST_MEMORY >> 20} MiB and {_MOST_EACH >> 10} KiB for each client at a time, which an allocator"
    " keeps when it is free."
)


@dataclass(frozen=True, slots=True)
class Round:
    """What was done in a round, and what the gateway had at its end, with nobody connected."""

    minutes: float
    """Since the start of the soak."""
    count: Mapping[str, int]
    """Done in this round, by name."""
    busiest: Footprint
    """The most that the gateway had at a look in this round."""
    calm: Footprint


@dataclass(frozen=True, slots=True)
class Soak:
    """A whole soak."""

    sockets: int
    seed: int
    before: Footprint
    """Before the first client came."""
    rounds: Sequence[Round]
    losses: Sequence[str]
    messages: Mapping[str, int]
    """Errors that the gateway told of."""
    status: int
    """The gateway's exit status."""
    errors: str
    """What the gateway wrote to standard error."""


def failures(soak: Soak) -> list[str]:
    """What is wrong, in words; nothing where all is as it should be."""
    wrong = [f"lost: {loss}" for loss in soak.losses]
    if soak.status or soak.errors:
        wrong.append(f"the gateway ended with status {soak.status} and wrote {soak.errors!r}")
    for number, each in enumerate(soak.rounds, 1):
        for what, now, then in (
            ("descriptors", each.calm.descriptors, soak.before.descriptors),
            ("threads", each.calm.threads, soak.rounds[0].calm.threads + _SPARE_THREADS),
        ):
            if now > then:
                wrong.append(f"round {number} left {now} {what}, where {then} are expected at most")
    return wrong + _grown(soak)


def _grown(soak: Soak) -> list[str]:
    """What is wrong with the memory: since the gateway was warm, or, where it has not got so far, at all."""
    sessions = 0
    for number, each in enumerate(soak.rounds, 1):
        sessions += _sessions(each.count)
        if sessions >= _WARM:
            since, base, most = f"since round {number}", each.calm, _SPARE_MEMORY
            break
    else:
        since, base, most = "since the start", soak.before, _MOST_MEMORY + soak.sockets * _MOST_EACH
    grown = soak.rounds[-1].calm.memory - base.memory if soak.rounds else 0
    return [f"memory has grown by {_mebibytes(grown)} MiB {since}"] if grown > most else []


def markdown(soak: Soak) -> str:
    """The report."""
    total: Counter[str] = Counter()
    for each in soak.rounds:
        total.update(each.count)
    minutes = soak.rounds[-1].minutes if soak.rounds else 0
    wrong = failures(soak)
    lines = [
        "# A soak",
        "",
        f"{minutes:.0f} minutes, {soak.sockets} clients at a time, seed {soak.seed}: "
        + ("nothing was lost, nothing has grown." if not wrong else "**it failed**, see below."),
        "",
        _HOW,
        "",
        *_table(
            [
                "after",
                "sessions",
                "messages",
                "requests",
                "records",
                "most memory",
                "memory",
                "files",
                "threads",
            ],
            [
                _row("start", {}, None, soak.before),
                *(
                    _row(f"{each.minutes:.1f} min", each.count, each.busiest, each.calm)
                    for each in soak.rounds
                ),
            ],
        ),
        "",
        _COLUMNS,
        "",
        *_table(
            ["what", "how often"],
            [[name, f"{total[name]:,}"] for name in [*sorted(total.keys() - FAULTS.keys()), *FAULTS]],
        ),
    ]
    if soak.messages:
        lines += ["", "Errors that the gateway told of:", ""]
        lines += _table(
            ["message", "how often"],
            [[f"`{text}`", f"{often:,}"] for text, often in sorted(soak.messages.items())],
        )
    if wrong:
        lines += ["", "## What failed", "", *(f"- {each}" for each in wrong)]
    return "\n".join(lines) + "\n"


def _row(when: str, count: Mapping[str, int], busiest: Footprint | None, calm: Footprint) -> list[str]:
    numbers = [_sessions(count), *(count.get(name, 0) for name in ("messages", "requests", "records"))]
    return [
        when,
        *(f"{number:,}" for number in numbers),
        f"{_mebibytes(busiest.memory)} MiB" if busiest else "",
        f"{_mebibytes(calm.memory)} MiB",
        str(calm.descriptors),
        str(calm.threads),
    ]


def _sessions(count: Mapping[str, int]) -> int:
    return sum(often for name, often in count.items() if name.endswith(" sessions"))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---", *("---:" for _ in head[1:])]
    return [f"| {' | '.join(row)} |" for row in (head, rule, *rows)]


def _mebibytes(size: int) -> str:
    return f"{size / (1 << 20):.1f}"
