"""`python -m tests.fuzz`: fuzz one target, or all of them, and tell what came of it.

Exit status: 0 where nothing was found, 1 where something was, 2 where it could not run.
"""

import argparse
import asyncio
import random
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from tests.fuzz import tunnel
from tests.fuzz.campaign import FOLDER, ROOT, CampaignError, Outcome, run
from tests.fuzz.targets import NAMES

TUNNEL = "tunnel"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description=f"Fuzz what reads the words of strangers. TARGET is one of: {', '.join(NAMES)}; {TUNNEL} "
        "(random streams through a live gateway); all. What is found is written to .fuzz/TARGET/findings.",
    )
    parser.add_argument("target", choices=[*NAMES, TUNNEL, "all"], metavar="TARGET", help="what to fuzz")
    parser.add_argument("--seconds", type=int, default=60, metavar="N", help="for each target (60)")
    parser.add_argument("--seed", type=int, metavar="N", help="try this one tunnel again")
    parser.add_argument(
        "--repeatable", action="store_true", help="draw the same inputs each time, as far as the time goes"
    )
    args = parser.parse_args(argv)
    if args.repeatable:
        random.seed(1)  # of the tunnels
    names = [*NAMES, TUNNEL] if args.target == "all" else [args.target]
    if args.seed is not None and names != [TUNNEL]:
        parser.error("a seed belongs to a tunnel: python -m tests.fuzz tunnel --seed N")
    if names != [TUNNEL] and find_spec("atheris") is None:
        print("atheris is missing here; install it with: pip install -e '.[test,fuzz]'", file=sys.stderr)
        return 2
    outcomes: list[Outcome] = []
    try:
        for name in names:
            print(f"{name} …", file=sys.stderr)
            outcomes.append(
                _tunnels(args.seconds, args.seed)
                if name == TUNNEL
                else run(name, args.seconds, repeatable=args.repeatable)
            )
    except CampaignError as error:
        print(error, file=sys.stderr)
        return 2
    print(table(outcomes))
    return 1 if any(each.findings for each in outcomes) else 0


def _tunnels(seconds: int, seed: int | None) -> Outcome:
    """Random tunnels, or the one with this `seed`; what is wrong is printed as well."""
    tried, took, wrong = asyncio.run(tunnel.campaign(seconds, seed))
    path = FOLDER / TUNNEL / "findings"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{each}\n" for each in wrong))
    print("".join(f"{each}\n" for each in wrong), end="")
    return Outcome(
        target=TUNNEL, executions=tried, seconds=took, coverage=None, findings=(path,) * bool(wrong)
    )


def table(outcomes: Sequence[Outcome]) -> str:
    """The figures of all runs, and below them where the findings are."""
    head = f"{'target':<14}{'executions':>12}{'a second':>10}{'coverage':>10}{'findings':>10}"
    rows = [
        f"{each.target:<14}{each.executions:>12,}{each.executions / max(1, each.seconds):>10,.0f}"
        f"{'' if each.coverage is None else each.coverage:>10}{len(each.findings):>10}"
        for each in outcomes
    ]
    found = [_told(each.target, path) for each in outcomes for path in each.findings]
    return "\n".join([head, *rows, *found])


def _told(target: str, path: Path) -> str:
    """Where a finding is; and for whoever has only this output, why it is one, and its input."""
    why = path.with_name(f"{path.name}.txt")
    if not why.exists():
        return f"{target}: {path.relative_to(ROOT)}"
    return f"{target}: {path.relative_to(ROOT)}\n{why.read_text()}input: {path.read_bytes()!r}"
