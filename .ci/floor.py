"""Print the dependencies of a pyproject.toml as constraints, each at its lower bound."""

import re
import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["project"]
for requirement in project["dependencies"]:
    name, bound, marker = re.fullmatch(r"([\w.-]+)>=([\w.]+)(\s*;.*)?", requirement).groups()
    print(f"{name}=={bound}{marker or ''}")
