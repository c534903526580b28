"""Results → Markdown: the table for the README, and the details of each scenario.  Pure.

Where nginx was measured as well, a cell of the table is a ratio to nginx; where it was not, absolute figures
stand there, and the table says so.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from benchmarks.figures import METRICS, Figure
from benchmarks.peers import DIRECT, LOGS, PROXIES, REFERENCE
from benchmarks.results import Result, Row
from benchmarks.scenarios import Scenario, Target
from gateway.text import count

TITLES: Final = {DIRECT: "no proxy", **{peer.name: peer.title for peer in (*PROXIES, *LOGS)}}
OURS: Final = "aileron"
"""The peer whose column is set in bold."""

COMPARED: Final = ("cpu_us", "rate", "p50_us", "p99_us", "p999_us")
"""The metrics by which proxies are compared.  Beside the first, idle connections are by their memory."""
HIDDEN: Final = ("errors",)
"""Metrics that are told in words, where there is something to tell."""
SATURATED: Final = 90.0
"""Per cent of its core that the load generator and the echo server may take before a rate is theirs."""
DISTURBED: Final = 3.0
"""Per cent of a core that the idle peers together may take before they are in the way."""


def title(name: str) -> str:
    """What people call the peer `name`."""
    return TITLES.get(name, name)


def headline(scenario: Scenario, metric: str) -> str:
    """What stands for `scenario` where `metric` is asked for: idle connections cost memory."""
    return "connection_kib" if scenario.kind == "memory" and metric == "cpu_us" else metric


def compared(
    scenarios: Sequence[Scenario], results: Mapping[str, Result], metric: str
) -> Iterator[tuple[Scenario, Row]]:
    """The rows in which the proxies are compared by `metric`, with their scenarios."""
    for scenario in scenarios:
        if scenario.peers is PROXIES and not scenario.grows and scenario.kind != "start":
            for row in _rows(results, scenario):
                if any(headline(scenario, metric) in figures for figures in row.figures.values()):
                    yield scenario, row


def table(scenarios: Sequence[Scenario], results: Mapping[str, Result], metric: str) -> str:
    """One metric of all proxies, a row for each load, a column for each peer."""
    rows = list(compared(scenarios, results, metric))
    names = [peer.name for peer in PROXIES if any(peer.name in row.figures for _, row in rows)]
    if not names:
        return "Nothing has been measured.\n"
    lines = _head(["", *map(title, names)])
    for scenario, row in rows:
        cells = [_bold(name, _ratio(row, name, headline(scenario, metric))) for name in names]
        lines.append(_line([row.label, *cells]))
    if REFERENCE not in names:
        lines += ["", f"{title(REFERENCE)} was not measured: these are absolute figures."]
    return "\n".join(lines) + "\n"


def tools(scenarios: Sequence[Scenario], results: Mapping[str, Result]) -> str:
    """What the load generator and the echo server cost, beside the cheapest proxy of each load."""
    lines = _head(
        ["", "load and echo, CPU a message", "the cheapest proxy", "messages a second", "without a proxy"]
    )
    for _, row in compared(scenarios, results, "rate"):
        proxies = {name: each for name, each in row.figures.items() if "cpu_us" in each}
        if not proxies or DIRECT not in row.figures:
            continue
        name = min(proxies, key=lambda name: proxies[name]["cpu_us"].median)
        cost, rate = proxies[name]["cpu_us"], proxies[name]["rate"]
        lines.append(
            _line(
                [
                    row.label,
                    _value("tools_us", row.figures[DIRECT]["tools_us"]),
                    f"{_value('cpu_us', cost)} ({title(name)})",
                    _value("rate", rate),
                    _value("rate", row.figures[DIRECT]["rate"]),
                ]
            )
        )
    return "\n".join(lines) + "\n"


def details(scenarios: Sequence[Scenario], results: Mapping[str, Result]) -> str:
    """What the main table leaves out: all metrics, the load generator and the echo server, each scenario."""
    parts = ["# Results\n"]
    parts += [f"## {METRICS[metric].title}\n\n{table(scenarios, results, metric)}" for metric in COMPARED]
    parts.append(f"## The load generator and the echo server\n\n{tools(scenarios, results)}")
    parts += [section(each, results[each.name]) for each in scenarios if each.name in results]
    return "\n".join(parts)


def section(scenario: Scenario, result: Result) -> str:
    """All that a scenario brought: median, and in brackets the ratio to nginx with its quartiles."""
    machine = result.machine
    lines = [
        f"## {scenario.name}: {scenario.title}",
        "",
        f"{result.date}, {count(result.rounds, 'round')} of {result.seconds:g} s.",
        f"{machine.cpu}, {machine.cores} cores, {machine.kernel}, Python {machine.python}.",
        f"{_versions(result)}.",
    ]
    for row in result.rows:
        metrics = [name for name in METRICS if any(name in each for each in row.figures.values())]
        shown = [name for name in metrics if name not in HIDDEN]
        lines += ["", f"### {row.label}", "", *_head(["", *(METRICS[name].title for name in shown)])]
        for name, figures in row.figures.items():
            cells = [_full(metric, figures, spread=metric == shown[0]) for metric in shown]
            lines.append(_line([title(name), *cells]))
        lines += [line for remark in _remarks(scenario, row) for line in ("", remark)]
    lines += [
        line for name, why in result.skipped.items() for line in ("", f"{title(name)} is skipped: {why}.")
    ]
    return "\n".join(lines) + "\n"


def _versions(result: Result) -> str:
    """Who took part, those of one version together."""
    named: dict[str, list[str]] = {}
    for name, version in result.versions.items():
        named.setdefault(version, []).append(title(name))
    return "; ".join(f"{' and '.join(names)} {version}" for version, names in named.items())


def _remarks(scenario: Scenario, row: Row) -> Iterator[str]:
    """What a reader of the figures should know."""
    for name, why in row.skipped.items():
        yield f"{title(name)} is left out: {why}."
    for name, figures in row.figures.items():
        if "errors" in figures and figures["errors"].high:
            yield f"{title(name)}: {figures['errors'].median:.0f} errors in a round."
        if name != DIRECT and "tools_busy" in figures and figures["tools_busy"].median > SATURATED:
            yield f"{title(name)}: load generator and echo server were at their limit; the rate is theirs."
        if "others_busy" in figures and figures["others_busy"].median > DISTURBED:
            yield f"{title(name)}: the peers that should have been idle were not."
    if scenario.target is not None:
        yield from _verdict(scenario.target, row)


def _verdict(target: Target, row: Row) -> Iterator[str]:
    """Whether a target is met, where both of its peers were measured."""
    ours, theirs = (row.figures.get(name, {}).get(target.metric) for name in (target.peer, target.against))
    if ours is not None and theirs is not None:
        factor = ours.median / theirs.median
        yield (
            f"Target: {METRICS[target.metric].title} of {title(target.peer)} at most {target.factor:g} times "
            f"that of {title(target.against)}; it is {factor:.2f} times that, and so "
            f"{'met' if factor <= target.factor else 'missed'}."
        )


def _rows(results: Mapping[str, Result], scenario: Scenario) -> Sequence[Row]:
    return results[scenario.name].rows if scenario.name in results else ()


def _ratio(row: Row, name: str, metric: str) -> str:
    """A cell of the main table: the ratio to nginx; nginx itself, or a peer without it, in full."""
    figure = row.figures.get(name, {}).get(metric)
    if figure is None:
        return ""
    return _value(metric, figure) if figure.ratio is None or name == REFERENCE else digits(figure.ratio)


def _full(metric: str, figures: Mapping[str, Figure], *, spread: bool) -> str:
    """A cell of the details, with the quartiles of its ratio where `spread` says so."""
    figure = figures.get(metric)
    if figure is None:
        return ""
    if figure.ratio is None or figure.ratio_low is None or figure.ratio_high is None:
        return _value(metric, figure)
    quartiles = f"; {digits(figure.ratio_low)} to {digits(figure.ratio_high)}" if spread else ""
    return f"{_value(metric, figure)} ({digits(figure.ratio)}{quartiles})"


def _value(metric: str, figure: Figure) -> str:
    """The median with its unit."""
    return f"{digits(figure.median)} {METRICS[metric].unit}".strip()


def digits(value: float) -> str:
    """Three digits that mean something, or all before the point."""
    decimals = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:,.{decimals}f}"


def _bold(name: str, text: str) -> str:
    return f"**{text}**" if text and name == OURS else text


def _head(cells: Sequence[str]) -> list[str]:
    """The first two lines of a table: names on the left, figures on the right."""
    return [_line(cells), f"| --- |{' ---: |' * (len(cells) - 1)}"]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
