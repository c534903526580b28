"""The models → one JSON Schema (draft 2020-12) of all kinds, for editors and other tools.

Strategy
    Every `Message` becomes a definition, every decoder the schema of what it takes; descriptions are the
    docstrings of classes and attributes.  Nothing is said here of any kind by name, so that the schema
    cannot drift from what is loaded.

Rules (those of the decoders)
    * A file names its resource in `kind`, which chooses the definition.
    * Names in lowerCamel are properties, which editors offer; those of the .proto files are patterns, which
      they only accept.
    * null is allowed for every field, but for no item of a list.
    * A refused field may be empty, and says why it has to be.
    * What only a parser can tell (whether an address is one) is left to the load.
"""

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from functools import cache
from typing import Any, Final

from gateway.config.decoding import (
    WHOLE,
    Boolean,
    Checked,
    Decoder,
    Enumeration,
    Field,
    Integer,
    Message,
    MessageOf,
    Refused,
    Sequence,
    Text,
    TextMap,
    fields_of,
)
from gateway.config.resources import API_VERSION, KINDS
from gateway.config.template import plain

Schema = dict[str, Any]


def schema() -> Schema:
    """The schema of one YAML document of a config."""
    choices = [
        {
            "if": {
                "type": "object",
                "anyOf": [{"properties": {each: {"const": kind}}, "required": [each]} for each in _KIND],
            },
            "then": {"$ref": f"#/$defs/{cls.__name__}"},
        }
        for kind, cls in KINDS.items()
    ]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"{API_VERSION} of AILERON Gateway, as aileron-demo has it",
        "description": "One resource of a config.yaml.",
        "type": ["object", "null"],
        "properties": {"kind": {"enum": list(KINDS), "description": "What the resource is."}},
        "patternProperties": {"^Kind$": {"$ref": "#/properties/kind"}},
        "if": {"type": "object"},
        "then": {"anyOf": [{"required": [each]} for each in _KIND]},
        "allOf": choices,
        "$defs": {cls.__name__: _definition(cls) for cls in messages()},
    }


_KIND: Final = ("kind", "Kind")


def messages() -> tuple[type[Message], ...]:
    """Every model that a file may hold, each once."""
    found: dict[type[Message], None] = {}
    pending: list[type[Message]] = list(KINDS.values())
    while pending:
        cls = pending.pop(0)
        if cls not in found:
            found[cls] = None
            pending += _inner(cls)
    return tuple(found)


def _inner(cls: type[Message]) -> Iterator[type[Message]]:
    for each in fields_of(cls):
        decode = each.declared.decode
        decode = decode.item if isinstance(decode, Sequence) else decode
        if isinstance(decode, MessageOf):
            yield decode.cls


def _definition(cls: type[Message]) -> Schema:
    known = fields_of(cls)
    fixed = {"api_version": API_VERSION, "kind": cls.__name__} if cls in KINDS.values() else {}
    found: Schema = {
        "type": "object",
        "description": _sentence(inspect.getdoc(cls)),
        "properties": {each.name: _field(cls, each, fixed.get(each.attribute)) for each in known},
        "patternProperties": {
            f"^{each.declared.proto_name}$": {"$ref": f"#/$defs/{cls.__name__}/properties/{each.name}"}
            for each in known
        },
        "additionalProperties": False,
    }
    if required := [each for each in known if each.required]:
        found["allOf"] = [
            {"anyOf": [{"required": [name]} for name in (each.name, each.declared.proto_name)]}
            for each in required
        ]
    return found


def _field(cls: type[Message], each: Field, fixed: str | None) -> Schema:
    """The schema of a field of `cls`, which has to be `fixed` where that is given."""
    decode = each.declared.decode
    found = {"const": fixed} if fixed is not None else _value(decode)
    if fixed is None and not each.required and not isinstance(decode, Refused):
        found = _or_null(found)
    described = descriptions(cls)[each.attribute]
    if isinstance(decode, Refused):
        described += f" It is not supported by this gateway: {decode.reason}."
    found |= {"description": described}
    default = next(field.default for field in fields(cls) if field.name == each.attribute)
    if default is not MISSING and default is not None:
        found["default"] = default if isinstance(decode, Integer) else plain(default, decode)
    return found


def _or_null(found: Schema) -> Schema:
    if "type" in found:
        types = found["type"] if isinstance(found["type"], list) else [found["type"]]
        return found | {"type": [*types, "null"]}
    return {"anyOf": [*found.get("anyOf", [found]), {"type": "null"}]}


def _value(decode: Decoder[Any]) -> Schema:
    """The schema of what `decode` takes, but for null."""
    match decode:
        case MessageOf():
            return {"$ref": f"#/$defs/{decode.cls.__name__}"}
        case Sequence():
            found = {"type": "array", "items": _value(decode.item)}
            return found | ({"uniqueItems": True} if decode.unique else {})
        case TextMap():
            return {"type": "object", "additionalProperties": {"type": ["string", "null"]}}
        case Text():
            pattern = decode.pattern and f"^({decode.pattern.pattern})$"
            return {"type": "string"} | ({"pattern": pattern} if pattern else {})
        case Checked():
            pattern = decode.at_load and decode.at_load.pattern
            return {"type": "string"} | ({"pattern": pattern} if pattern else {})
        case Integer():
            bounds = {"minimum": decode.lowest, "maximum": decode.highest}
            return {"type": ["integer", "string"], **bounds, "pattern": f"^({WHOLE.pattern})?$"}
        case Boolean():
            return {"type": "boolean"}
        case Enumeration():
            known = {"enum": [each.value for each in decode.cls]}
            numbers = known if decode.fallback is None else {"type": "integer"}
            return {"anyOf": [{"enum": list(decode.names)}, numbers]}
        case Refused():
            return {"enum": [None, "", 0, False, []]}
        case _:
            raise TypeError(decode)


def descriptions(cls: type[Message]) -> Mapping[str, str]:
    """What the docstrings below the attributes of `cls` say, those of its bases among them."""
    found: dict[str, str] = {}
    for each in reversed(cls.__mro__):
        if issubclass(each, Message):
            found |= _documented(each.__module__).get(each.__name__, {})
    return found


@cache
def _documented(module: str) -> Mapping[str, Mapping[str, str]]:
    """The docstrings below the attributes of each class in `module`: Python does not keep them."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {each.name: dict(_pairs(each)) for each in tree.body if isinstance(each, ast.ClassDef)}


def _pairs(cls: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for statement, below in zip(cls.body, cls.body[1:], strict=False):
        match statement, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, _sentence(text)


def _sentence(text: str | None) -> str:
    """`text` without the line ends of its source."""
    return " ".join((text or "").split())
