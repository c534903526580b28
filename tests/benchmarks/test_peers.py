"""Who is measured, and who is skipped."""

import platform
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest

from benchmarks.fleet import placed
from benchmarks.measure import Plan, measure, rotated
from benchmarks.peers import LOGS, OFF, PROXIES, MissingError, Site, workers
from benchmarks.scenarios import SCENARIOS, Cores

ELSEWHERE = ("nginx", "haproxy", "go", "node", "mitmproxy")
"""The peers that have to be installed."""


@pytest.mark.parametrize("name", ELSEWHERE)
def test_who_is_not_here_is_skipped_by_name(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With the words that tell how to get it, and without a fuss."""
    monkeypatch.setenv("PATH", str(tmp_path))
    told: list[str] = []
    plan = Plan(rounds=1, seconds=0.1, warmup=0, tell=told.append)
    (peer,) = (each for each in PROXIES if each.name == name)
    result = measure(replace(SCENARIOS[0], peers=[peer]), plan)
    assert result.rows == []
    assert "install" in result.skipped[name]
    assert told == [f"S1: {name} is skipped: {result.skipped[name]}"]


def test_workers_are_skipped_where_the_gateway_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway's own --help decides."""
    monkeypatch.setattr("benchmarks.peers._run", lambda _: "aileron-demo 1.0")
    with pytest.raises(MissingError, match="does not list --workers"):
        workers(2).version()
    monkeypatch.setattr("benchmarks.peers._run", lambda _: "aileron-demo 1.0 --workers N")
    assert workers(2).version().startswith("1.0, Python ")


@pytest.mark.parametrize("peer", [*PROXIES, *LOGS], ids=lambda peer: peer.name)
def test_each_peer_is_told_both_ports(peer: object, tmp_path: Path) -> None:
    """In its command, or in the configuration that the command names."""
    assert peer in (*PROXIES, *LOGS)
    site = Site(folder=tmp_path, port=12345, upstream=23456)
    command = next(each for each in (*PROXIES, *LOGS) if each is peer).command(site)
    written = "".join(path.read_text(encoding="utf-8") for path in tmp_path.iterdir())
    assert "12345" in f"{command}{written}"
    assert "23456" in f"{command}{written}"


def test_names_are_unique() -> None:
    """Results are kept by them."""
    for scenario in SCENARIOS:
        names = [peer.name for peer in scenario.peers]
        assert len(set(names)) == len(names)
        labels = [load.label for load in scenario.loads]
        assert len(set(labels)) == len(labels)
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)


def test_the_order_is_another_one_in_each_round() -> None:
    """And everybody is in it."""
    assert [rotated("abc", number) for number in range(4)] == [
        ["a", "b", "c"],
        ["b", "c", "a"],
        ["c", "a", "b"],
        ["a", "b", "c"],
    ]


@pytest.mark.parametrize(
    ("available", "cores", "tools", "proxies"),
    [
        ({0, 1, 2}, "apart", {0}, {1, 2}),
        ({4}, "apart", {4}, {4}),
        ({0, 1}, "one", {0}, {0}),
        ({0, 1}, "free", {0, 1}, {0, 1}),
    ],
)
def test_who_has_which_core(available: set[int], cores: Cores, tools: set[int], proxies: set[int]) -> None:
    """The load and the proxy are apart where there is more than one core."""
    assert placed(available, cores) == (tools, proxies)


def test_the_gateway_is_this_one() -> None:
    """Not another that happens to be installed."""
    python, loop = platform.python_version(), metadata.version("uvloop")
    assert OFF.version().endswith(f", Python {python}, uvloop {loop}")
