"""YAML nodes → typed values, each field checked on its way.

Strategy
    A message of AILERON's API is a frozen dataclass, a `Message`.  The annotation of each field says, as
    `Declared`, its name in the .proto file and the decoder of its value.  A decoder takes a node and a
    `Scope` (which field of which resource is this?), and gives a value, or None where the field counts as
    not given.  What is wrong it tells the scope and goes on, so that one load finds everything.
    Decoders are values, not closures: who describes the format (a schema, a template) reads them as well.

Rules (those of protojson, which AILERON decodes with; core-v1, section 2)
    * Names are accepted in lowerCamel and as declared in the .proto file.
    * null, "", 0, false and [] mean "not given": the default stands.
    * Numbers may stand in quotes; a number where a string is wanted is an error.
    * Enums go by exact name, or by number.
    * A field of AILERON's that this gateway cannot honour is refused by name, unless it is not given.
    * What AILERON finds only when it builds a resource (a bad address) is told as such: where nothing refers
      to the resource, it is never built.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from enum import IntEnum
from functools import cache, lru_cache
from typing import Annotated, Any, Final, Generic, Protocol, TypeVar, get_args, get_origin

from gateway.config.documents import MappingNode, Node, ScalarNode, SequenceNode
from gateway.config.hints import half_quoted, slip, typographic, unknown_field
from gateway.config.problems import Mark, Problem, did_you_mean, quoted

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
N = TypeVar("N", ScalarNode, SequenceNode, MappingNode)
E = TypeVar("E", bound=IntEnum)
M = TypeVar("M", bound="Message")

INT32: Final = (-(1 << 31), (1 << 31) - 1)
INT64: Final = (-(1 << 63), (1 << 63) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """A field of a resource, and where to put the problems found there."""

    file: str
    resource: str | None
    problems: list[Problem]
    building: list[Problem] = field(default_factory=list)
    """Those that count only where the resource is built, which is where something refers to it."""
    root: "type[Message] | None" = None
    """The resource's own class, whose fields are all that may be meant by a name."""
    path: str = ""
    """As `spec.runners[0].kind`."""

    def at(self, name: str) -> "Scope":
        """The field `name` of this one."""
        name = quoted(name, marks="")
        return replace(self, path=f"{self.path}.{name}" if self.path else name)

    def item(self, index: int) -> "Scope":
        """An element of this one."""
        return replace(self, path=f"{self.path}[{index}]")

    def problem(self, mark: Mark, message: str, rule: str = "value", *, building: bool = False) -> None:
        """Note that what stands at `mark` is wrong; with `building`, where the resource is built."""
        (self.building if building else self.problems).append(
            Problem(
                file=self.file,
                line=mark.line,
                column=mark.column,
                resource=self.resource,
                field=self.path or None,
                message=message,
                rule=rule,
            )
        )


class Decoder(Protocol[T_co]):
    """A node → a value, or None where the field counts as not given."""

    def __call__(self, node: Node, scope: Scope, /) -> T_co | None:
        """Decode `node`; what is wrong goes to `scope`."""


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

    def problem(
        self,
        resource: str | None,
        attributes: str | tuple[str, ...],
        message: str,
        rule: str,
        *,
        item: str = "",
    ) -> Problem:
        """An error in the first of `attributes` that is given, or in its `item` (`[2]`); else in all."""
        wanted = (attributes,) if isinstance(attributes, str) else attributes
        mark = self.of(*wanted)
        given = next((each for each in wanted if each in self.values), None)
        steps = [self.path, "" if given is None else f"{lower_camel(given)}{item}"]
        return Problem(
            file=self.file,
            line=mark.line,
            column=mark.column,
            resource=resource,
            field=".".join(filter(None, steps)) or None,
            message=message,
            rule=rule,
        )


_NOWHERE: Final = Where(file="", path="", mark=Mark(line=1, column=1), values={})


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a YAML mapping stands for."""

    where: Where = field(default=_NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Declared:
    """How a field of a `Message` is read: stands in its annotation.  Without a default it is required."""

    proto_name: str
    decode: Decoder[Any]
    json_name: str = ""
    """The name in files, where it is not the attribute's in lowerCamel."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a `Message`, as `fields_of` gives it."""

    attribute: str
    name: str
    """As files have it, in lowerCamel."""
    declared: Declared
    required: bool
    fallback: "type[Message] | None"
    """The message of defaults that stands there where none is given; None: none does."""


def lower_camel(attribute: str) -> str:
    """What files call an attribute: `rootCAs` for `root_cas`."""
    first, *others = attribute.split("_")
    return first + "".join("CAs" if each == "cas" else each[:1].upper() + each[1:] for each in others)


