"""Resources → plain data and text, as `aileron -t` prints them (core-v1, section 1).

Rules (those of protojson, told to leave nothing out)
    * Every field is there, empty ones too, in the order in which its model declares it.
    * Integers of 64 bits are strings, enums go by name, a message that is not given is null.
    * A field that this gateway refuses is printed as AILERON prints one that is not given.
    * YAML has its keys sorted and two spaces to a level; JSON keeps the order.

YAML is written here, since what has to be written is so little of it: scalars are plain where no reader
could take them for anything else, and otherwise in double quotes, which are JSON's.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.config.decoding import (
    Decoder,
    Enumeration,
    Integer,
    Message,
    MessageOf,
    Refused,
    Sequence,
    TextMap,
    fields_of,
)
from gateway.config.graph import id_of
from gateway.config.resources import API_VERSION, KINDS, Resource

Data = Mapping[str, Any]
"""What JSON has, by names."""

_PLAIN: Final = re.compile(r"[A-Za-z/]([\w./:-]*[\w./-])?", re.ASCII)
_RESERVED: Final = frozenset(("true", "false", "yes", "no", "on", "off", "y", "n", "null"))
"""What some reader of YAML takes for something else than a string, in any case."""


def defaults(kind: str) -> Resource:
    """The resource of `kind`, one of KINDS, whose file says nothing else."""
    return KINDS[kind](api_version=API_VERSION, kind=kind)


def data_of(resource: Resource) -> Data:
    """`resource` as plain data, under the names by which others refer to it."""
    _, _, namespace, name = id_of(resource)
    data = _message(resource)
    return {**data, "metadata": {**data["metadata"], "name": name, "namespace": namespace}}


def json_of(data: Data) -> str:
    """`data` as JSON, without a line end after it."""
    text = json.dumps(data, indent=2, ensure_ascii=False)
    # What a terminal obeys may stand in JSON's strings, but this is likely to be printed on one.
    return "".join(each if each.isprintable() or each == "\n" else json.dumps(each)[1:-1] for each in text)


def yaml_of(data: Data) -> str:
    """`data` as YAML, without a line end after it."""
    return "\n".join(_mapping(data))


def plain(value: Any, decode: Decoder[Any]) -> Any:
    """`value`, which `decode` gave, as JSON has it."""
    match decode:
        case Refused():
            return [] if decode.empty == () else decode.empty
        case MessageOf():
            return None if value is None else _message(value)
        case Sequence():
            return [plain(each, decode.item) for each in value]
        case TextMap():
            return dict(value)
        case Enumeration():
            return value.name
        case Integer(wide=True):
            return str(value)
        case _:
            return value


def _message(message: Message) -> dict[str, Any]:
    return {
        each.name: plain(getattr(message, each.attribute), each.declared.decode)
        for each in fields_of(type(message))
    }


def _mapping(data: Data) -> Iterator[str]:
    for name, value in sorted(data.items()):
        lines = list(_lines(value))
        if isinstance(value, Mapping | list) and value:
            yield f"{_scalar(name)}:"
            yield from (f"  {line}" for line in lines)
        else:
            yield f"{_scalar(name)}: {lines[0]}"


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        yield from _mapping(value)
    elif isinstance(value, list) and value:
        for item in value:
            first, *rest = _lines(item)
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)
    else:
        yield _scalar(value)


def _scalar(value: Any) -> str:
    """`value` in one line: a scalar, or an empty list or mapping."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _RESERVED:
        return value
    text = json.dumps(value, ensure_ascii=False)
    # YAML, unlike JSON, wants everything unprintable escaped.
    return "".join(each if each.isprintable() else f"\\U{ord(each):08x}" for each in text)
