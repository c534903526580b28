"""What was probably meant by a value that cannot be what it is.  Empty where nothing is known."""

import re
from collections.abc import Collection, Iterable, Mapping
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
    found = re.match(r"([A-Za-z]\w*:)(?!//)\S", node.text) if node.plain else None
    return f"; a space is missing behind {quoted(found[1])}" if found else ""


def unknown_field(
    name: str, allowed: Iterable[str], later: Collection[str], deeper: Mapping[str, str]
) -> str:
    """Said of a field `name` that is not among those `allowed`; `later` and `deeper` as in `Message`."""
    if name in deeper:
        place = deeper[name]
        return f"{quoted(name)} is a field of core/v1, in {place}, that this gateway does not support yet"
    supported = [each for each in allowed if each not in later]
    return f"unknown field{did_you_mean(name, supported, later=(*later, *deeper))}"