def _fields_of(cls: type[Any]) -> tuple[Field, ...]:
    """The fields of `cls`, a `Message`, in their order."""
    return tuple(
        Field(
            attribute=each.name,
            name=declared.json_name or lower_camel(each.name),
            declared=declared,
            required=each.default is MISSING and each.default_factory is MISSING,
            fallback=None if each.default_factory is MISSING else declared.decode.cls,
        )
        for each in fields(cls)
        if get_origin(each.type) is Annotated
        for declared in get_args(each.type)[1:]
    )


def _places(cls: type[Any]) -> Mapping[str, tuple[str, ...]]:
    """Where below a message `cls` fields stand, by names: `url` in `spec.loadBalancers[].upstreams[]`."""
    found: dict[str, tuple[str, ...]] = {}
    for name, place in _all_places(cls, ""):
        found[name] = (*found.get(name, ()), place)
    return found


def _all_places(cls: type[Message], place: str) -> Iterator[tuple[str, str]]:
    for each in fields_of(cls):
        yield each.name, place
        inner = f"{place}.{each.name}" if place else each.name
        decode = each.declared.decode
        if isinstance(decode, Sequence):
            inner, decode = f"{inner}[]", decode.item
        if isinstance(decode, MessageOf):
            yield from _all_places(decode.cls, inner)


def _unknown(name: str, allowed: tuple[str, ...], here: str, root: type[Any] | None) -> str:
    return unknown_field(name, allowed, here, places(root) if root else {})


# To mypy, the class of a frozen dataclass is not hashable, so the caches take anything.
fields_of: Final[Callable[[Any], tuple[Field, ...]]] = cache(_fields_of)
places: Final[Callable[[Any], Mapping[str, tuple[str, ...]]]] = cache(_places)
_unknown_words: Final[Callable[[str, tuple[str, ...], str, Any], str]] = lru_cache(maxsize=1024)(_unknown)
"""Aliases can repeat a mistake thousands of times."""


@dataclass(frozen=True, slots=True)
class MessageOf(Generic[M]):
    """A mapping into `cls`; no value where the mapping lacks what `cls` requires."""

    cls: type[M]

    def __call__(self, node: Node, scope: Scope, /) -> M | None:
        """Decode a mapping."""
        known = fields_of(self.cls)
        required = " and ".join(each.name for each in known if each.required)
        wanted = f"a mapping with {required}" if required else "a mapping"
        mapping = _given(node, scope, MappingNode, wanted)
        if mapping is None:
            return None
        names = {name: each.name for each in known for name in (each.name, each.declared.proto_name)}
        given = entries(mapping, scope, names)
        values: dict[str, Any] = {}
        marks: dict[str, Mark] = {}
        for each in known:
            value = None
            if each.name in given:
                _, value_node = given[each.name]
                if not is_empty(value_node):
                    marks[each.attribute] = value_node.mark
                value = each.declared.decode(value_node, scope.at(each.name))
            if value is None and each.fallback is not None:
                path = scope.at(each.name).path
                value = each.fallback(where=Where(file=scope.file, path=path, mark=mapping.mark, values={}))
            if value is not None:
                values[each.attribute] = value
        lacking = [each for each in known if each.required and each.attribute not in values]
        for each in lacking:
            if each.name not in given or is_empty(given[each.name][1]):
                place = given[each.name][0] if each.name in given else mapping.mark
                scope.at(each.name).problem(place, "this field must be given", "required")
        where = Where(file=scope.file, path=scope.path, mark=mapping.mark, values=marks)
        return None if lacking else self.cls(**values, where=where)


def entries(
    mapping: MappingNode, scope: Scope, names: Mapping[str, str] | None
) -> dict[str, tuple[Mark, Node]]:
    """The fields of `mapping`: where the name stands, and the value.

    `names` has the canonical name of each name that is allowed; None: all are, and mean themselves.  Keys
    that are merged in (`<<`) give way to the mapping's own.
    """
    given: dict[str, tuple[Mark, Node]] = {}
    merged: list[Node] = []
    for key, value in mapping.entries:
        if not isinstance(key, ScalarNode):
            scope.problem(key.mark, "the name of a field has to stand here, not a list or a mapping")
        elif (reason := _unusable(key.text)) is not None:
            scope.problem(key.mark, reason)
        elif key.plain and key.text == "<<":
            merged.extend(value.items if isinstance(value, SequenceNode) else (value,))
        elif names is not None and key.text not in names:
            here = re.sub(r"\[\d+\]", "[]", scope.path)
            words = _unknown_words(key.shown, tuple(dict.fromkeys(names.values())), here, scope.root)
            scope.at(key.shown).problem(key.mark, words, "unknown-field")
        elif (name := names[key.text] if names else key.text) in given:
            words = f"this field is given twice; the other one stands in line {given[name][0].line}"
            scope.at(key.shown).problem(key.mark, words, "duplicate")
        else:
            given[name] = (key.mark, value)
    for source in merged:
        if isinstance(source, MappingNode):
            given = entries(source, scope, names) | given
        else:
            scope.problem(source.mark, '"<<" merges mappings; this is none')
    return given


