"""YAML nodes → typed values, each field checked on its way.

Strategy
    A message of AILERON's API is a frozen dataclass, a `Message`.  The annotation of each field says, as
    `Declared`, its name in the .proto file and the decoder of its value.  A decoder takes a node and a
    `Scope` (which field of which resource is this?), and gives a value, or None where the field counts as
    not given.  What is wrong it tells the scope and goes on, so that one load finds everything.

Rules (those of protojson, which AILERON decodes with; core-v1, section 2)
    * Names are accepted in lowerCamel and as declared in the .proto file.
    * null, "", 0, false and [] mean "not given": the default stands.
    * Numbers may stand in quotes; a number where a string is wanted is an error.
    * Enums go by exact name, or by number.
    * A field of AILERON's that this gateway does not support is refused by name, unless it is not given.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from enum import IntEnum
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final, TypeVar, get_args, get_origin

from gateway.config.documents import MappingNode, Node, ScalarNode, SequenceNode
from gateway.config.hints import half_quoted, slip, typographic, unknown_field
from gateway.config.problems import Mark, Problem, did_you_mean, quoted

T = TypeVar("T")
N = TypeVar("N", ScalarNode, SequenceNode, MappingNode)
E = TypeVar("E", bound=IntEnum)
M = TypeVar("M", bound="Message")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """A field of a resource, and where to put the problems found there."""

    file: str
    resource: str | None
    problems: list[Problem]
    path: str = ""
    """As `spec.runners[0].kind`."""

    def at(self, name: str) -> "Scope":
        """The field `name` of this one."""
        name = quoted(name, marks="")
        return replace(self, path=f"{self.path}.{name}" if self.path else name)

    def item(self, index: int) -> "Scope":
        """An element of this one."""
        return replace(self, path=f"{self.path}[{index}]")

    def problem(self, mark: Mark, message: str) -> None:
        """Note that what stands at `mark` is wrong."""
        self.problems.append(
            Problem(
                file=self.file,
                line=mark.line,
                column=mark.column,
                resource=self.resource,
                field=self.path or None,
                message=message,
            )
        )


Decoder = Callable[[Node, Scope], T | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Where a message stands in its file."""

    file: str
    path: str
    """As `spec.runners[0]`; empty for the resource itself."""
    mark: Mark
    values: Mapping[str, Mark]
    """Of each field that is given, by attribute name, where its value stands."""

    def of(self, *attributes: str) -> Mark:
        """Where the value of the first of `attributes` that is given stands, else the whole."""
        return next((self.values[each] for each in attributes if each in self.values), self.mark)


