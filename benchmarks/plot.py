"""Results → SVG, light and dark: one chart of ratios to nginx for each metric, and one of how cost grows.

Rules
    * The same results make the same files, byte for byte.
    * Text stays text.  Ours is told apart by colour and by shape; everybody is named where they stand.
    * The width is that of a README, 800 pixels.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from types import MappingProxyType
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from benchmarks.figures import METRICS, Figure
from benchmarks.peers import JSON, OFF, PROXIES, REFERENCE
from benchmarks.report import COMPARED, compared, digits, headline, title
from benchmarks.results import Result, Row
from benchmarks.scenarios import SCENARIOS, Scenario

WIDTH: Final = 800 / 96
"""Inches of 96 pixels."""
COLUMNS: Final = 3
GATEWAY: Final = (OFF.name, JSON.name)
"""What is ours."""
MARKERS: Final = dict(zip((peer.name for peer in PROXIES), "osDDv^Xp", strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """Colours, with enough contrast to each other for every kind of sight."""

    background: str
    text: str
    quiet: str
    """Of lines that only help."""
    others: str
    """Of the peers."""
    ours: str
    """Of the gateway."""


THEMES: Final[Mapping[str, Theme]] = MappingProxyType(
    {
        "light": Theme(
            background="#ffffff", text="#1f2328", quiet="#d1d9e0", others="#6e7781", ours="#0550ae"
        ),
        "dark": Theme(
            background="#0d1117", text="#f0f6fc", quiet="#3d444d", others="#9198a1", ours="#58a6ff"
        ),
    }
)


def draw(results: Mapping[str, Result], folder: Path) -> None:
    """Draw all that `results` have into `folder`."""
    for name, theme in THEMES.items():
        with _style(theme):
            for metric in COMPARED:
                rows = list(_charted(results, metric))
                if rows:
                    _save(_ratios(rows, metric, theme), folder / f"{metric.removesuffix('_us')}-{name}.svg")
            grown = [each for each in SCENARIOS if each.grows and each.name in results]
            if grown:
                _save(_growth(grown, results, theme), folder / f"growth-{name}.svg")


@contextmanager
def _style(theme: Theme) -> Iterator[None]:
    settings: dict[Any, Any] = {
        "axes.edgecolor": theme.quiet,
        "axes.facecolor": theme.background,
        "axes.labelcolor": theme.text,
        "axes.titlecolor": theme.text,
        "axes.titlelocation": "left",
        "axes.titlesize": 10,
        "figure.facecolor": theme.background,
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": 9,
        "svg.fonttype": "none",
        "svg.hashsalt": "aileron-demo",
        "text.color": theme.text,
        "xtick.color": theme.text,
        "ytick.color": theme.text,
    }
    with mpl.rc_context(settings):
        yield


def _save(canvas: Canvas, path: Path) -> None:
    canvas.savefig(path, metadata={"Date": None})


def _charted(results: Mapping[str, Result], metric: str) -> Iterator[tuple[Scenario, Row]]:
    """The rows of a chart; of idle connections, those with the most of them."""
    for scenario, row in compared(SCENARIOS, results, metric):
        if scenario.kind != "memory" or row is results[scenario.name].rows[-1]:
            yield scenario, row


def _ratios(rows: Sequence[tuple[Scenario, Row]], metric: str, theme: Theme) -> Canvas:
    """A panel for each row: a dot for each peer at its ratio to nginx, a bar over the quartiles behind it."""
    names = [peer.name for peer in PROXIES if any(peer.name in row.figures for _, row in rows)]
    lines = -(-len(rows) // COLUMNS)
    canvas = Canvas(figsize=(WIDTH, lines * (0.21 * len(names) + 0.62) + 0.5), layout="constrained")
    axes = canvas.subplots(lines, COLUMNS, sharex=True, sharey=True, squeeze=False)
    for axis, (scenario, row) in zip(axes.flat, rows, strict=False):
        _panel(axis, row, headline(scenario, metric), names, theme)
    low, high = axes[0, 0].get_xlim()
    axes[0, 0].set_xlim(low / 4, high * 3)  # room for the figures beside the dots
    for axis in axes[:, 0]:
        for label, name in zip(axis.get_yticklabels(), names, strict=True):
            _emphasize(label, name, theme)
    for axis in axes.flat[len(rows) :]:
        axis.set_visible(False)
    canvas.suptitle(f"{METRICS[metric].title}, {title(REFERENCE)} = 1", x=0.01, ha="left", fontweight="bold")
    return canvas


def _panel(axis: Axes, row: Row, metric: str, names: Sequence[str], theme: Theme) -> None:
    axis.axvline(1, color=theme.others, linewidth=0.8, linestyle=(0, (2, 2)), zorder=1)
    axis.set_xscale("log")
    for place, name in enumerate(names):
        if metric in row.figures.get(name, {}):
            _dot(axis, place, name, row.figures[name][metric], theme)
    axis.set_title(row.label)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.set_yticks(range(len(names)), [title(name) for name in names])
    axis.tick_params(length=0)
    axis.xaxis.set_major_locator(LogLocator(numticks=9))
    axis.xaxis.set_minor_locator(NullLocator())
    # Two such numbers beside each other would touch.
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}" if value < 1000 else ""))
    axis.grid(axis="y", color=theme.quiet, linewidth=0.5)
    axis.set_axisbelow(True)
    axis.spines[:].set_visible(False)


def _dot(axis: Axes, place: int, name: str, figure: Figure, theme: Theme) -> None:
    """A peer's ratio, and the figure beside it; nothing without a ratio."""
    if not (figure.ratio and figure.ratio_low and figure.ratio_high):
        return
    colour = _colour(name, theme)
    axis.plot([figure.ratio_low, figure.ratio_high], [place, place], color=colour, linewidth=2, alpha=0.5)
    axis.plot(
        figure.ratio,
        place,
        marker="D" if name in GATEWAY else "o",
        markersize=6,
        markerfacecolor=theme.background if name == JSON.name else colour,
        markeredgecolor=colour,
    )
    cheaper = figure.ratio < 1  # the figure stands on the side on which the line of nginx is not
    words = axis.annotate(
        digits(figure.ratio),
        (figure.ratio_low if cheaper else figure.ratio_high, place),
        xytext=(-6 if cheaper else 6, 0),
        textcoords="offset points",
        ha="right" if cheaper else "left",
        va="center_baseline",
        bbox={"facecolor": theme.background, "edgecolor": "none", "pad": 1},
    )
    _emphasize(words, name, theme)


