"""Config documents.

Oracle: any text gives resources, or problems that stand inside of the text, and at least one error where no
config comes out; all that is said is fit for a terminal.  A text that is read without a problem is the same
tree of values to PyYAML's own composer, or to Python's JSON.  Reading tells no value of a variable.  What
loads can be routed, advised about, printed and drawn, and what is printed is YAML and JSON of the same data.
"""

import json
from dataclasses import replace
from typing import Any, Final

import yaml

from gateway.advice import advise
from gateway.config import Config, Id, Problem
from gateway.config.documents import MappingNode, Node, Reading, ScalarNode, parse
from gateway.config.graph import link
from gateway.config.problems import excerpt, tidy
from gateway.config.template import data_of, json_of, yaml_of
from gateway.routing import build
from gateway.routing.proxying import ProxyHandler
from launcher.graph import data as drawn
from launcher.graph import mermaid
from tests.fuzz.choices import Choices
from tests.gateway.config.samples import ENTRYPOINT, PROXY, SERVER

TOKENS: Final = (
    *(each.encode() for each in (ENTRYPOINT, SERVER, PROXY)),
    b"apiVersion: core/v1\n",
    b"kind: HTTPHandler\n",
    b"kind: ErrorHandler\n",
    b"---\n",
    b"...\n",
    b"${SECRET}",
    b"${HOST:-localhost}",
    b"${LINES}",
    b"&a ",
    b"*a",
    b"!!str ",
    b"<<: *a\n",
    b"|\n  ",
    b">-\n  ",
    b'"\\u0041"',
    b"# ",
    b"%YAML 1.2\n",
    b"{a: [b, c]}",
    b"\r\n",
    b"\xe2\x80\xa8",
    b"hosts:",
    b"patterns:",
    b"methods: [GET]",
    b"pathMatchers:",
    b"matchType: Regex",
    b"rewrite: /$1",
    b"lbAlgorithm: RingHash",
    b"weight: -1",
    b"shutdownTimeout: 30",
    b"metadata: {name: a, namespace: b}",
    b'{"apiVersion": "core/v1", "kind": "Entrypoint"}',
)

_SECRET: Final = "xq7-hunter2-zv"
_ENVIRONMENT: Final = {
    "SECRET": _SECRET,
    "HOST": "localhost:9090",
    "EMPTY": "",
    "LINES": f"{_SECRET}\n  - {_SECRET}",
    "BREAK": f"{{{_SECRET}: [",
    "DOCUMENT": f"a\n---\n{_SECRET}",
    "BELL": f"{_SECRET}\a",
    "ALIAS": f"*{_SECRET}",
}


def check(data: bytes) -> None:
    """Load `data` as a file."""
    choices = Choices(data)
    file = "config.json" if choices.byte() & 1 else "config.yaml"
    data = choices.rest()
    reading = parse(file, data, dict(_ENVIRONMENT))
    _inside(reading.problems, reading, data)
    if _SECRET.encode() not in data:
        assert not any(_SECRET in str(each) for each in reading.problems)
    if not reading.problems and b"${" not in data:
        _same_tree(file, data, reading)
    problems = list(reading.problems)
    config = link(reading.documents, problems, files=[file])
    if config is None:
        assert any(each.severity == "error" for each in problems)
    else:
        problems += _made_of(config)
    _inside(tidy(problems), reading, data)


def _inside(problems: tuple[Problem, ...], reading: Reading, data: bytes) -> None:
    """Every problem has a place in the text, and can be shown."""
    lines = reading.sources.get("config.yaml") or reading.sources.get("config.json")
    if lines is None:  # it was no text that could be read
        lines = data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for problem in problems:
        assert str(problem).isprintable(), str(problem)
        if problem.line is None:
            continue
        assert problem.column is not None
        assert 1 <= problem.line <= max(1, len(lines)), problem
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 2, problem
        shown = excerpt(problem, reading.sources)
        assert shown is None or (shown.line + shown.caret).isprintable()


def _same_tree(file: str, data: bytes, reading: Reading) -> None:
    """Another reader reads the same."""
    text = data.decode("utf-8-sig")
    trees = [_plain(document.root) for document in reading.documents]
    if file.endswith(".json") and "---" not in text:
        others = (
            [json.loads(text, object_pairs_hook=_pairs, parse_int=str, parse_float=str)]
            if text.strip()
            else []
        )
        assert trees == [_words(other) for other in others]
        return
    try:
        nodes = list(yaml.compose_all(text, yaml.SafeLoader))
    except (yaml.YAMLError, RecursionError):
        return  # duplicate anchors and the like, of which the product takes some
    assert trees == [_composed(node) for node in nodes]


def _plain(node: Node) -> Any:
    if isinstance(node, ScalarNode):
        return node.text
    if isinstance(node, MappingNode):
        return ("mapping", [(_plain(key), _plain(value)) for key, value in node.entries])
    return [_plain(item) for item in node.items]


def _composed(node: Any) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return node.value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    if isinstance(node, yaml.MappingNode):
        return ("mapping", [(_composed(key), _composed(value)) for key, value in node.value])
    return [_composed(item) for item in node.value]


class _Object(list[tuple[str, Any]]):
    """Names and values of a JSON object."""


def _pairs(pairs: list[tuple[str, Any]]) -> _Object:
    return _Object(pairs)


def _words(value: Any) -> Any:
    """What JSON says, each constant by its name."""
    if isinstance(value, _Object):
        return ("mapping", [(key, _words(each)) for key, each in value])
    if isinstance(value, list):
        return [_words(each) for each in value]
    return (
        {None: "null", True: "true", False: "false"}.get(value, value)
        if value is None or isinstance(value, bool)
        else value
    )


def _made_of(config: Config) -> list[Problem]:
    """All that is made of a config, but for what opens files."""
    problems: list[Problem] = []
    handlers: dict[Id, ProxyHandler] = {}
    routes = []
    for server in config.servers:
        built, wrong = build(config, server, handlers)
        routes.append(built)
        problems += wrong
    problems += [replace(each, severity="warning") for each in advise(config, routes)]
    for resource in config.resources.values():
        printed = data_of(resource)
        assert json.loads(json_of(printed)) == json.loads(json.dumps(printed))
        assert yaml.safe_load(yaml_of(printed)) == printed
    assert mermaid(config)
    json.dumps(drawn(config))
    return problems
