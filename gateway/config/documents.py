"""Files → YAML documents, as trees of nodes that know where they stand.

Strategy
    A path is a file or a directory of files.  Each file is cut into documents first, by YAML's own rules
    and before anything is replaced in it, as AILERON does: so no variable's value begins a document.  A
    document with variables is then read once more, with their values in place.

Rules
    * A document that cannot be parsed is one problem; reading goes on at the next `---`, which YAML lets
      stand at the start of a line for nothing else (YAML 1.2, section 9.1.2).
    * What says which resource a document is, apiVersion and kind, cannot come from a variable.
    * JSON is checked by JSON's own rules, then read as the YAML that it is.
    * Nothing but `read_all` touches a file.
"""

import bisect
import codecs
import json
import os
import re
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.config.composing import (
    BrokenError,
    Composer,
    Expanded,
    MappingNode,
    Node,
    Root,
    ScalarNode,
    SequenceNode,
    Text,
)
from gateway.config.problems import Mark, Problem, Severity, quoted
from gateway.config.substitution import Allowance, Remark, UnusableError, substitute
from gateway.config.syntax import explain_json

__all__ = ["Document", "MappingNode", "Node", "Reading", "ScalarNode", "SequenceNode", "parse", "read_all"]

BYTES_MAX: Final = 1 << 20
"""A file may have this many bytes."""
DOCUMENTS_MAX: Final = 5000
"""A file may have this many documents."""
SUFFIXES: Final = (".json", ".yaml", ".yml")
"""What the names of config files end in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One YAML document of a file."""

    file: str
    root: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What files hold, as far as they could be read."""

    documents: tuple[Document, ...] = ()
    problems: tuple[Problem, ...] = ()
    """Errors and warnings."""
    files: tuple[str, ...] = ()
    """Those that were read, or tried, in their order."""
    sources: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The lines of each file, for messages to show."""


def read_all(paths: Sequence[Path], environment: MutableMapping[str, str]) -> Reading:
    """The documents of the files at `paths`; everything that can go wrong is among the problems.

    A directory stands for those of its own files whose names end as config files' do, by name.  A file is
    read once, however often it is named.  Variables come from `environment`, and `${NAME:=word}` writes
    into it.
    """
    problems: list[Problem] = []
    files: dict[str, None] = {}
    for path in paths:
        files |= dict.fromkeys(_files(path, problems))
    documents: list[Document] = []
    sources: dict[str, Sequence[str]] = {}
    for file in files:
        data = _read(file, problems)
        if data is not None:
            reading = parse(file, data, environment)
            documents += reading.documents
            problems += reading.problems
            sources |= reading.sources
    return Reading(documents=tuple(documents), problems=tuple(problems), files=tuple(files), sources=sources)


def _files(path: Path, problems: list[Problem]) -> Iterator[str]:
    """The config files that `path` means."""
    name = os.path.normpath(path)
    try:
        if path.is_dir():
            found = sorted(each.name for each in path.iterdir() if each.suffix in SUFFIXES and each.is_file())
            if not found:
                words = "this directory has no file whose name ends in .yaml, .yml or .json"
                problems.append(Problem(file=name, message=words, severity="warning", rule="no-file"))
            yield from (str(Path(name) / each) for each in found)
            return
    except (OSError, ValueError):  # ValueError: a path with a NUL character
        pass  # reading it will tell
    if path.suffix in SUFFIXES or not path.exists():
        yield name
    else:
        words = "this file is passed over: the name of a config file ends in .yaml, .yml or .json"
        problems.append(Problem(file=name, message=words, severity="warning", rule="ignored-file"))


def _read(file: str, problems: list[Problem]) -> bytes | None:
    try:
        with Path(file).open("rb") as stream:
            return stream.read(BYTES_MAX + 1)
    except FileNotFoundError:
        words = "there is no such file"
    except (OSError, ValueError) as error:
        words = (
            f"the file cannot be read: {(error.strerror if isinstance(error, OSError) else None) or error}"
        )
    problems.append(Problem(file=file, message=words, rule="unreadable"))
    return None


def _unreadable(file: str, message: str) -> Reading:
    return Reading(problems=(Problem(file=file, message=message, rule="unreadable"),))