_NOWHERE: Final = Where(file="", path="", mark=Mark(line=1, column=1), values={})


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a YAML mapping stands for."""

    later: ClassVar[Mapping[str, str]] = {}
    """Fields that AILERON has and this gateway does not support yet: lowerCamel name → declared name."""
    deeper: ClassVar[Mapping[str, str]] = {}
    """Fields that stand inside those of `later`: name → where."""

    where: Where = field(default=_NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Declared:
    """How a field of a `Message` is read: stands in its annotation.  Without a default it is required."""

    proto_name: str
    decode: Decoder[Any]


@dataclass(frozen=True, slots=True)
class _Field:
    attribute: str
    json_name: str
    declared: Declared
    required: bool


def _fields_of(cls: type[Message]) -> list[_Field]:
    return [
        _Field(
            attribute=each.name,
            json_name=re.sub("_(.)", lambda found: found[1].upper(), each.name),
            declared=get_args(each.type)[1],
            required=each.default is MISSING and each.default_factory is MISSING,
        )
        for each in fields(cls)
        if get_origin(each.type) is Annotated
    ]


def message(cls: type[M]) -> Decoder[M]:
    """The decoder of a mapping into `cls`; no value where the mapping lacks what `cls` requires."""
    known = _fields_of(cls)
    names = {name: each.json_name for each in known for name in (each.json_name, each.declared.proto_name)}
    names |= {name: json_name for json_name, proto in cls.later.items() for name in (json_name, proto)}

    required = " and ".join(each.json_name for each in known if each.required)
    wanted = f"a mapping with {required}" if required else "a mapping"

    def decode(node: Node, scope: Scope) -> M | None:
        mapping = _given(node, scope, MappingNode, wanted)
        if mapping is None:
            return None
        given = entries(mapping, scope, names, later=cls.later, deeper=cls.deeper)
        _refuse_later(cls, given, scope)
        values: dict[str, Any] = {}
        marks: dict[str, Mark] = {}
        for each in known:
            if each.json_name in given:
                _, value_node = given[each.json_name]
                marks[each.attribute] = value_node.mark
                value = each.declared.decode(value_node, scope.at(each.json_name))
                if value is not None:
                    values[each.attribute] = value
        lacking = [each for each in known if each.required and each.attribute not in values]
        for each in lacking:
            if each.json_name not in given or is_empty(given[each.json_name][1]):
                place = given[each.json_name][0] if each.json_name in given else mapping.mark
                scope.at(each.json_name).problem(place, "this field must be given")
        where = Where(file=scope.file, path=scope.path, mark=mapping.mark, values=marks)
        return None if lacking else cls(**values, where=where)

    return decode


def _refuse_later(cls: type[Message], given: Mapping[str, tuple[Mark, Node]], scope: Scope) -> None:
    for name in cls.later:
        if name in given and not is_empty(given[name][1]):
            words = f"{quoted(name)} is a field of core/v1 that this gateway does not support yet"
            scope.at(name).problem(given[name][0], words)


def entries(
    mapping: MappingNode,
    scope: Scope,
    names: Mapping[str, str],
    *,
    later: Collection[str] = (),
    deeper: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, tuple[Mark, Node]]:
    """The fields of `mapping`: where the name stands, and the value.

    `names` has the canonical name of each name that is allowed; `later` and `deeper` are as in `Message`.
    Keys that are merged in (`<<`) give way to the mapping's own.
    """
    given: dict[str, tuple[Mark, Node]] = {}
    merged: list[Node] = []
    for key, value in mapping.entries:
        if not isinstance(key, ScalarNode):
            scope.problem(key.mark, "the name of a field has to stand here, not a list or a mapping")
        elif key.plain and key.text == "<<":
            merged.extend(value.items if isinstance(value, SequenceNode) else (value,))
        elif key.text not in names:
            scope.at(key.text).problem(
                key.mark, unknown_field(key.text, dict.fromkeys(names.values()), later, deeper)
            )
        elif (name := names[key.text]) in given:
            words = f"this field is given twice; the other one stands in line {given[name][0].line}"
            scope.at(key.text).problem(key.mark, words)
        else:
            given[name] = (key.mark, value)
    for source in merged:
        if isinstance(source, MappingNode):
            given = entries(source, scope, names, later=later, deeper=deeper) | given
        else:
            scope.problem(source.mark, '"<<" merges mappings; this is none')
    return given


def sequence(decode: Decoder[T]) -> Decoder[tuple[T, ...]]:
    """The decoder of a list into a tuple; elements that are wrong are left out."""

    def decode_all(node: Node, scope: Scope) -> tuple[T, ...] | None:
        items = _given(node, scope, SequenceNode, 'a list (each item begins with "- ")')
        if items is None:
            return None
        values: list[T] = []
        for index, item in enumerate(items.items):
            if is_null(item):
                scope.item(index).problem(item.mark, "this item of the list is empty")
            elif (value := decode(item, scope.item(index))) is not None:
                values.append(value)
        return tuple(values)

    return decode_all


def text(node: Node, scope: Scope) -> str | None:
    """A string; a plain number or boolean is none."""
    scalar = _given(node, scope, ScalarNode, "a string")
    if scalar is None:
        return None
    if (kind := _kind(scalar)) != "string":
        value = quoted(scalar.text, marks="")
        words = f"should be a string, but {value} is a {kind}; write {quoted(scalar.text)} in quotes"
        scope.problem(scalar.mark, words)
        return None
    return scalar.text or None


def matching(pattern: re.Pattern[str], words: str) -> Decoder[str]:
    """The decoder of a string that `pattern` matches as a whole; `words` say what it may hold."""

    def decode(node: Node, scope: Scope) -> str | None:
        value = text(node, scope)
        if value is not None and not pattern.fullmatch(value):
            scope.problem(node.mark, f"{quoted(value)} is not allowed here; {words}")
            return None
        return value

    return decode


def checked(parse: Callable[[str], T]) -> Decoder[T]:
    """The decoder of a string that `parse` understands; what it raises as ValueError is told.

    A plain number goes to `parse` as well, which knows best what was meant.
    """

    def decode(node: Node, scope: Scope) -> T | None:
        number = isinstance(node, ScalarNode) and _kind(node) == "number"
        value = node.text if isinstance(node, ScalarNode) and number else text(node, scope)
        if value is None:
            return None
        try:
            parsed = parse(value)
        except ValueError as error:
            assert isinstance(node, ScalarNode)  # else there is no text
            scope.problem(node.mark, half_quoted(node) or str(error))
            return None
        return None if number and text(node, scope) is None else parsed

    return decode


def integer(lowest: int, highest: int) -> Decoder[int]:
    """The decoder of a whole number, with or without quotes, between both bounds."""

    def decode(node: Node, scope: Scope) -> int | None:
        scalar = _given(node, scope, ScalarNode, "a whole number")
        if scalar is None or not scalar.text:
            return None
        if not _WHOLE.fullmatch(scalar.text):
            scope.problem(scalar.mark, f"should be a whole number, but this is {quoted(scalar.text)}")
            return None
        value = int(scalar.text.partition(".")[0])
        if not lowest <= value <= highest:
            scope.problem(scalar.mark, f"{value} is out of range; {lowest} to {highest} are allowed")
            return None
        return value or None

    return decode


_WHOLE: Final = re.compile(r"[+-]?(0|[1-9][0-9]{0,18})(\.0*)?")


def enumeration(
    cls: type[E], *, aliases: Mapping[str, str], supported: Collection[E], fallback: E
) -> Decoder[E]:
    """The decoder of an enum by name (`aliases`: further names) or number (an unknown one is `fallback`)."""
    names = {each.name: each for each in cls} | {alias: cls[name] for alias, name in aliases.items()}
    numbers: dict[int, E] = {each.value: each for each in cls}
    allowed = " and ".join(each.name for each in supported)

    def decode(node: Node, scope: Scope) -> E | None:
        scalar = _given(node, scope, ScalarNode, "a name")
        if scalar is None or not scalar.text:
            return None
        if scalar.plain and _WHOLE.fullmatch(scalar.text):
            number = int(scalar.text.partition(".")[0])
            value = numbers.get(number, fallback)
        elif scalar.text in names:
            value = names[scalar.text]
        else:
            hint = did_you_mean(scalar.text, names) or f"; {allowed} are allowed"
            scope.problem(scalar.mark, f"{quoted(scalar.text)} is not known here{hint}")
            return None
        if value not in supported:
            words = f"{value.name} is known to core/v1, but this gateway does not support it yet"
            scope.problem(scalar.mark, f"{words}; {allowed} are")
            return None
        return value

    return decode


_NULLS: Final = frozenset(("", "~", "null", "Null", "NULL"))
_BOOLEANS: Final = frozenset(("true", "True", "TRUE", "false", "False", "FALSE"))
_NUMBER: Final = re.compile(
    r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?|0o[0-7_]+|0x[0-9a-fA-F_]+|0b[01_]+"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_TAGS: Final = {
    "!": "string",
    "tag:yaml.org,2002:str": "string",
    "tag:yaml.org,2002:int": "number",
    "tag:yaml.org,2002:float": "number",
    "tag:yaml.org,2002:bool": "boolean",
    "tag:yaml.org,2002:null": "null",
    "tag:yaml.org,2002:seq": "list",
    "tag:yaml.org,2002:map": "mapping",
}
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_VARIABLE: Final = re.compile(r"\$\{([0-9A-Za-z_]*)")


def _kind(node: Node) -> str:
    """What `node` is, by YAML's core schema (YAML 1.2, section 10.3)."""
    if isinstance(node, SequenceNode):
        return "list"
    if isinstance(node, MappingNode):
        return "mapping"
    if node.tag is not None:
        return _TAGS.get(node.tag, "string")
    if not node.plain:
        return "string"
    if node.text in _NULLS:
        return "null"
    if node.text in _BOOLEANS:
        return "boolean"
    return "number" if _NUMBER.fullmatch(node.text) else "string"


