"""The command line: `python -m benchmarks`."""

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

from benchmarks import native, report, results
from benchmarks.measure import Plan, measure
from benchmarks.peers import BUILD
from benchmarks.processes import raise_file_limit
from benchmarks.scenarios import SCENARIOS, light

NAMES: Final = {
    "scenario": [scenario.name for scenario in SCENARIOS],
    "peer": [*dict.fromkeys(peer.name for scenario in SCENARIOS for peer in scenario.peers)],
}

Number = TypeVar("Number", int, float)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit status is 0, or 1 where nothing could be measured, or 2 for wrong usage."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        if not options.report:
            _measure(options)
        _report(options.results)
    except native.BuildError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure the gateway and its peers side by side; benchmarks/README.md tells more.",
        allow_abbrev=False,
    )
    for option, kind in (("--only", "scenario"), ("--peers", "peer")):
        parser.add_argument(
            option,
            metavar="NAME,...",
            type=_names(kind),
            default=NAMES[kind],
            help=f"not all, but these: {', '.join(NAMES[kind])}",
        )
    parser.add_argument("--rounds", metavar="N", type=_positive(int), default=10, help="rounds (%(default)s)")
    parser.add_argument(
        "--seconds",
        metavar="S",
        type=_positive(float),
        default=0.4,
        help="seconds that each peer is measured in each round (%(default)s)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="one short round of light loads, to see that all works"
    )
    parser.add_argument(
        "--results",
        metavar="FOLDER",
        type=Path,
        default=results.RESULTS,
        help="for the results (%(default)s)",
    )
    parser.add_argument(
        "--report",
        action="store_true",
        help="measure nothing; make tables and plots of what is there",
    )
    return parser


def _names(kind: str) -> Callable[[str], list[str]]:
    """A parser of names with commas between."""

    def parse(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in NAMES[kind]:
                raise argparse.ArgumentTypeError(
                    f"there is no {kind} {name!r}; there are {', '.join(NAMES[kind])}"
                )
        return names

    return parse


def _positive(number: Callable[[str], Number]) -> Callable[[str], Number]:
    """A parser of numbers above 0."""

    def parse(text: str) -> Number:
        try:
            value = number(text)
        except ValueError:
            value = number("0")
        if not 0 < value < 1000:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0 and below 1000")
        return value

    return parse


def _measure(options: argparse.Namespace) -> None:
    """Measure what is asked for; each scenario's results are written as soon as they are there."""
    native.build(BUILD)
    raise_file_limit()
    plan = Plan(rounds=options.rounds, seconds=options.seconds, warmup=0.3, tell=_tell)
    if options.quick:
        plan = Plan(rounds=1, seconds=0.2, warmup=0.1, tell=_tell)
    for scenario in SCENARIOS:
        peers = [peer for peer in scenario.peers if peer.name in options.peers]
        if scenario.name in options.only and peers:
            wanted = replace(light(scenario) if options.quick else scenario, peers=peers)
            result = measure(wanted, plan)
            results.write(result, options.results)
            print(report.section(scenario, result))


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _report(folder: Path) -> None:
    """Write tables and plots of all results that are in `folder`, and print the main table."""
    found = results.read(folder)
    table = report.table(SCENARIOS, found, "cpu_us")
    (folder / "table.md").write_text(table, encoding="utf-8")
    (folder / "details.md").write_text(report.details(SCENARIOS, found), encoding="utf-8")
    try:
        from benchmarks import plot  # noqa: PLC0415  (measuring needs no matplotlib)
    except ModuleNotFoundError as error:
        print(f"benchmarks: no plots without {error.name}; pip install -e '.[bench]'", file=sys.stderr)
    else:
        plot.draw(found, folder)
    print(table)