@dataclass(frozen=True, slots=True)
class Sequence(Generic[T]):
    """A list into a tuple; elements that are wrong are left out."""

    item: Decoder[T]
    unique: bool = False
    """Whether no element may stand in it twice."""

    def __call__(self, node: Node, scope: Scope, /) -> tuple[T, ...] | None:
        """Decode a list."""
        items = _given(node, scope, SequenceNode, 'a list (each item begins with "- ")')
        if items is None:
            return None
        values: list[T] = []
        for index, item in enumerate(items.items):
            place = scope.item(index)
            if is_null(item):
                place.problem(item.mark, "this item of the list is empty")
            elif (value := self.item(item, place)) is not None:
                if self.unique and value in values:
                    shown = quoted(item.shown if isinstance(item, ScalarNode) else "this")
                    place.problem(item.mark, f"{shown} stands in this list already", "duplicate")
                else:
                    values.append(value)
        return tuple(values)


@dataclass(frozen=True, slots=True)
class TextMap:
    """A mapping of names of any kind to strings, as a tuple of pairs in the order of the file."""

    def __call__(self, node: Node, scope: Scope, /) -> tuple[tuple[str, str], ...] | None:
        """Decode a mapping."""
        mapping = _given(node, scope, MappingNode, "a mapping")
        if mapping is None:
            return None
        given = entries(mapping, scope, None)
        values = {key: Text()(value, scope.at(key)) for key, (_, value) in given.items()}
        return tuple((key, value or "") for key, value in values.items())


@dataclass(frozen=True, slots=True)
class Text:
    """A string; a plain number or boolean is none."""

    pattern: re.Pattern[str] | None = None
    """What has to match it as a whole, by AILERON's validation rules."""
    words: str = ""
    """What may stand in it."""

    def __call__(self, node: Node, scope: Scope, /) -> str | None:
        """Decode a string."""
        scalar = _given(node, scope, ScalarNode, "a string")
        if scalar is None:
            return None
        if (kind := _kind(scalar)) != "string":
            value = quoted(scalar.shown, marks="")
            words = f"should be a string, but {value} is a {kind}; write {quoted(scalar.shown)} in quotes"
            scope.problem(scalar.mark, words, "type")
            return None
        if scalar.text and self.pattern is not None and not self.pattern.fullmatch(scalar.text):
            scope.problem(scalar.mark, f"{quoted(scalar.shown)} is not allowed here; {self.words}")
            return None
        return scalar.text or None


