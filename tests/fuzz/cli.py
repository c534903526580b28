"""`python -m tests.fuzz`: fuzz one target, or all of them, and tell what came of it."""

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from tests.fuzz.campaign import ROOT, CampaignError, Outcome, run
from tests.fuzz.targets import NAMES


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command: 0 where nothing was found, 1 where something was, 2 where it could not run."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description="Fuzz a part of the product; inputs that its oracle objects to are written to .fuzz.",
    )
    parser.add_argument("target", choices=[*NAMES, "all"], help="what to fuzz", metavar="TARGET")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)", metavar="N")
    args = parser.parse_args(argv)
    if find_spec("atheris") is None:
        print("atheris is missing here; install it with: pip install -e '.[test,fuzz]'", file=sys.stderr)
        return 2
    outcomes: list[Outcome] = []
    try:
        for name in NAMES if args.target == "all" else [args.target]:
            print(f"{name} ...", file=sys.stderr)
            outcomes.append(run(name, args.seconds))
    except CampaignError as error:
        print(error, file=sys.stderr)
        return 2
    print(table(outcomes))
    for outcome in outcomes:
        for each in outcome.findings:
            print(f"{outcome.target}: {each.relative_to(ROOT)}")
    return 1 if any(each.findings for each in outcomes) else 0


def table(outcomes: Sequence[Outcome]) -> str:
    """The figures of all runs."""
    head = f"{'target':<14}{'executions':>12}{'a second':>10}{'coverage':>10}{'findings':>10}"
    rows = [
        f"{each.target:<14}{each.executions:>12,}{each.executions / max(1, each.seconds):>10,.0f}"
        f"{'' if each.coverage is None else each.coverage:>10}{len(each.findings):>10}"
        for each in outcomes
    ]
    return "\n".join([head, *rows])
