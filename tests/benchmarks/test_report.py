"""Results → Markdown."""

import pytest

from benchmarks.report import details, digits, section, table, tools
from benchmarks.scenarios import SCENARIOS
from tests.benchmarks.samples import result, sample, scenario

DIRECT = {name: value for name, value in sample(1).items() if name != "cpu_us"}


def test_the_table_has_ratios_to_nginx() -> None:
    """nginx itself in full, the gateway in bold, loads as rows, peers as columns."""
    rounds = [{"nginx": sample(10), "aileron": sample(12.5), "mitmproxy": sample(500)}]
    assert table(SCENARIOS, {"S1": result("S1", rounds)}, "cpu_us") == (
        "|  | nginx | aileron | mitmproxy |\n"
        "| --- | ---: | ---: | ---: |\n"
        "| S1 ping-pong | 10.0 µs | **1.25** | 50.0 |\n"
    )


def test_idle_connections_stand_beside_cpu_with_their_memory() -> None:
    """And in no other table."""
    found = {"S6": result("S6", [{"nginx": {"connection_kib": 16.0}, "aileron": {"connection_kib": 4.0}}])}
    assert "| S6 memory, 1,000 idle | 16.0 KiB | **0.250** |" in table(SCENARIOS, found, "cpu_us")
    assert "S6" not in table(SCENARIOS, found, "p99_us")


def test_without_nginx_figures_are_absolute() -> None:
    """Which the table says."""
    said = table(SCENARIOS, {"S1": result("S1", [{"aileron": sample(12.5)}])}, "cpu_us")
    assert "| S1 ping-pong | **12.5 µs** |" in said
    assert said.endswith("nginx was not measured: these are absolute figures.\n")


def test_a_peer_that_was_not_measured_under_a_load_leaves_its_cell_empty() -> None:
    """The others stand in their columns."""
    found = {
        "S1": result("S1", [{"nginx": sample(10), "aileron": sample(12.5), "mitmproxy": sample(500)}]),
        "S2": result("S2", [{"nginx": sample(10), "mitmproxy": sample(500)}]),
    }
    assert "| S2 messages of 64 KiB | 10.0 µs |  | 50.0 |" in table(SCENARIOS, found, "cpu_us")


def test_nothing_makes_no_table() -> None:
    """But a sentence."""
    assert table(SCENARIOS, {}, "cpu_us") == "Nothing has been measured.\n"


def test_the_load_generator_is_shown_beside_the_cheapest_proxy() -> None:
    """With what both pass without any."""
    rounds = [{"direct": DIRECT, "nginx": sample(10), "haproxy": sample(8)}]
    assert tools(SCENARIOS, {"S1": result("S1", rounds)}).splitlines()[-1] == (
        "| S1 ping-pong | 9.00 µs | 8.00 µs (HAProxy) | 125,000 | 1,000,000 |"
    )


def test_a_section_tells_who_is_missing_and_why() -> None:
    """Those that are not here, and those that could not carry a load."""
    said = section(
        scenario("S1"),
        result(
            "S1",
            [{"nginx": sample(10)}],
            skipped={"go": "go is not on PATH; apt install golang-go"},
            left_out={"relay": "too slow"},
        ),
    )
    assert "Go ReverseProxy is skipped: go is not on PATH; apt install golang-go." in said
    assert "aiohttp relay is left out: too slow." in said


@pytest.mark.parametrize(
    ("more", "remark"),
    [
        ({"errors": 3}, "HAProxy: 3 errors in a round."),
        (
            {"tools_busy": 99},
            "HAProxy: load generator and echo server were at their limit; the rate is theirs.",
        ),
        ({"others_busy": 20}, "HAProxy: the peers that should have been idle were not."),
    ],
)
def test_a_section_tells_what_makes_its_figures_doubtful(more: dict[str, float], remark: str) -> None:
    """Of whom, and only where it is so."""
    doubtful = [{"nginx": sample(10), "haproxy": sample(10, **more)}]
    sound = [{"nginx": sample(10), "haproxy": sample(10)}]
    assert remark in section(scenario("S1"), result("S1", doubtful)).splitlines()
    assert remark not in section(scenario("S1"), result("S1", sound))


def test_a_section_has_quartiles_of_the_first_metric() -> None:
    """In brackets, behind the ratio."""
    rounds = [{"nginx": sample(10), "aileron": sample(10 + number)} for number in range(5)]
    row = section(scenario("S1"), result("S1", rounds)).splitlines()[-1]
    assert row.startswith("| aileron | 12.0 µs (1.20; 1.10 to 1.30) | ")


@pytest.mark.parametrize(("p99", "verdict"), [(210.0, "met"), (230.0, "missed")])
def test_a_target_is_met_or_missed(p99: float, verdict: str) -> None:
    """Which the section says in words."""
    rounds = [{"aileron-json": sample(10), "aileron-up": sample(10, p99_us=p99)}]
    said = section(scenario("S8"), result("S8", rounds))
    assert (
        said.count("Target: p99 latency of aileron-demo up at most 1.1 times that of aileron (JSON log)") == 2
    )
    assert said.count(f"and so {verdict}.") == 2


def test_details_have_all_scenarios_in_their_order() -> None:
    """Whatever the order of the results."""
    found = {name: result(name, [{"nginx": sample(10)}]) for name in ("S3", "S1")}
    said = details(SCENARIOS, found)
    assert said.index("## S1:") < said.index("## S3:")
    assert "## p99.9 latency\n" in said


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.32912, "0.329"),
        (1, "1.00"),
        (12.345, "12.3"),
        (944.78, "945"),
        (1_048_576, "1,048,576"),
        (-0.1234, "-0.123"),
    ],
)
def test_three_digits(value: float, text: str) -> None:
    """And all that stand before the point."""
    assert digits(value) == text
