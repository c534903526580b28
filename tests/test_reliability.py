"""docs/reliability.md promises nothing that no test holds: each test it names is there."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
NAMED: Final = re.compile(r"`((?:[\w/]+\.py)?)::(\w+)`|`([\w/]+\.py)`")


def named() -> Iterator[tuple[str, str]]:
    """Each test module and test that the document names; a test without a module is in the one before."""
    module = ""
    for line in (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8").splitlines():
        for found in NAMED.finditer(line):
            module = found[1] or found[3] or module
            yield module, found[2] or ""


def test_each_test_is_there() -> None:
    """By its name, in its module."""
    missing = []
    for module, test in named():
        path = ROOT / "tests" / module
        if not path.is_file():
            missing.append(module)
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        defined = {
            each.name for each in tree.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        if test and test not in defined:
            missing.append(f"{module}::{test}")
    assert missing == []
    assert len(list(named())) > 60
