"""A config → its resources and what they refer to, from the Entrypoint on: a tree, Mermaid, or plain data.

Rules
    * The order is that of the file, depth first; a resource that is referred to twice is drawn once.
    * What nothing refers to is shown apart: it is never built.
    * Shapes and colours of the Mermaid graph are those of AILERON's examples: handlers red, others purple.
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from rich.text import Text
from rich.tree import Tree

from gateway.config import Config, HTTPHandler, HTTPServer, Resource, ReverseProxyHandler, id_of
from gateway.printable import escape
from launcher.files import as_text

_HANDLER: Final = "#ff6961"
_OTHER: Final = "#9370DB"
_UNUSED: Final = "nothing refers to"


def ordered(config: Config) -> tuple[list[Resource], list[Resource]]:
    """The resources that the Entrypoint leads to, depth first; and all the others."""
    used = list(_below(config, [config.entrypoint]))
    there = set(map(id_of, used))
    return used, [each for each in config.resources.values() if id_of(each) not in there]


def _below(config: Config, roots: Sequence[Resource]) -> Iterator[Resource]:
    """`roots` and what they lead to, each once."""
    seen: set[object] = set()
    pending = list(reversed(roots))
    while pending:
        resource = pending.pop()
        if id_of(resource) not in seen:
            seen.add(id_of(resource))
            yield resource
            pending += reversed(config.dependencies(resource))


def _name(resource: Resource) -> str:
    return f"{resource.metadata.namespace}/{resource.metadata.name}"


def _colour(resource: Resource) -> str:
    return _HANDLER if isinstance(resource, HTTPHandler | ReverseProxyHandler) else _OTHER


def trees(config: Config) -> list[Tree]:
    """One tree from the Entrypoint, and one of what nothing refers to, where there is any."""
    _, unused = ordered(config)
    seen: set[object] = set()
    found = [_tree(config, config.entrypoint, seen)]
    if unused:
        apart = Tree(Text(f"{_UNUSED}:"))
        inner = {id_of(each) for one in unused for each in config.dependencies(one)}
        # The last ones are those of circles, to which nothing leads but themselves.
        for each in (*(each for each in unused if id_of(each) not in inner), *unused):
            if id_of(each) not in seen:
                apart.children.append(_tree(config, each, seen))
        found.append(apart)
    return found


def _tree(config: Config, root: Resource, seen: set[object]) -> Tree:
    """`root` and what it leads to; what is in `seen` has been drawn, and is only named."""
    top = Tree("")
    pending = [(top, root)]
    while pending:
        above, resource = pending.pop()
        branch = above.add(_label(resource))
        if id_of(resource) in seen:
            branch.label = _label(resource).append("  as above", style="dim not bold")
        else:
            seen.add(id_of(resource))
            pending += [(branch, each) for each in reversed(config.dependencies(resource))]
    return top.children[0]


def _label(resource: Resource) -> Text:
    label = Text(resource.kind, style=f"bold {_colour(resource)}")
    label.append(f" {escape(_name(resource))}", style="default not bold")
    match resource:
        case HTTPServer():
            label.append(f"  {escape(resource.spec.address)}", style="dim not bold")
        case ReverseProxyHandler():
            urls = [each.upstream.url for one in resource.spec.load_balancers for each in one.upstreams]
            if urls:
                label.append(f"  → {', '.join(map(escape, dict.fromkeys(urls)))}", style="dim not bold")
        case _:
            pass
    return label


def mermaid(config: Config) -> str:
    """The graph in Mermaid's language, without a line end after it."""
    used, unused = ordered(config)
    nodes = _nodes([*used, *unused])
    lines = ["graph TD", *(_box(nodes, each) for each in used)]
    if unused:
        lines += [f'  subgraph unused["{_UNUSED}"]', *(f"  {_box(nodes, each)}" for each in unused), "  end"]
    lines.append("")
    for resource in (*used, *unused):
        node, below = nodes[id_of(resource)], config.dependencies(resource)
        lines += [f"{node} --> {nodes[id_of(each)]}" for each in below] or [node]
    handlers = [each for each in (*used, *unused) if _colour(each) == _HANDLER]
    if handlers:
        lines.append("")
        lines += [f"style {nodes[id_of(each)]} stroke:{_HANDLER},stroke-width:2px" for each in handlers]
    return "\n".join(lines)


def _nodes(resources: Iterable[Resource]) -> dict[object, str]:
    """What each resource is called in the graph: by its kind, with a number from the second one on."""
    counts: dict[str, Iterator[int]] = {}
    found: dict[object, str] = {}
    for resource in resources:
        number = next(counts.setdefault(resource.kind, itertools.count(1)))
        found[id_of(resource)] = resource.kind + (str(number) if number > 1 else "")
    return found


def _box(nodes: dict[object, str], resource: Resource) -> str:
    square = "🟥" if _colour(resource) == _HANDLER else "🟪"
    # A character that could mean something to Mermaid goes by its number.
    name = re.sub(r"[^0-9A-Za-z./-]", lambda found: f"#{ord(found[0])};", _name(resource))
    return f'  {nodes[id_of(resource)]}["{square} **{resource.kind}**</br>{name}"]'


def data(config: Config) -> dict[str, Any]:
    """The resources, and which of them refer to which, as JSON has it."""
    used, unused = ordered(config)
    there = set(map(id_of, used))
    return {
        "resources": [
            {
                "id": _id(each),
                "apiVersion": each.api_version,
                "kind": each.kind,
                "namespace": each.metadata.namespace,
                "name": each.metadata.name,
                "file": as_text(each.where.file),
                "line": each.where.mark.line,
                "used": id_of(each) in there,
            }
            for each in (*used, *unused)
        ],
        "references": [
            {"from": _id(each), "to": _id(other)}
            for each in (*used, *unused)
            for other in config.dependencies(each)
        ],
    }


def _id(resource: Resource) -> str:
    return "/".join(id_of(resource))
