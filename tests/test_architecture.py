"""Who imports whom: the arrows of the house, read from the sources.

A room is a package or a module one step below the top (`gateway.config`, `gateway.events`).  The tables say
what each room may know; a room that is not in them is a violation until somebody has thought about it.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
PACKAGES: Final = ("gateway", "demo_upstream", "launcher")

PURE: Final = ("events", "printable", "text", "config", "routing", "headers", "limits", "websocket")
"""The gateway's rooms that touch nothing: bytes or documents in, meaning out."""

GATEWAY: Final[Mapping[str, tuple[str, ...]]] = {
    "__init__": (),
    "events": (),
    "printable": (),
    "text": ("events", "printable"),
    "headers": ("events",),
    "limits": (),
    "config": ("headers", "printable"),
    "websocket": ("events", "headers", "limits"),
    "routing": ("config", "headers", "websocket"),
    "advice": ("config", "routing"),
    "errors": ("config", "headers", "routing"),
    "loading": ("config", "routing", "advice", "errors", "tls"),
    "watch": ("config",),
    "lifeline": (),
    "tls": ("config",),
    "proxy": (*PURE, "errors", "loading"),
    "workers": ("config", "events", "headers", "lifeline", "limits", "loading", "proxy"),
    "running": ("lifeline",),
    "cli": (*PURE, "lifeline", "loading", "proxy", "running", "watch", "workers"),
    "__main__": ("cli",),
}
"""What each room of the gateway may import of the others."""

LAUNCHER: Final = {
    f"gateway.{room}" for room in ("events", "printable", "text", "config", "loading", "routing", "headers")
} | {"demo_upstream.page"}
"""What the launcher may import of the others."""

NOT_PURE: Final = {
    *("asyncio", "threading", "subprocess", "selectors", "select", "socket", "ssl"),
    *("aiohttp", "aiohappyeyeballs", "uvloop", "h11", "rich", "jinja2", "yaml"),
}
"""What does something, or draws, and has no business in a pure room."""

PURE_MODULES: Final = ("gateway.proxy.sampling",)
"""Pure modules in rooms that are not."""

EXCEPTIONS: Final = {("gateway.config.composing", "yaml")}
"""PyYAML's nodes carry the positions that errors name; one module knows them."""

ONLY_IN: Final = {"rich": "launcher", "jinja2": "gateway", "h11": "gateway", "yaml": "gateway"}


def imported(source: str, module: str) -> Iterator[tuple[int, str]]:
    """Give line and full name of all that `source` imports, wherever in it that happens.

    `from a import b` gives `a.b`, which may be a module or something in one.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = module.split(".")[: -node.level] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{origin}.{alias.name}"
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {
            "importlib.import_module",
            "import_module",
            "__import__",
        }:
            match node.args:
                case [ast.Constant(value=str(name)), *_]:
                    yield node.lineno, name
                case _:
                    yield node.lineno, "what nobody can read here"


def complaint(module: str, name: str) -> str | None:
    """Give why `module` may not import `name`; None where it may."""
    package, room = (*module.split("."), "__init__")[:2]
    top, inner = (*name.split("."), "__init__")[:2]
    if not name.replace(".", "").replace("_", "").isalnum():
        return "an import has to say what it imports"
    if top not in PACKAGES:
        pure = package == "gateway" and (room in PURE or module in PURE_MODULES)
        if pure and top in NOT_PURE and (module, top) not in EXCEPTIONS:
            return "it is pure"
        if ONLY_IN.get(top, package) != package:
            return f"that belongs to {ONLY_IN[top]}"
        return None
    if package == "gateway" and room not in GATEWAY:
        return "it is a new room: say in this test what it may import"
    if package == top:
        if package != "gateway" or room == inner or inner in GATEWAY[room]:
            return None
        return "the arrows go the other way"
    if package == "launcher" and f"{top}.{inner}" in LAUNCHER:
        return None
    return f"{package} knows nothing of that"


def violations(sources: Mapping[str, str]) -> list[str]:
    """Give what is wrong in `sources`, texts by the names of their modules."""
    return [
        f"{module}:{line} imports {name}: {why}"
        for module, source in sources.items()
        for line, name in imported(source, module)
        if (why := complaint(module, name)) is not None
    ]


def tree() -> dict[str, str]:
    """Give all sources of the three packages; a package's own is called `package.__init__`."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path.read_text(encoding="utf-8")
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
    }


def test_the_arrows_hold() -> None:
    """Everything imports downwards, and the pure rooms stay pure."""
    assert violations(tree()) == []


