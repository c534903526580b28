"""Results → SVG."""

from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks.plot import apart, draw
from tests.benchmarks.samples import result, sample

ROUNDS = [
    {"nginx": sample(10), "aileron": sample(12), "mitmproxy": sample(500 + number)} for number in range(3)
]


FOUND = {name: result(name, ROUNDS) for name in ("S1", "S4", "size", "frames")}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the pictures of all that was found."""
    folder = tmp_path_factory.mktemp("pictures")
    draw(FOUND, folder)
    return folder


def _texts(path: Path) -> set[str]:
    """What is written in a picture."""
    return {
        "".join(each.itertext()).strip() for each in ET.parse(path).iter("{http://www.w3.org/2000/svg}text")
    }


def test_the_same_results_make_the_same_pictures(pictures: Path, tmp_path: Path) -> None:
    """Byte for byte, light and dark, a chart for each metric."""
    draw(FOUND, tmp_path)
    first, second = (
        {path.name: path.read_bytes() for path in folder.iterdir()} for folder in (pictures, tmp_path)
    )
    charts = ("cpu", "rate", "p50", "p99", "p999", "growth")
    assert set(first) == {f"{chart}-{theme}.svg" for chart in charts for theme in ("light", "dark")}
    assert first == second
    assert first["cpu-light.svg"] != first["cpu-dark.svg"]


def test_who_and_how_much_stand_in_the_picture_as_text(pictures: Path) -> None:
    """Everybody is named, with the ratio."""
    assert {"S1 ping-pong", "nginx", "aileron", "mitmproxy", "1.20", "50.1"} <= _texts(
        pictures / "cpu-light.svg"
    )


def test_growth_names_everybody_at_the_end_of_the_line(pictures: Path) -> None:
    """And the loads below."""
    assert {"nginx", "aileron", "mitmproxy", "frames in a write", "1,000"} <= _texts(
        pictures / "growth-dark.svg"
    )


def test_what_was_not_measured_has_no_picture(tmp_path: Path) -> None:
    """Nor is that an error."""
    draw({}, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "heights", [[0.5], [0.1, 0.9], [0.5, 0.5, 0.5], [0.0, 0.01, 0.5, 0.51, 1.0], [0.98, 0.99, 1.0]]
)
def test_labels_do_not_overlap(heights: list[float]) -> None:
    """They keep their order and their distance, and those with room stay where they are."""
    placed = apart(heights, gap=0.1)
    assert all(after - before >= 0.1 - 1e-9 for before, after in pairwise(placed))
    assert len(placed) == len(heights)
    if all(after - before >= 0.1 for before, after in pairwise(heights)):
        assert placed == pytest.approx(heights)