def _growth(scenarios: Sequence[Scenario], results: Mapping[str, Result], theme: Theme) -> Canvas:
    """A panel for each thing that grows: CPU a message over it, a line for each peer, named at its end."""
    canvas = Canvas(figsize=(WIDTH, 3.6 * len(scenarios)), layout="constrained")
    axes = canvas.subplots(len(scenarios), 1, squeeze=False)
    for axis, scenario in zip(axes.flat, scenarios, strict=True):
        rows = results[scenario.name].rows
        axis.set(xscale="log", yscale="log", xlabel=scenario.grows, title=scenario.title)
        axis.set_ylabel(f"{METRICS['cpu_us'].title}, {METRICS['cpu_us'].unit}")
        axis.set_xticks([row.x for row in rows], [row.label for row in rows])
        axis.xaxis.set_minor_locator(NullLocator())
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axis.yaxis.set_minor_locator(NullLocator())
        axis.grid(color=theme.quiet, linewidth=0.5)
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        _curves(axis, rows, theme)
        low, high = axis.get_ylim()
        if high < 20 * low:
            axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    return canvas


def _curves(axis: Axes, rows: Sequence[Row], theme: Theme) -> None:
    """The lines of one panel."""
    ends: list[tuple[float, str]] = []
    for peer in PROXIES:
        name = peer.name
        points = [(row.x, row.figures[name]["cpu_us"].median) for row in rows if name in row.figures]
        if not points:
            continue
        axis.plot(
            *zip(*points, strict=True),
            color=_colour(name, theme),
            linewidth=2.2 if name in GATEWAY else 1.2,
            marker=MARKERS[name],
            markersize=5,
            markerfacecolor=theme.background if name == JSON.name else None,
            zorder=3 if name in GATEWAY else 2,
        )
        if points[-1][0] == rows[-1].x:
            ends.append((points[-1][1], name))
        else:
            words = axis.annotate(title(name), points[-1], xytext=(6, 4), textcoords="offset points")
            _emphasize(words, name, theme)
    _name_ends(axis, sorted(ends), theme)


def _name_ends(axis: Axes, ends: Sequence[tuple[float, str]], theme: Theme) -> None:
    """Name the lines on the right, each as near to its end as the others admit."""
    low, high = (math.log(limit) for limit in axis.get_ylim())
    axis.set_ylim(axis.get_ylim())
    heights = apart([(math.log(end) - low) / (high - low) for end, _ in ends], gap=0.065)
    for height, (_, name) in zip(heights, ends, strict=True):
        words = axis.text(1.01, height, title(name), transform=axis.transAxes, va="center_baseline")
        _emphasize(words, name, theme)


def apart(heights: Sequence[float], gap: float) -> list[float]:
    """Heights for labels, at least `gap` apart and as near as can be to the ascending `heights`.

    Less what the labels below it need, each height has only to be no lower than the one before: labels that
    would overlap form a block around their mean, which takes in its neighbours as it meets them.
    """
    blocks: list[list[float]] = []
    for number, height in enumerate(heights):
        blocks.append([height - number * gap])
        while len(blocks) > 1 and fmean(blocks[-2]) > fmean(blocks[-1]):
            block = blocks.pop()
            blocks[-1] += block
    placed = [fmean(block) for block in blocks for _ in block]
    return [height + number * gap for number, height in enumerate(placed)]


def _colour(name: str, theme: Theme) -> str:
    """The colour of a peer; the reference stands between the gateway and the others."""
    return theme.ours if name in GATEWAY else theme.text if name == REFERENCE else theme.others


def _emphasize(text: Text, name: str, theme: Theme) -> None:
    if name in GATEWAY:
        text.set(color=theme.ours, fontweight="bold" if name == OFF.name else "normal")
