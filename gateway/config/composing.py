"""Text → trees of nodes that know where they stand.

Strategy
    PyYAML's scanner and parser turn the text into events, which they do without recursion.  The tree is
    built here, because its size, its depth and its aliases have to be bounded while it grows, and because
    duplicate keys, tags and merge keys must survive until somebody can name the resource they are in.

Rules
    * Positions come from character indices, not from PyYAML's line numbers, for which NEL and LS end a
      line as well: a position is what an editor shows.
    * An alias is the node that it stands for, shared, never copied.  The budget counts it in full, so that
      whoever walks a tree meets at most `NODES_MAX` nodes.
"""

import bisect
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

from gateway.config.problems import Mark, Problem, did_you_mean, quoted
from gateway.config.substitution import Substituted
from gateway.config.syntax import Complaint, explain

NODES_MAX: Final = 50_000
"""A document may have this many nodes, each alias counted as all that it stands for."""
DEPTH_MAX: Final = 64
"""Collections may stand in collections this deep; the deepest that core/v1 has is 12."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScalarNode:
    """A single value, not yet interpreted."""

    text: str
    plain: bool
    """Without quotes, so that it may be a number, a boolean or null."""
    tag: str | None
    mark: Mark
    written: str | None = None
    """How the file has it, where a variable stands in it; None: as `text`."""

    @property
    def shown(self) -> str:
        """What a message may repeat of it: the name of a variable, never its value, which may be a secret."""
        return self.text if self.written is None else self.written


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SequenceNode:
    """A list."""

    items: "tuple[Node, ...]"
    tag: str | None
    mark: Mark


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MappingNode:
    """Keys and values in the order of the file; duplicates and merge keys are still among them."""

    entries: "tuple[tuple[Node, Node], ...]"
    tag: str | None
    mark: Mark


Node = ScalarNode | SequenceNode | MappingNode


class Text:
    """The text of a file, and where each of its characters stands."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts = [0, *(found.end() for found in re.finditer(r"\r\n|\n|\r", text))]
        self._lines: list[str] | None = None

    def mark(self, index: int) -> Mark:
        """Where what stands at `index` stands."""
        line = bisect.bisect_right(self._starts, index)
        return Mark(line=line, column=index - self._starts[line - 1] + 1)

    def lines(self) -> list[str]:
        """Its lines, without what ends them."""
        if self._lines is None:
            ends = itertools.pairwise((*self._starts, len(self.text)))
            self._lines = [self.text[a:b].rstrip("\r\n") for a, b in ends]
        return self._lines

    def written(self, _start: int, _end: int) -> str | None:
        """How the file has what stands between both indices, where a variable is part of it; else None."""
        return None

    def problem(self, file: str, index: int, message: str, rule: str = "yaml") -> Problem:
        """An error in `file`, at `index`."""
        mark = self.mark(index)
        return Problem(file=file, line=mark.line, column=mark.column, message=message, rule=rule)


class Expanded(Text):
    """A document whose variables have been replaced; its marks are those of the file that it stands in."""

    def __init__(self, file: Text, begins: int, substituted: Substituted) -> None:
        super().__init__(substituted.text)
        self._file, self._begins, self._substituted = file, begins, substituted

    def mark(self, index: int) -> Mark:
        """Where what stands at `index` stands in the file; a variable's value, at the variable."""
        return self._file.mark(self._begins + self._substituted.origin(index))

    def lines(self) -> list[str]:
        """The lines of the file."""
        return self._file.lines()

    def written(self, start: int, end: int) -> str | None:
        """As above; what is but a part of a variable's value is told as the variable."""
        if not any(piece.variable for piece, _ in self._substituted.between(start, end)):
            return None
        first, last = (self._begins + self._substituted.origin(each) for each in (start, end))
        if last <= first:
            last = self._file.text.find("}", first) + 1
        return self._file.text[first:last].strip("\"'")

    def from_variable(self, index: int) -> bool:
        """Whether what stands at `index` came out of a variable."""
        return self._substituted.from_variable(index)