def is_null(node: Node) -> bool:
    """Whether `node` is null, which nothing at all is as well."""
    return _kind(node) == "null"


def is_empty(node: Node) -> bool:
    """Whether a field with this value counts as not given, whatever its type."""
    if isinstance(node, ScalarNode):
        return is_null(node) or node.text in ("", "0", "false")
    return isinstance(node, SequenceNode) and not node.items


def _shorthand(tag: str) -> str:
    """`tag` as a file would have it."""
    prefix = "tag:yaml.org,2002:"
    return tag.replace(prefix, "!!", 1) if tag.startswith(prefix) else tag


def _given(node: Node, scope: Scope, wanted: type[N], words: str) -> N | None:
    """`node` where it is a `wanted`; None where it is null, or something else, which is told."""
    kind = _kind(node)
    if node.tag is not None and node.tag not in _TAGS:
        scope.problem(node.mark, f"the tag {quoted(_shorthand(node.tag))} is not allowed; leave it out")
    elif kind == "null":
        pass
    elif not isinstance(node, wanted):
        hint = slip(node) if wanted is not ScalarNode else ""
        scope.problem(node.mark, f"should be {words}, but this is a {kind}{hint}")
    elif isinstance(node, ScalarNode) and (reason := typographic(node) or _unusable(node.text)):
        scope.problem(node.mark, reason)
    else:
        return node
    return None


def _unusable(text: str) -> str | None:
    """Why a scalar of this text cannot be taken as it stands."""
    if (found := _VARIABLE.search(text)) and "}" in text[found.end() :]:
        # Only the name is shown: what else stands in the braces may be a password.
        name = quoted(f"${{{found[1]}}}")
        return f"{name}: variables are not supported yet; write the value itself"
    if not text.isascii() and _SURROGATE.search(text):
        return "half of a surrogate pair stands for no character"
    return None
