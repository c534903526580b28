"""`python -m tests.fuzz`: what it says, and how it ends."""

from pathlib import Path

import pytest

from tests.fuzz import cli
from tests.fuzz.campaign import ROOT, CampaignError, Outcome


def outcome(target: str, *findings: Path) -> Outcome:
    """What came of ten seconds."""
    return Outcome(target=target, executions=12_345, seconds=10, coverage=67, findings=findings)


def test_findings_are_named_and_make_it_fail(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line for each target, and below them where the inputs are."""
    monkeypatch.setattr(cli, "find_spec", lambda _: True)
    monkeypatch.setattr(
        cli, "run", lambda name, _, **__: outcome(name, ROOT / ".fuzz" / name / "findings" / "abc")
    )
    assert cli.main(["text", "--seconds", "10"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "target          executions  a second  coverage  findings",
        "text                12,345     1,234        67         1",
        "text: .fuzz/text/findings/abc",
    ]
    monkeypatch.setattr(cli, "run", lambda name, _, **__: outcome(name))
    assert cli.main(["text"]) == 0


def test_a_finding_is_told_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Where the folder of findings is gone afterwards, what was printed is enough to try it again."""
    monkeypatch.setattr(cli, "find_spec", lambda _: True)
    monkeypatch.setattr(cli, "ROOT", tmp_path)
    found = tmp_path / "abc"
    found.write_bytes(b"\x1b\n")
    found.with_name("abc.txt").write_text("AssertionError: odd\n")
    monkeypatch.setattr(cli, "run", lambda name, _, **__: outcome(name, found))
    assert cli.main(["text"]) == 1
    assert capsys.readouterr().out.splitlines()[2:] == [
        "text: abc",
        "AssertionError: odd",
        r"input: b'\x1b\n'",
    ]


def test_a_run_that_cannot_be_made(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without atheris, or where it fails, the reason is told, and the status is another."""
    monkeypatch.setattr(cli, "find_spec", lambda _: None)
    assert cli.main(["all"]) == 2
    assert "pip install -e '.[test,fuzz]'" in capsys.readouterr().err

    def fail(name: str, _: int, **__: object) -> Outcome:
        raise CampaignError(f"the run of {name} has failed")

    monkeypatch.setattr(cli, "find_spec", lambda _: True)
    monkeypatch.setattr(cli, "run", fail)
    assert cli.main(["text"]) == 2
    assert "the run of text has failed" in capsys.readouterr().err


def test_a_seed_is_for_tunnels(capsys: pytest.CaptureFixture[str]) -> None:
    """The other targets have inputs instead."""
    with pytest.raises(SystemExit) as caught:
        cli.main(["text", "--seed", "1"])
    assert caught.value.code == 2
    assert "a seed belongs to a tunnel" in capsys.readouterr().err
