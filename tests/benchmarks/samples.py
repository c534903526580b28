"""Results that nobody measured."""

from collections.abc import Mapping, Sequence

from benchmarks.figures import Sample, figures
from benchmarks.results import Machine, Result, Row
from benchmarks.scenarios import SCENARIOS, Scenario


def scenario(name: str) -> Scenario:
    """The scenario of that name."""
    return next(each for each in SCENARIOS if each.name == name)


def result(
    name: str,
    rounds: Sequence[Mapping[str, Sample]],
    *,
    skipped: Mapping[str, str] | None = None,
    left_out: Mapping[str, str] | None = None,
) -> Result:
    """What scenario `name` brings where each of its loads brings `rounds`."""
    return Result(
        scenario=name,
        date="2026-11-25T12:00:00Z",
        machine=Machine(cpu="A CPU", cores=2, kernel="Linux 6.1", python="3.12.1"),
        rounds=len(rounds),
        seconds=1,
        versions=dict.fromkeys(rounds[0], "1.0"),
        skipped=skipped or {},
        rows=[
            Row(label=load.label, x=load.x, figures=figures(rounds, "nginx"), skipped=left_out or {})
            for load in scenario(name).loads
        ],
    )


def sample(cpu_us: float, **more: float) -> Sample:
    """A sample of traffic."""
    return {
        "cpu_us": cpu_us,
        "rate": 1e6 / cpu_us,
        "p50_us": 100.0,
        "p99_us": 200.0,
        "p999_us": 300.0,
        "tools_us": 9.0,
        "tools_busy": 50.0,
        "others_busy": 0.0,
        "errors": 0,
        **more,
    }