def parse(file: str, data: bytes, environment: MutableMapping[str, str] | None = None) -> Reading:
    """The documents in `data`, the content of `file` (which is only named, never opened)."""
    if len(data) > BYTES_MAX:
        return _unreadable(file, f"the file has more than {BYTES_MAX >> 20} MiB, which no config needs")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _unreadable(file, "the file is written in UTF-16; save it as UTF-8")
    try:
        data = data.removeprefix(codecs.BOM_UTF8)
        text = data.decode()
    except UnicodeDecodeError as error:
        before = Text(data[: error.start].decode())
        words = f"the byte 0x{data[error.start]:02X} is not UTF-8; save the file as UTF-8"
        return Reading(problems=(before.problem(file, len(before.text), words),))
    source = Text(text)
    sources = {file: source.lines()}
    if found := _UNPRINTABLE.search(text):
        message = f"the control character U+{ord(found[0]):04X} is not allowed in YAML; remove it"
        return Reading(problems=(source.problem(file, found.start(), message),), sources=sources)
    if file.endswith(".json"):
        if problem := _broken_json(file, source):
            return Reading(problems=(problem,), sources=sources)
        # Between JSON's tokens may stand tabs, and line breaks before a colon, which YAML knows less well.
        source.text = _BEFORE_COLON.sub(lambda found: found[1] + " " * len(found[2]), text.replace("\t", " "))
    reader = _Reader(file, source, {} if environment is None else environment)
    reader.read()
    return Reading(documents=tuple(reader.documents), problems=tuple(reader.problems), sources=sources)


_UNPRINTABLE: Final = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
"""What YAML 1.2 (section 5.1) keeps out of a file, and a byte order mark that is not at its start."""

_DOCUMENT_START: Final = re.compile(r"(?:^|(?<=\r))---(?=\s|\Z)", re.MULTILINE)

_VARIABLE: Final = re.compile(r"\$\{[^}\s]*\}?")
_COMMENT: Final = re.compile(r"(?:^|(?<=[ \t\r\n]))#")

_BEFORE_COLON: Final = re.compile(r'("(?:[^"\\]|\\.)*")([ \r\n]*)(?=:)')

_BROKEN_MAX: Final = 20
"""After so many broken documents a file is no config."""


def _broken_json(file: str, source: Text) -> Problem | None:
    """What is wrong with a JSON file, each document by itself."""
    starts = [found.start() for found in _DOCUMENT_START.finditer(source.text)]
    for start, end in zip([0, *starts], [*starts, len(source.text)], strict=True):
        text = source.text[start:end]
        marker = 3 if text.startswith("---") else 0
        if not text[marker:].strip(" \t\r\n"):  # blanks of JSON (RFC 8259 section 2), not of Unicode
            continue
        try:
            json.loads(text[marker:], parse_constant=_no_number)
        except json.JSONDecodeError as error:
            at, words = explain_json(error)
            return source.problem(file, start + marker + at, words, "json")
        except RecursionError:
            return source.problem(file, start, "lists and mappings are nested far too deep", "json")
        except _ConstantError as error:
            at = next(found.start() for found in _TOKEN.finditer(text, marker) if found[0] == str(error))
            return source.problem(file, start + at, f"JSON has no {error}", "json")
        except ValueError as error:  # a number of thousands of digits
            return source.problem(file, start, str(error).partition(":")[0], "json")
    return None


class _ConstantError(Exception):
    """A constant of JavaScript that Python takes for JSON."""


_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|-?Infinity|NaN')


def _no_number(constant: str) -> None:
    raise _ConstantError(constant)


