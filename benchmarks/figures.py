"""Samples → medians, quartiles, and ratios within a round.  Pure.

A sample is what one peer cost in one round, by the names in `METRICS`.  The speed of a shared machine changes
from minute to minute, less so from second to second: a peer is therefore divided by the reference of the
same round, and the median taken of these ratios, not the ratio of two medians.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

Sample = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """What is measured."""

    title: str
    unit: str
    compared: bool = True
    """Whether its ratio to the reference tells anything."""


METRICS: Final[Mapping[str, Metric]] = MappingProxyType(
    {
        "cpu_us": Metric(title="CPU a message", unit="µs"),
        "rate": Metric(title="messages a second", unit=""),
        "p50_us": Metric(title="p50 latency", unit="µs"),
        "p99_us": Metric(title="p99 latency", unit="µs"),
        "p999_us": Metric(title="p99.9 latency", unit="µs"),
        "busy": Metric(title="proxy busy", unit="%", compared=False),
        "tools_us": Metric(title="load and echo, CPU a message", unit="µs", compared=False),
        "tools_busy": Metric(title="load and echo busy", unit="%", compared=False),
        "others_busy": Metric(title="idle peers busy", unit="%", compared=False),
        "errors": Metric(title="errors", unit="", compared=False),
        "connection_kib": Metric(title="memory a connection", unit="KiB"),
        "memory_mib": Metric(title="memory in all", unit="MiB"),
        "start_ms": Metric(title="until it answers", unit="ms"),
        "start_cpu_ms": Metric(title="CPU until then", unit="ms"),
        "idle_ms": Metric(title="CPU of a second of doing nothing", unit="ms", compared=False),
    }
)
"""By the names that samples have.  What is busy is so for a share of the time of one core."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One metric of one peer over all rounds: median and quartiles, the same of its ratio."""

    median: float
    low: float
    high: float
    ratio: float | None = None
    """To the reference; None where there is none, or its value is zero."""
    ratio_low: float | None = None
    ratio_high: float | None = None


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile, in five digits; of a single value, that."""
    quartiles = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [*values] * 3
    low, median, high = (float(f"{value:.5g}") for value in quartiles)
    return low, median, high


def figures(rounds: Sequence[Mapping[str, Sample]], reference: str) -> dict[str, dict[str, Figure]]:
    """The figures of each peer and metric, from the samples of each peer in each round.

    A round in which a peer or the reference is missing counts for what is there.
    """
    peers = dict.fromkeys(peer for samples in rounds for peer in samples)
    return {
        peer: {
            metric: _figure(rounds, peer, metric, reference)
            for metric in dict.fromkeys(name for samples in rounds for name in samples.get(peer, ()))
        }
        for peer in peers
    }


def _figure(rounds: Sequence[Mapping[str, Sample]], peer: str, metric: str, reference: str) -> Figure:
    low, median, high = spread([samples[peer][metric] for samples in rounds if peer in samples])
    ratios = [
        samples[peer][metric] / base
        for samples in rounds
        if peer in samples and (base := samples.get(reference, {}).get(metric))
    ]
    if not ratios or not METRICS[metric].compared:
        return Figure(median=median, low=low, high=high)
    ratio_low, ratio, ratio_high = spread(ratios)
    return Figure(median=median, low=low, high=high, ratio=ratio, ratio_low=ratio_low, ratio_high=ratio_high)
