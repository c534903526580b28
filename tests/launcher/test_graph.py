"""The graph of a config: what refers to what, as a tree, as Mermaid and as data."""

import json
import re
from io import StringIO
from pathlib import Path
from typing import Literal

import pytest
from rich.console import Console

from gateway.config import Config
from gateway.config.resources import API_VERSION, Entrypoint, HTTPHandler, Metadata
from gateway.loading import load
from launcher.describe import ENDLESS
from launcher.graph import data, mermaid, trees

ROOT = Path(__file__).parents[2]


def resource(kind: str, name: str, *handlers: str) -> str:
    """A resource of this kind and name, which refers to `handlers`, as `HTTPHandler/a`."""
    references = [
        f"{{apiVersion: core/v1, kind: {each.partition('/')[0]}, name: {each.partition('/')[2]}}}"
        for each in handlers
    ]
    spec = {
        "Entrypoint": f"{{runners: [{', '.join(references)}]}}",
        "HTTPServer": f"{{addr: ':0', virtualHosts: [{{handlers: "
        f"[{', '.join(f'{{pattern: /p{n}, handler: {each}}}' for n, each in enumerate(references))}]}}]}}"
        if references
        else "{addr: ':0'}",
        "HTTPHandler": f"{{handler: {''.join(references)}}}",
        "ReverseProxyHandler": "{loadBalancers: [{pathMatcher: {matchType: Prefix}, "
        "upstreams: [{url: 'http://up:1/x'}, {url: 'https://up'}]}]}",
    }[kind]
    return f"---\napiVersion: core/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Two servers that share a proxy, one of them by way of a chain; a circle and a server are unused."""
    path = tmp_path / "config.yaml"
    path.write_text(
        resource("Entrypoint", "e", "HTTPServer/a", "HTTPServer/b")
        + resource("HTTPServer", "a", "HTTPHandler/one", "ReverseProxyHandler/p")
        + resource("HTTPServer", "b", "ReverseProxyHandler/p")
        + resource("HTTPServer", "idle", "ReverseProxyHandler/p")
        + resource("HTTPHandler", "one", "HTTPHandler/two")
        + resource("HTTPHandler", "two", "ReverseProxyHandler/p")
        + resource("ReverseProxyHandler", "p")
        + resource("HTTPHandler", "round", "HTTPHandler/about")
        + resource("HTTPHandler", "about", "HTTPHandler/round"),
        encoding="utf-8",
    )
    return load([path], {}).config


def drawn(config: Config, *, terminal: bool = False) -> str:
    """The trees as a console prints them."""
    out = StringIO()
    colours: Literal["truecolor"] | None = "truecolor" if terminal else None
    console = Console(file=out, width=ENDLESS, color_system=colours, force_terminal=terminal, no_color=False)
    for tree in trees(config):
        console.print(tree)
    return out.getvalue()


