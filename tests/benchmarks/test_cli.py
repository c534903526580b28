"""`python -m benchmarks` as a whole."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.cli import main
from benchmarks.native import BuildError
from benchmarks.results import read, write
from tests.benchmarks.samples import result, sample

ROOT = Path(__file__).parents[2]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command, run to its end."""
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


@pytest.mark.timeout(180)
@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler (cc)")
@pytest.mark.parametrize(
    "chosen", [{"S1"}, pytest.param({"S3", "S6", "size", "start"}, marks=pytest.mark.long)], ids=len
)
def test_the_gateway_alone(tmp_path: Path, chosen: set[str]) -> None:
    """One scenario of each kind brings figures and no errors; results, tables and plots are written."""
    ran = run("--quick", "--peers", "aileron", "--only", ",".join(sorted(chosen)), "--results", tmp_path)
    assert ran.returncode == 0, ran.stderr
    found = read(tmp_path)
    assert set(found) == chosen
    for each in found.values():
        for row in each.rows:
            assert row.skipped == {}
            for figures in row.figures.values():
                assert figures["errors"].high == 0 if "errors" in figures else figures
        assert any("aileron" in row.figures for row in each.rows), each.scenario
    assert "**" in (tmp_path / "table.md").read_text(encoding="utf-8")
    pictures = {"cpu-light.svg"} if chosen == {"S1"} else {"cpu-light.svg", "growth-dark.svg"}
    assert {"details.md", *pictures} <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only", "S1,S99"], "there is no scenario 'S99'"),
        (["--peers", "apache"], "there is no peer 'apache'"),
        (["--rounds", "0"], "'0' is not a number above 0"),
        (["--seconds", "soon"], "'soon' is not a number above 0"),
    ],
)
def test_wrong_usage_is_one_clear_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """And status 2."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err.splitlines()[-1]


def test_without_a_compiler_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rather than a traceback."""

    def build(_: Path) -> None:
        raise BuildError("there is no C compiler")

    monkeypatch.setattr("benchmarks.native.build", build)
    assert main(["--only", "S1"]) == 1
    assert capsys.readouterr().err == "benchmarks: there is no C compiler\n"


def test_a_report_needs_no_measurement(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Tables and plots are made of what is there, whoever measured it."""
    write(result("S1", [{"nginx": sample(10), "aileron": sample(12)}]), tmp_path)
    assert main(["--report", "--results", str(tmp_path)]) == 0
    assert "| S1 ping-pong | 10.0 µs | **1.20** |" in capsys.readouterr().out
    assert (tmp_path / "cpu-dark.svg").exists()