class _Reader:
    """Reads the documents of one file."""

    def __init__(self, file: str, source: Text, environment: MutableMapping[str, str]) -> None:
        self._file, self._source, self._environment = file, source, environment
        self._allowance = Allowance()
        self._scalars: list[tuple[int, int]] = []
        self.documents: list[Document] = []
        self.problems: list[Problem] = []

    def read(self) -> None:
        """Read all of them."""
        found: list[Root] = []
        start = 0
        while len(self.problems) < _BROKEN_MAX:
            composer = Composer(self._source, start)
            try:
                for root in composer.roots():
                    found.append(root)
                    if len(found) > DOCUMENTS_MAX:
                        words = f"the file has more than {DOCUMENTS_MAX} documents, which no config needs"
                        self.problems.append(self._source.problem(self._file, root.begins, words))
                        return
                break
            except BrokenError as broken:
                self._tell(broken)
                following = _DOCUMENT_START.search(self._source.text, max(broken.noticed, start + 1))
                if following is None:
                    break
                start = following.start()
            finally:
                self._scalars += composer.scalars
        begins = 0  # what stands above the first document belongs to it
        whole = not self.problems
        for index, root in enumerate(found):
            following = _DOCUMENT_START.search(self._source.text, root.content)
            ends = following.start() if following else len(self._source.text)
            if index + 1 < len(found):
                ends = min(ends, found[index + 1].begins)
            self._add(root.node, begins if index == 0 and whole else root.begins, ends)

    def _add(self, root: Node, begins: int, end: int) -> None:
        text = self._source.text[begins:end]
        if "${" not in text:
            self.documents.append(Document(file=self._file, root=root))
            return
        if self._says_what_by_variables(root) or self._allowance.spent:
            return
        try:
            substituted, remarks = substitute(text, self._environment, allowance=self._allowance)
        except UnusableError as error:
            self._note(error.remarks, begins)
            return
        self._note(remarks, begins)
        expanded = Expanded(self._source, begins, substituted)
        if found := _UNPRINTABLE.search(expanded.text):
            words = f"the value of this variable holds U+{ord(found[0]):04X}, which is not allowed in YAML"
            self.problems.append(expanded.problem(self._file, found.start(), words, "variable"))
            return
        try:
            roots = list(Composer(expanded, 0).roots())
        except BrokenError as broken:
            # Its own words may repeat a value.
            at = expanded.mark(broken.noticed) if expanded.from_variable(broken.noticed) else broken.at
            words = (
                "with its variables replaced, the document is no YAML any more; put a variable in quotes, "
                "and see to it that its value has none"
            )
            if broken.bound:
                words = f"with its variables replaced: {broken}"
            self._problem(at, words, "variable")
            return
        if len(roots) > 1:
            words = "the value of a variable begins a new document here; it has to stay inside its own"
            self.problems.append(expanded.problem(self._file, roots[1].begins, words, "variable"))
        elif roots:
            self.documents.append(Document(file=self._file, root=roots[0].node))

    def _says_what_by_variables(self, root: Node) -> bool:
        """Tell of variables in apiVersion and kind, which AILERON reads before it replaces any."""
        told = len(self.problems)
        for key, value in root.entries if isinstance(root, MappingNode) else ():
            if (
                isinstance(key, ScalarNode)
                and key.text in ("apiVersion", "APIVersion", "kind", "Kind")
                and isinstance(value, ScalarNode)
                and "${" in value.text
            ):
                words = f"{key.text} cannot come from a variable; write the value itself"
                self._problem(value.mark, words, "variable", field=key.text)
        return len(self.problems) > told

    def _note(self, remarks: Sequence[Remark], begins: int) -> None:
        for remark in remarks:
            in_comment = self._in_comment(begins + remark.at)
            mark = self._source.mark(begins + remark.at)
            if not remark.warning:
                also = " (variables count in comments as well)" if in_comment else ""
                self._problem(mark, remark.message + also, "variable")
            elif not in_comment:
                self._problem(mark, remark.message, "unset-variable", severity="warning")

    def _in_comment(self, index: int) -> bool:
        """Whether what stands at `index` is part of a comment: behind a "#" that is in no value."""
        at = bisect.bisect_right(self._scalars, (index, len(self._source.text))) - 1
        begins, ends = self._scalars[at] if at >= 0 else (0, 0)
        if begins <= index < ends:
            return False
        line = index - self._source.mark(index).column + 1
        return _COMMENT.search(self._source.text, max(line, ends), index) is not None

    def _tell(self, broken: BrokenError) -> None:
        """Tell of a document that cannot be parsed, before any variable in it is replaced."""
        text, at = self._source.text, broken.noticed
        if text[at - 1 : at + 1] == "${" and (found := _VARIABLE.match(text, at - 1)):
            words = (
                f'a variable between brackets has to stand in quotes, as in "{quoted(found[0], marks="")}"'
            )
            self._problem(self._source.mark(at - 1), words, "yaml")
        else:
            self._problem(broken.at, str(broken), "yaml")

    def _problem(
        self, mark: Mark, message: str, rule: str, *, field: str | None = None, severity: Severity = "error"
    ) -> None:
        self.problems.append(
            Problem(
                file=self._file,
                line=mark.line,
                column=mark.column,
                field=field,
                message=message,
                severity=severity,
                rule=rule,
            )
        )