class BrokenError(Exception):
    """A document that cannot be read any further."""

    def __init__(self, message: str, *, at: Mark, noticed: int, bound: bool = False) -> None:
        super().__init__(message)
        self.bound = bound
        """Whether it is just too much."""
        self.at = at
        """The place to show."""
        self.noticed = noticed
        """The index in the file up to which the parser has come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """A document, and where in its text it stands."""

    node: Node
    begins: int
    """Where its first directive, `---` or value stands."""
    content: int
    """Behind its `---`, if it has one."""


@dataclass(frozen=True, slots=True)
class _Composed:
    """A node with its measures."""

    node: Node
    size: int
    """Nodes in it, itself included, aliases in full."""
    height: int
    """Collections on the longest way down, itself included."""


class Composer:
    """Builds the documents of `source` from the index `start` on."""

    def __init__(self, source: Text, start: int) -> None:
        self._source = source
        self._start = start
        self._loader = yaml.SafeLoader(source.text[start:])
        self._anchors: dict[str, _Composed | None] = {}
        self._size = 0
        self._brackets: list[int] = []
        """Where those stand that are open."""
        self._quoted: yaml.ScalarEvent | None = None
        """The last value in quotes."""
        self.scalars: list[tuple[int, int]] = []
        """Where each value that is no collection begins and ends, so far."""

    def roots(self) -> Iterator[Root]:
        """The root of each document; raises BrokenError where one cannot be read."""
        while not isinstance(event := self._event(), yaml.StreamEndEvent):
            if isinstance(event, yaml.DocumentStartEvent):
                begins, content = self._index(event.start_mark), self._index(event.end_mark)
                self._anchors.clear()
                self._size = 0
                self._brackets.clear()
                node = self._compose(self._event(), depth=0).node
                self._event()  # the end of the document, which may not be one
                yield Root(node=node, begins=begins, content=content)

    def _event(self) -> yaml.Event:
        try:
            event: yaml.Event = self._loader.get_event()  # type: ignore[no-untyped-call]  # its stub's gap
        except yaml.MarkedYAMLError as error:
            raise self._broken(error) from None
        except (ValueError, OverflowError):
            # Numbers in escapes ("\UFFFFFFFF") and in %YAML directives reach chr() and int() unchecked.
            here = self._start + self._loader.index
            raise self._refused("this number stands for no character", here) from None
        return event

    def _broken(self, error: yaml.MarkedYAMLError) -> BrokenError:
        noticed = self._index(error.problem_mark or self._loader.get_mark())
        began = self._index(error.context_mark) if error.context_mark else noticed
        if error.context == "while parsing a flow node" and self._brackets:
            began = self._brackets[-1]
        complaint = Complaint(
            problem=error.problem or "",
            context=error.context or "",
            found=self._source.text[noticed : noticed + 1],
            lines=self._source.lines(),
            began=self._source.mark(began),
            noticed=self._source.mark(noticed),
            quotes=self._last_quotes(),
        )
        at, message = explain(complaint)
        return BrokenError(message, at=at, noticed=noticed)

    def _last_quotes(self) -> tuple[Mark, Mark] | None:
        """Both ends of the last value in quotes, whether the parser has taken it from the scanner or not."""
        waiting = [each for each in self._loader.tokens if getattr(each, "style", None) in ("'", '"')]
        last = waiting[-1] if waiting else self._quoted
        if last is None:
            return None
        opened, closed = self._index(last.start_mark), self._index(last.end_mark) - 1
        return self._source.mark(opened), self._source.mark(closed)

    def _refused(self, message: str, at: int, *, bound: bool = False) -> BrokenError:
        return BrokenError(message, at=self._source.mark(at), noticed=at, bound=bound)

    def _index(self, mark: Any) -> int:
        return self._start + int(mark.index)

    def _compose(self, event: yaml.Event, *, depth: int) -> _Composed:
        """The node that begins with `event`, `depth` collections below its document."""
        at = self._index(event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            composed = self._aliased(event.anchor or "", at)
            self._admit(composed.size, depth + composed.height, at)
            return composed
        self._admit(1, depth + isinstance(event, yaml.CollectionStartEvent), at)
        anchor: str | None = getattr(event, "anchor", None)
        if anchor:
            self._anchors[anchor] = None
        before = self._size
        in_brackets = getattr(event, "flow_style", False)
        if in_brackets:
            self._brackets.append(at)
        node, height = self._node(event, self._source.mark(at), depth)
        if in_brackets:
            self._brackets.pop()
        composed = _Composed(node=node, size=self._size - before + 1, height=height)
        if anchor:
            self._anchors[anchor] = composed
        return composed

    def _node(self, event: yaml.Event, mark: Mark, depth: int) -> tuple[Node, int]:
        """The node and its height."""
        if isinstance(event, yaml.SequenceStartEvent):
            items = self._children(yaml.SequenceEndEvent, depth)
            nodes = tuple(each.node for each in items)
            return SequenceNode(items=nodes, tag=event.tag, mark=mark), _height(items)
        if isinstance(event, yaml.MappingStartEvent):
            items = self._children(yaml.MappingEndEvent, depth)
            nodes = tuple(each.node for each in items)
            entries = tuple(zip(nodes[::2], nodes[1::2], strict=True))
            return MappingNode(entries=entries, tag=event.tag, mark=mark), _height(items)
        assert isinstance(event, yaml.ScalarEvent)  # nothing else begins a node
        if event.style in ("'", '"'):
            self._quoted = event
        begins, ends = self._index(event.start_mark), self._index(event.end_mark)
        self.scalars.append((begins, ends))
        text = event.value if event.value.isascii() else _SURROGATES.sub(_joined, event.value)
        written = self._source.written(begins, ends)
        return ScalarNode(text=text, plain=not event.style, tag=event.tag, mark=mark, written=written), 0

    def _children(self, end: type[yaml.Event], depth: int) -> list[_Composed]:
        children: list[_Composed] = []
        while not isinstance(event := self._event(), end):
            children.append(self._compose(event, depth=depth + 1))
        return children

    def _aliased(self, name: str, at: int) -> _Composed:
        if name not in self._anchors:
            hint = did_you_mean(name, self._anchors)
            message = f"{quoted('*' + name)} refers to &{name}, which does not stand above it{hint}"
            raise self._refused(message, at)
        composed = self._anchors[name]
        if composed is None:
            message = f"{quoted('*' + name)} stands inside the very thing that it refers to"
            raise self._refused(message, at)
        return composed

    def _admit(self, size: int, depth: int, at: int) -> None:
        """Count `size` more nodes, the deepest of them in `depth` collections."""
        self._size += size
        if self._size > NODES_MAX:
            message = f"with all its aliases the document has more than {NODES_MAX} values"
            raise self._refused(message, at, bound=True)
        if depth > DEPTH_MAX:
            message = f"lists and mappings are nested more than {DEPTH_MAX} deep"
            raise self._refused(message, at, bound=True)


_SURROGATES: Final = re.compile("[\ud800-\udbff][\udc00-\udfff]")


def _joined(pair: re.Match[str]) -> str:
    """The character that two halves stand for, which JSON writes as two escapes."""
    return pair[0].encode("utf-16", "surrogatepass").decode("utf-16")


def _height(children: list[_Composed]) -> int:
    return 1 + max((each.height for each in children), default=0)
