"""Targets under atheris, one process each, and what came of them.

`.fuzz/TARGET/corpus` keeps what a run has found worth trying again, so that the next one goes on from
there; `.fuzz/TARGET/findings` has the inputs that the oracle objects to, and why.
"""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.fuzz.targets import load

ROOT: Final = Path(__file__).parents[2]
CORPUS: Final = ROOT / "tests" / "corpus"
"""The inputs that the default suite tries."""
FOLDER: Final = ROOT / ".fuzz"
"""What runs leave behind."""

_PATIENCE: Final = 20
"""Seconds for one input; more than that is a finding."""
_MEMORY: Final = 1024
"""MiB for the process; more than that is a finding."""


class CampaignError(Exception):
    """A run that could not be made; `str()` of it says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a run."""

    target: str
    executions: int
    seconds: float
    coverage: int | None
    """Places in the code that were reached, as libFuzzer counts them; None where nobody counts."""
    findings: tuple[Path, ...]
    """The inputs that the oracle objects to."""


def run(name: str, seconds: int, *, repeatable: bool) -> Outcome:
    """Fuzz the target `name`, where it is to be `repeatable` from a seed that is always the same.

    Raises CampaignError.
    """
    corpus, findings = FOLDER / name / "corpus", FOLDER / name / "findings"
    shutil.rmtree(findings, ignore_errors=True)
    for folder in (corpus, findings):
        folder.mkdir(parents=True, exist_ok=True)
    words = FOLDER / name / "dictionary"
    words.write_text("".join(f'"{_escaped(token)}"\n' for token in load(name).TOKENS))
    options = (
        f"-max_total_time={seconds}",
        f"-seed={int(repeatable)}",  # 0 stands for any
        f"-timeout={_PATIENCE}",
        f"-rss_limit_mb={_MEMORY}",
        f"-artifact_prefix={findings}/",
        f"-dict={words}",
        "-print_final_stats=1",
    )
    told = _child(name, findings, *options, str(corpus), str(CORPUS / name))
    found = tuple(sorted(each for each in findings.iterdir() if each.suffix != ".txt"))
    executions = re.search(r"stat::number_of_executed_units: (\d+)", told)
    if executions is None and not found:
        raise CampaignError(f"the run of {name} has failed:\n{told[-2000:]}")
    elapsed = re.search(r"Done \d+ runs in (\d+) second", told)
    coverage = re.findall(r" cov: (\d+) ", told)
    return Outcome(
        target=name,
        executions=int(executions[1]) if executions else 0,
        seconds=int(elapsed[1]) if elapsed else seconds,
        coverage=int(coverage[-1]) if coverage else None,
        findings=found,
    )


def _child(name: str, findings: Path, *options: str) -> str:
    """What a process that fuzzes `name` says."""
    command = [sys.executable, "-m", "tests.fuzz.child", name, str(findings), *options]
    return subprocess.run(
        command, cwd=ROOT, stderr=subprocess.PIPE, text=True, errors="replace", check=False
    ).stderr


def _escaped(token: bytes) -> str:
    """`token` as a dictionary of libFuzzer has it."""
    return "".join(
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}" for byte in token
    )
