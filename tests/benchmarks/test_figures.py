"""Samples → medians, quartiles and ratios."""

import pytest

from benchmarks.figures import Figure, figures, spread


def test_a_ratio_is_taken_within_a_round() -> None:
    """A machine that is slow in one round is so for both: the ratio does not change, the medians do."""
    rounds = [
        {"nginx": {"cpu_us": 10.0}, "aileron": {"cpu_us": 12.0}},
        {"nginx": {"cpu_us": 30.0}, "aileron": {"cpu_us": 36.0}},
        {"nginx": {"cpu_us": 11.0}, "aileron": {"cpu_us": 22.0}},
    ]
    found = figures(rounds, "nginx")
    assert found["aileron"]["cpu_us"] == Figure(
        median=22.0, low=17.0, high=29.0, ratio=1.2, ratio_low=1.2, ratio_high=1.6
    )
    assert found["nginx"]["cpu_us"].ratio == 1


def test_a_round_without_the_reference_counts_for_the_median_alone() -> None:
    """A ratio is never taken across rounds."""
    rounds = [
        {"aileron": {"cpu_us": 10.0}},
        {"nginx": {"cpu_us": 10.0}, "aileron": {"cpu_us": 20.0}},
        {"nginx": {"cpu_us": 10.0}},
    ]
    found = figures(rounds, "nginx")["aileron"]["cpu_us"]
    assert (found.median, found.ratio) == (15, 2)


def test_without_the_reference_there_are_no_ratios() -> None:
    """The figures are absolute, and say so."""
    found = figures([{"aileron": {"cpu_us": 10.0}}], "nginx")
    assert found == {"aileron": {"cpu_us": Figure(median=10, low=10, high=10)}}


def test_a_reference_of_zero_gives_no_ratio() -> None:
    """Nothing is divided by it."""
    rounds = [{"nginx": {"cpu_us": 0.0}, "aileron": {"cpu_us": 10.0}}]
    assert figures(rounds, "nginx")["aileron"]["cpu_us"].ratio is None


def test_what_is_not_to_be_compared_has_no_ratio() -> None:
    """How busy a core was is no property of a proxy."""
    rounds = [{"nginx": {"busy": 50.0}, "aileron": {"busy": 100.0}}]
    assert figures(rounds, "nginx")["aileron"]["busy"].ratio is None


def test_a_metric_may_be_one_peers_own() -> None:
    """Without a proxy there is no CPU of one."""
    rounds = [{"direct": {"rate": 5.0}, "nginx": {"rate": 2.0, "cpu_us": 10.0}}]
    found = figures(rounds, "nginx")
    assert set(found["direct"]) == {"rate"}
    assert found["direct"]["rate"].ratio == 2.5


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([7], (7, 7, 7)),
        ([1, 3], (1.5, 2, 2.5)),
        ([5, 1, 3, 2, 4], (2, 3, 4)),
        ([0.123456789], (0.12346, 0.12346, 0.12346)),
    ],
)
def test_quartiles(values: list[float], expected: tuple[float, float, float]) -> None:
    """Between the values where they lie there; in five digits."""
    assert spread(values) == expected
