"""What was probably meant by a value that cannot be what it is.  Empty where nothing is known."""

import itertools
import re
from collections.abc import Iterable, Mapping
from typing import Final

from gateway.config.documents import MappingNode, Node, ScalarNode, SequenceNode
from gateway.config.problems import did_you_mean, quoted

_TYPOGRAPHIC: Final = re.compile("^[\u2018-\u201f]|[\u2018-\u201f]$")


def typographic(node: ScalarNode) -> str:
    """Said of a value in quotes that are none to YAML, as word processors write them."""
    found = _TYPOGRAPHIC.search(node.text) if node.plain else None
    return f'{found[0]} is a typographic quote; write straight quotes (") instead' if found else ""


def half_quoted(node: ScalarNode) -> str:
    """Said of a value that has lost its opening quote."""
    if node.plain and node.text.endswith(('"', "'")):
        return f"a {node.text[-1]} ends this value, but none begins it; write quotes at both ends or at none"
    return ""


def slip(node: Node) -> str:
    """Goes behind the complaint that `node` is not the collection that should stand in its place."""
    if isinstance(node, SequenceNode):
        return '; leave out the "- "'
    if isinstance(node, MappingNode):
        first = node.entries[0][0] if node.entries else None
        stuck = isinstance(first, ScalarNode) and re.match("-[A-Za-z]", first.text)
        return '; a space is missing behind the "-"' if stuck else ""
    found = re.match(r"([A-Za-z]\w*:)(?!//)\S", node.shown) if node.plain else None
    return f"; a space is missing behind {quoted(found[1])}" if found else ""


def unknown_field(
    name: str, allowed: Iterable[str], here: str, elsewhere: Mapping[str, tuple[str, ...]]
) -> str:
    """Said of a field `name` of the message at `here` (`spec.loadBalancers[]`), which has those `allowed`.

    `elsewhere` tells of the names of all fields of the resource in which messages they stand
    (`spec.loadBalancers[].pathMatcher`).
    """
    homes = elsewhere.get(name, ())
    if inner := [home for home in homes if _below(home, here)]:
        nearest = min(inner, key=lambda home: home.count("."))
        inside = quoted(nearest[len(here) :].lstrip("."), marks="")
        return f"unknown field; {quoted(name)} belongs into {inside}"
    if hint := did_you_mean(name, allowed):
        return f"unknown field{hint}"
    if homes:
        nearest = max(homes, key=lambda home: (_shared(home, here), -home.count(".")))
        place = f"belongs into {quoted(nearest, marks='')}" if nearest else "stands at the top, beside kind"
        return f"unknown field; {quoted(name)} {place}"
    below = [each for each, places in elsewhere.items() if any(_below(home, here) for home in places)]
    return f"unknown field{did_you_mean(name, below)}"


def _below(home: str, here: str) -> bool:
    """Whether the message at `home` stands somewhere in the one at `here`."""
    return home != here and (not here or home.startswith((f"{here}.", f"{here}[")))


def _shared(one: str, other: str) -> int:
    """How many steps down two paths go together."""
    steps = zip(one.split("."), other.split("."), strict=False)
    return len(list(itertools.takewhile(lambda pair: pair[0] == pair[1], steps)))