def test_all_rooms_are_there() -> None:
    """The tables speak of rooms that exist, and the reader found them."""
    sources = tree()
    rooms = {module.split(".")[1] for module in sources if module.startswith("gateway.")}
    assert rooms == set(GATEWAY)
    assert set(PURE_MODULES) <= set(sources)
    assert {module for module, _ in EXCEPTIONS} <= set(sources)
    names = [name for module, source in sources.items() for _, name in imported(source, module)]
    assert {"gateway.websocket.frames.Decoder", "yaml", "uvloop", "gateway.lifeline"} <= set(names)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("gateway.events", "from gateway.text import line"),
        ("gateway.events", "import asyncio"),
        ("gateway.text", "import rich.text"),
        ("gateway.headers", "from gateway.websocket import frames"),
        ("gateway.websocket.frames", "import asyncio.events"),
        ("gateway.websocket.frames", "def f():\n    from socket import socket"),
        ("gateway.websocket.inflate", "from ..proxy import log"),
        ("gateway.websocket.inflate", "from .. import proxy"),
        ("gateway.websocket.handshake", "if TYPE_CHECKING:\n    import aiohttp"),
        ("gateway.config.graph", "import yaml"),
        ("gateway.config.graph", "from gateway.routing import Router"),
        ("gateway.config.documents", "import uvloop"),
        ("gateway.routing.mux", "import importlib\nimportlib.import_module('aiohttp')"),
        ("gateway.routing.mux", "__import__('ssl')"),
        ("gateway.routing.mux", "import_module(name)"),
        ("gateway.proxy.sampling", "import asyncio"),
        ("gateway.proxy.tunnel", "from gateway import cli"),
        ("gateway.proxy.tunnel", "from gateway.cli import main"),
        ("gateway.proxy.log", "import rich"),
        ("gateway.proxy.server", "from gateway.workers.parent import Parent"),
        ("gateway.workers.worker", "from gateway import cli"),
        ("gateway.cli", "import launcher"),
        ("gateway.cli", "from demo_upstream.page import Page"),
        ("gateway.__init__", "from gateway.events import Record"),
        ("gateway.novelty", "import gateway.events"),
        ("gateway.proxy.tunnel", "import gateway"),
        ("gateway.proxy.tunnel", "from gateway import *"),
        ("demo_upstream.app", "import gateway.events"),
        ("demo_upstream.app", "from launcher import files"),
        ("demo_upstream.app", "import rich"),
        ("launcher.view", "from gateway.proxy.log import EventLog"),
        ("launcher.view", "from gateway import proxy"),
        ("launcher.view", "import gateway.cli"),
        ("launcher.view", "from gateway.websocket.frames import Decoder"),
        ("launcher.view", "from demo_upstream.app import make_app"),
        ("launcher.view", "import demo_upstream"),
        ("launcher.view", "import jinja2"),
    ],
)
def test_a_made_up_violation_is_found(module: str, source: str) -> None:
    """The check can fail, for each arrow and each way to write an import."""
    (found,) = violations({"gateway.events": "import msgspec", module: source})
    assert found.startswith(f"{module}:")


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("gateway.config.composing", "import yaml"),
        ("gateway.websocket.frames", "from gateway.events import Side\nfrom gateway import events"),
        ("gateway.websocket.frames", "from . import inflate\nfrom .inflate import Inflater"),
        ("gateway.websocket.__init__", "from .frames import Decoder"),
        (
            "gateway.proxy.log",
            "import asyncio\nfrom gateway import text\nfrom gateway.websocket import frames",
        ),
        ("gateway.cli", "import importlib\nimportlib.import_module('uvloop')"),
        ("launcher.view", "from gateway.text import line\nimport rich\nfrom demo_upstream.page import Page"),
        ("demo_upstream.app", "from demo_upstream import page\nimport aiohttp"),
    ],
)
def test_a_right_import_is_none(module: str, source: str) -> None:
    """And it can pass."""
    assert violations({module: source}) == []


@pytest.mark.parametrize(
    ("imports", "absent"),
    [
        ([f"gateway.{room}" for room in PURE], NOT_PURE - {"yaml"}),
        (
            ["launcher.up", "launcher.cli"],
            {"gateway.proxy", "gateway.cli", "aiohttp", "demo_upstream.app", "uvloop"},
        ),
        (["demo_upstream.cli"], {"gateway", "launcher", "rich", "yaml"}),
        (["gateway.cli"], {"launcher", "demo_upstream", "rich"}),
        (["gateway.cli", "gateway.workers.parent", "gateway.workers.crew"], {"aiohttp", "h11"}),
    ],
)
def test_nothing_comes_in_by_a_back_door(imports: list[str], absent: set[str]) -> None:
    """In an interpreter of its own: what a room loads, however indirectly, is not more than it may."""
    code = f"import sys, {', '.join(imports)}\nprint(*sorted(sys.modules))"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, timeout=30
    )
    loaded = set(ran.stdout.split())
    assert set(imports) <= loaded
    assert loaded & absent == set()