def test_the_readme_shows_the_shipped_config() -> None:
    """The README's graph of resources is what this command prints."""
    graphs = re.findall(
        r"```mermaid\n(.*?)\n```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )
    assert mermaid(load([ROOT / "config.yaml"], {}).config) == graphs[1]


def test_a_tree(config: Config) -> None:
    """Depth first, each resource drawn once; what nothing refers to apart, circles too."""
    assert drawn(config).splitlines() == [
        "Entrypoint default/e",
        "├── HTTPServer default/a  :0",
        "│   ├── HTTPHandler default/one",
        "│   │   └── HTTPHandler default/two",
        "│   │       └── ReverseProxyHandler default/p  → http://up:1, https://up",
        "│   └── ReverseProxyHandler default/p  → http://up:1, https://up  as above",
        "└── HTTPServer default/b  :0",
        "    └── ReverseProxyHandler default/p  → http://up:1, https://up  as above",
        "nothing refers to:",
        "├── HTTPServer default/idle  :0",
        "│   └── ReverseProxyHandler default/p  → http://up:1, https://up  as above",
        "└── HTTPHandler default/round",
        "    └── HTTPHandler default/about",
        "        └── HTTPHandler default/round  as above",
    ]


def test_a_tree_has_the_colours_of_the_examples(config: Config) -> None:
    """Handlers #ff6961, others #9370DB."""
    text = drawn(config, terminal=True)
    assert "\x1b[1;38;2;147;112;219mHTTPServer" in text
    assert "\x1b[1;38;2;255;105;97mReverseProxyHandler" in text


def test_mermaid(config: Config) -> None:
    """One box for each resource, numbered where there are several of a kind; ends stand alone."""
    assert mermaid(config).splitlines() == [
        "graph TD",
        '  Entrypoint["🟪 **Entrypoint**</br>default/e"]',
        '  HTTPServer["🟪 **HTTPServer**</br>default/a"]',
        '  HTTPHandler["🟥 **HTTPHandler**</br>default/one"]',
        '  HTTPHandler2["🟥 **HTTPHandler**</br>default/two"]',
        '  ReverseProxyHandler["🟥 **ReverseProxyHandler**</br>default/p"]',
        '  HTTPServer2["🟪 **HTTPServer**</br>default/b"]',
        '  subgraph unused["nothing refers to"]',
        '    HTTPServer3["🟪 **HTTPServer**</br>default/idle"]',
        '    HTTPHandler3["🟥 **HTTPHandler**</br>default/round"]',
        '    HTTPHandler4["🟥 **HTTPHandler**</br>default/about"]',
        "  end",
        "",
        "Entrypoint --> HTTPServer",
        "Entrypoint --> HTTPServer2",
        "HTTPServer --> HTTPHandler",
        "HTTPServer --> ReverseProxyHandler",
        "HTTPHandler --> HTTPHandler2",
        "HTTPHandler2 --> ReverseProxyHandler",
        "ReverseProxyHandler",
        "HTTPServer2 --> ReverseProxyHandler",
        "HTTPServer3 --> ReverseProxyHandler",
        "HTTPHandler3 --> HTTPHandler4",
        "HTTPHandler4 --> HTTPHandler3",
        "",
        *(
            f"style {node} stroke:#ff6961,stroke-width:2px"
            for node in ("HTTPHandler", "HTTPHandler2", "ReverseProxyHandler", "HTTPHandler3", "HTTPHandler4")
        ),
    ]


def test_data(config: Config) -> None:
    """Ids that AILERON would know them by, where they stand, and whether anything leads to them."""
    found = json.loads(json.dumps(data(config)))
    by_id = {each["id"]: each for each in found["resources"]}
    assert len(by_id) == 9
    server = by_id["core/v1/HTTPServer/default/a"]
    assert (server["kind"], server["name"], server["line"], server["used"]) == ("HTTPServer", "a", 7, True)
    assert not by_id["core/v1/HTTPHandler/default/round"]["used"]
    assert found["references"][0] == {
        "from": "core/v1/Entrypoint/.entrypoint/.entrypoint",
        "to": "core/v1/HTTPServer/default/a",
    }
    assert {each["to"] for each in found["references"]} <= set(by_id)


def test_names_mean_nothing_to_mermaid_or_a_terminal() -> None:
    """Though no file could hold such a name."""
    entrypoint = Entrypoint(api_version=API_VERSION, kind="Entrypoint")
    name = 'x"]\n\x1b[31m[bold]'
    handler = HTTPHandler(api_version=API_VERSION, kind="HTTPHandler", metadata=Metadata(name=name))
    made = {("", "", "", "e"): entrypoint, ("", "", "", "h"): handler}
    config = Config(resources=made, servers=(), used=frozenset())  # type: ignore[arg-type]  # a union of kinds
    assert 'default/x#34;#93;#10;#27;#91;31m#91;bold#93;"]' in mermaid(config)
    assert 'HTTPHandler default/x"]\\n\\x1b[31m[bold]' in drawn(config)
