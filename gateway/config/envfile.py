r"""Env files → environment variables (core-v1, section 1).  The parser is pure.

Rules
    * A line is `NAME=VALUE`, perhaps with `export` before it; blank lines and lines that begin with "#" mean
      nothing.  A name holds letters, digits and underscores.
    * Quotes, single or double, are taken off wherever they stand.  What is quoted may go on over several
      lines, each without the blanks at its ends; they are joined without a line break.
    * A backslash keeps the character behind it from meaning anything; inside of quotes, `\n` is a line break.
    * "#" begins a comment outside of quotes, and only behind a blank.  (To AILERON, it ends any value.)
    * Variables in a line are replaced before it is read, by the environment as it was before the file.
    * A file with errors changes nothing, not even by `${NAME:=word}`.
    * Later files win, and all of them win over what the environment had.
"""

import re
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.config.problems import Problem
from gateway.config.substitution import Allowance, Substituted, UnusableError, substitute

_ASSIGNMENT: Final = re.compile(r"(?:export[ \t]+)?([^=]*)=")
BYTES_MAX: Final = 1 << 20
"""A file may have this many bytes."""
_NAME: Final = re.compile(r"[0-9A-Za-z_]+")
_BLANKS: Final = "\t\n\f\r "


def load_env(paths: Sequence[Path], environment: MutableMapping[str, str]) -> tuple[Problem, ...]:
    """Put the variables of the files at `paths` into `environment`; what is wrong with them comes back."""
    problems: list[Problem] = []
    for path in paths:
        file = str(path)
        try:
            with path.open("rb") as stream:
                data = stream.read(BYTES_MAX + 1)
            text = data.decode()
        except FileNotFoundError:
            problems.append(Problem(file=file, message="there is no such file", rule="unreadable"))
        except UnicodeDecodeError as error:
            words = f"the byte 0x{error.object[error.start]:02X} is not UTF-8; save the file as UTF-8"
            before = error.object[: error.start].decode().removeprefix("\ufeff").split("\n")
            line, column = len(before), len(before[-1]) + 1
            problems.append(Problem(file=file, line=line, column=column, message=words, rule="env-file"))
        except (OSError, ValueError) as error:
            why = (error.strerror if isinstance(error, OSError) else None) or str(error)
            words = f"the file cannot be read: {why}"
            problems.append(Problem(file=file, message=words, rule="unreadable"))
        else:
            if len(data) > BYTES_MAX:
                words = f"the file has more than {BYTES_MAX >> 20} MiB, which no env file needs"
                problems.append(Problem(file=file, message=words, rule="unreadable"))
                continue
            before_it = dict(environment)
            after = dict(before_it)
            values, wrong = parse_env(file, text, after)
            problems += wrong
            if not any(each.severity == "error" for each in wrong):
                after |= values
                environment.update(
                    {name: value for name, value in after.items() if before_it.get(name) != value}
                )
    return tuple(problems)


def parse_env(
    file: str, text: str, environment: MutableMapping[str, str]
) -> tuple[dict[str, str], list[Problem]]:
    """The variables that `text`, the content of `file`, gives, and what is wrong with it.

    `${NAME:=word}` writes into `environment`.
    """
    parser = _Parser(file, environment)
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        parser.read(number, line)
    parser.end()
    return parser.values, parser.problems


@dataclass(slots=True)
class _Open:
    """A value whose quotes are still open."""

    name: str
    quote: str
    line: int
    column: int
    value: str


class _Parser:
    def __init__(self, file: str, environment: MutableMapping[str, str]) -> None:
        self._file, self._environment = file, environment
        self._allowance = Allowance()
        self._open: _Open | None = None
        self.values: dict[str, str] = {}
        self.problems: list[Problem] = []

    def read(self, number: int, raw: str) -> None:
        """Read one line."""
        indent = len(raw) - len(raw.lstrip(_BLANKS))
        line = raw.strip(_BLANKS)
        if "\0" in line:
            self._tell(number, raw.index("\0") + 1, "a NUL character cannot stand in a variable; remove it")
            return
        if self._open is None and (not line or line.startswith("#")):
            return
        if self._allowance.spent:
            return
        try:
            substituted, remarks = substitute(line, self._environment, passes=1, allowance=self._allowance)
        except UnusableError as error:
            for remark in error.remarks:
                self._tell(number, indent + remark.at + 1, remark.message)
            return
        for remark in remarks:
            self._tell(number, indent + remark.at + 1, remark.message, warning=True)
        if self._open is not None:
            self._value(number, indent, substituted, 0)
            return
        found = _ASSIGNMENT.match(substituted.text)
        if found is None:
            self._tell(number, indent + 1, 'a "=" is missing; write NAME=VALUE, or "#" before a comment')
            return
        name = found[1]
        if not _NAME.fullmatch(name):
            hint = "; leave no blank around the =" if _NAME.fullmatch(name.strip()) else ""
            at = substituted.origin(found.start(1))
            # Not repeated: it may be a line of a key that lacks its quotes.
            words = "this is not the name of a variable, which holds letters, digits and underscores"
            self._tell(number, indent + at + 1, words + hint)
            return
        self._open = _Open(name=name, quote="", line=number, column=1, value="")
        self._value(number, indent, substituted, found.end())

    def end(self) -> None:
        """The file has ended."""
        if self._open is not None:
            self._tell(self._open.line, self._open.column, "this quote is never closed")

    def _value(self, number: int, indent: int, substituted: Substituted, start: int) -> None:
        """Read the value, or more of it, that begins at `start`."""
        line, value = substituted.text, self._open
        assert value is not None  # the caller has made it
        escaped = False
        for index in range(start, len(line)):
            character = line[index]
            if escaped:
                value.value += "\n" if character == "n" and value.quote else character
                escaped = False
            elif character == "\\":
                escaped = True
            elif value.quote:
                if character == value.quote:
                    value.quote = ""
                else:
                    value.value += character
            elif character in "\"'":
                value.quote, value.line = character, number
                value.column = indent + substituted.origin(index) + 1
            elif character == "#" and (index == start or line[index - 1] in _BLANKS):
                value.value = value.value.rstrip(_BLANKS)
                break
            else:
                value.value += character
        if escaped:
            value.value += "\\"
        if not value.quote:
            self.values[value.name] = value.value
            self._open = None

    def _tell(self, line: int, column: int, words: str, *, warning: bool = False) -> None:
        self.problems.append(
            Problem(
                file=self._file,
                line=line,
                column=column,
                message=words,
                severity="warning" if warning else "error",
                rule="env-file",
            )
        )