@dataclass(frozen=True, slots=True)
class Checked:
    """A string that `parse` understands; what it raises as ValueError is told.

    A plain number goes to `parse` as well, which knows best what was meant.
    """

    parse: Callable[[str], object]
    words: str
    """How it is written."""
    at_load: re.Pattern[str] | None = None
    """What AILERON searches the string for when it loads; `parse` comes when it builds."""

    def __call__(self, node: Node, scope: Scope, /) -> str | None:
        """Decode a string."""
        number = isinstance(node, ScalarNode) and _kind(node) == "number"
        value = node.text if isinstance(node, ScalarNode) and number else Text()(node, scope)
        if value is None:
            return None
        try:
            self.parse(value)
        except ValueError as error:
            assert isinstance(node, ScalarNode)  # else there is no text
            building = not number and not (self.at_load and not self.at_load.search(value))
            words = half_quoted(node) or str(error)
            if node.written is not None:
                # The words may repeat a part of the value.
                words = f"{quoted(node.shown)} is not what it should be here; {self.words}"
            scope.problem(node.mark, words, building=building)
            return None
        return None if number and Text()(node, scope) is None else value


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number, with or without quotes, between both bounds."""

    lowest: int
    highest: int
    unit: str = ""
    """What it counts or means, in words."""

    @property
    def wide(self) -> bool:
        """Whether it has 64 bits, which JSON cannot be trusted with: protojson writes it as a string."""
        return self.highest > INT32[1]

    def __call__(self, node: Node, scope: Scope, /) -> int | None:
        """Decode a number."""
        scalar = _given(node, scope, ScalarNode, "a whole number")
        if scalar is None or not scalar.text:
            return None
        if not WHOLE.fullmatch(scalar.text):
            unit = f"; {self.unit}" if self.unit else ""
            words = f"should be a whole number, but this is {quoted(scalar.shown)}{unit}"
            scope.problem(scalar.mark, words, "type")
            return None
        value = int(scalar.text.partition(".")[0])
        if not self.lowest <= value <= self.highest:
            shown = value if scalar.written is None else quoted(scalar.shown)
            words = f"{shown} is out of range; {self.lowest} to {self.highest} are allowed"
            scope.problem(scalar.mark, words, "range")
            return None
        return value or None


WHOLE: Final = re.compile(r"[+-]?(0|[1-9][0-9]{0,18})(\.0*)?")


@dataclass(frozen=True, slots=True)
class Boolean:
    """true or false."""

    def __call__(self, node: Node, scope: Scope, /) -> bool | None:
        """Decode a boolean."""
        scalar = _given(node, scope, ScalarNode, "true or false")
        if scalar is None or not scalar.text:
            return None
        if _kind(scalar) != "boolean":
            hint = _boolean_hint(scalar)
            scope.problem(
                scalar.mark, f"should be true or false, but this is {quoted(scalar.shown)}{hint}", "type"
            )
            return None
        return scalar.text.lower() == "true"


def _boolean_hint(scalar: ScalarNode) -> str:
    if not scalar.plain and scalar.text in _BOOLEANS:
        return "; leave out the quotes"
    meant = {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false"}.get(scalar.text.lower())
    return f"; write {meant}" if meant else ""


@dataclass(frozen=True, slots=True)
class Enumeration(Generic[E]):
    """A name or a number of `cls`."""

    cls: type[E]
    fallback: E | None
    """What an unknown number means; None where it is an error."""
    aliases: tuple[tuple[str, str], ...] = ()
    """Further names, and what they stand for."""

    @property
    def names(self) -> Mapping[str, E]:
        """Every name that is understood."""
        return {each.name: each for each in self.cls} | {
            alias: self.cls[name] for alias, name in self.aliases
        }

    def __call__(self, node: Node, scope: Scope, /) -> E | None:
        """Decode an enum."""
        scalar = _given(node, scope, ScalarNode, "a name")
        if scalar is None or not scalar.text:
            return None
        if scalar.plain and WHOLE.fullmatch(scalar.text):
            number = int(scalar.text.partition(".")[0])
            known = next((each for each in self.cls if each.value == number), self.fallback)
            if known is None:
                shown = number if scalar.written is None else quoted(scalar.shown)
                words = f"{shown} is not known here; {self._allowed()} are allowed"
                scope.problem(scalar.mark, words, "enum", building=True)
            return known
        if scalar.text in self.names:
            return self.names[scalar.text]
        hint = did_you_mean(scalar.text, self.names) or f"; {self._allowed()} are allowed"
        scope.problem(scalar.mark, f"{quoted(scalar.shown)} is not known here{hint}", "enum")
        return None

    def _allowed(self) -> str:
        *most, last = (each.name for each in self.cls)
        return f"{', '.join(most)} and {last}"


@dataclass(frozen=True, slots=True)
class Refused:
    """A field of AILERON's that this gateway cannot honour: an error, unless it is not given."""

    reason: str
    """Why, and what to do instead."""
    empty: object = None
    """How AILERON prints it where it is not given: None for a message, else "", 0, False or ()."""

    def __call__(self, node: Node, scope: Scope, /) -> None:
        """Refuse what is given."""
        if not is_empty(node):
            name = scope.path.rpartition(".")[2]
            words = f"{quoted(name)} is not supported by this gateway: {self.reason}"
            scope.problem(node.mark, words, "unsupported")


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
        written = node.written if isinstance(node, ScalarNode) else None
        tag = quoted(written or _shorthand(node.tag))
        scope.problem(node.mark, f"the tag {tag} is not allowed; leave it out")
    elif kind == "null":
        pass
    elif not isinstance(node, wanted):
        hint = slip(node) if wanted is not ScalarNode else ""
        scope.problem(node.mark, f"should be {words}, but this is a {kind}{hint}", "type")
    elif isinstance(node, ScalarNode) and (reason := typographic(node) or _unusable(node.text)):
        scope.problem(node.mark, reason)
    else:
        return node
    return None


def _unusable(text: str) -> str | None:
    """Why a scalar of this text cannot be taken as it stands."""
    if not text.isascii() and _SURROGATE.search(text):
        return "half of a surrogate pair stands for no character"
    return None
