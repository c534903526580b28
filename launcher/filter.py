r"""The small expression that chooses which records are shown; pure.

    from:client             who sent the frame
    op:text|ping            its opcode; `|` separates what is welcome
    conn:3                  the number of its connection
    path:/ws                the request path of its connection begins so
    /regular expression/    found in its preview; `\/` stands for a slash
    !op:ping                not so

Terms stand apart by spaces, and all must hold.  A term says nothing about a record that lacks what it asks
for (an `open` has no opcode): such a record stays.
"""

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NoReturn

from gateway.events import Close, Error, Event, Frame, Omitted, Open, Request, Violation
from gateway.printable import escape

LOOK_AT: Final = 2_000
"""How many characters of a preview a regular expression is given, however long the preview is."""

_SENDERS: Final = ("client", "upstream")
_OPCODES: Final = ("text", "binary", "close", "ping", "pong", "continuation")
_RESERVED: Final = re.compile(r"0x[3-7b-f]", re.IGNORECASE)  # RFC 6455 section 5.2
_NUMBER: Final = re.compile("[0-9]{1,18}")
_TERMS: Final = "from:, op:, conn:, path: or /…/"

Question = Callable[[Event, str | None], bool | None]
"""Whether a term holds for a record and its connection's path; None where they lack what it asks for."""


class FilterError(ValueError):
    """An expression that means nothing: `problem`, at `column` (characters, from 0)."""

    def __init__(self, expression: str, column: int, problem: str) -> None:
        before = " " * len(escape(expression[:column]))
        super().__init__(f"{escape(problem)}\n  {escape(expression)}\n  {before}^")
        self.column = column
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Filter:
    """A parsed expression; without terms it shows everything."""

    expression: str = ""
    questions: tuple[Question, ...] = ()

    def shows(self, event: Event, path: str | None) -> bool:
        """Tell whether `event` is shown; `path` is its connection's, where that is known."""
        return all(question(event, path) is not False for question in self.questions)


def parse(expression: str) -> Filter:
    """Understand `expression`; raises FilterError."""
    questions: list[Question] = []
    at = 0
    while at < len(expression):
        if expression[at].isspace():
            at += 1
            continue
        negated = expression[at] == "!"
        start = at + negated
        end = _end(expression, start)
        question = _term(expression, start, end)
        questions.append(_not(question) if negated else question)
        at = end
    return Filter(expression.strip(), tuple(questions))


def _end(expression: str, start: int) -> int:
    """Return where the term ends that begins at `start`: at its own slash, or at a space."""
    if not expression.startswith("/", start):
        return next((at for at in range(start, len(expression)) if expression[at].isspace()), len(expression))
    at = start + 1
    while at < len(expression) and expression[at] != "/":
        at += 2 if expression[at] == "\\" else 1
    if at >= len(expression):
        raise FilterError(expression, start, "this regular expression has no end; close it with /")
    at += 1
    if at < len(expression) and not expression[at].isspace():
        raise FilterError(expression, at, r"a space must follow; inside /…/ a slash is written \/")
    return at


def _term(expression: str, start: int, end: int) -> Question:
    """Understand the term between `start` and `end`, without its `!`."""

    def wrong(column: int, problem: str) -> NoReturn:
        raise FilterError(expression, column, problem)

    term = expression[start:end]
    if term.startswith("/"):
        try:
            return _regex(_compiled(term[1:-1]))
        except re.error as error:
            wrong(start + 1 + (error.pos or 0), f"not a regular expression: {error.msg}")
        except (OverflowError, RecursionError):  # too large a number, too many parentheses
            wrong(start, "this regular expression asks for too much")
    name, colon, values = term.partition(":")
    if not colon or name not in ("from", "op", "conn", "path"):
        wrong(start, f'"{term}" is no term; say {_TERMS}' if term else f"a term is missing; say {_TERMS}")
    column = start + len(name) + 1
    for value in values.split("|"):
        if problem := _problem(name, value):
            wrong(column, problem)
        column += len(value) + 1
    return _field(name, values.split("|"))


def _problem(name: str, value: str) -> str | None:
    """Say what is wrong with `value` for the term `name`, if anything is."""
    match name:
        case "from" if value not in _SENDERS:
            return f'"{value}" sends no frames; say client or upstream'
        case "op" if value not in _OPCODES and not _RESERVED.fullmatch(value):
            return f'"{value}" is no opcode; say {", ".join(_OPCODES)}, or a reserved one as 0xB'
        case "conn" if not _NUMBER.fullmatch(value):
            return f'"{value}" is no connection number'
        case "path" if not value.startswith("/"):
            return "a path begins with /"
        case _:
            return None


def _not(question: Question) -> Question:
    def answer(event: Event, path: str | None) -> bool | None:
        held = question(event, path)
        return None if held is None else not held

    return answer


def _compiled(pattern: str) -> re.Pattern[str]:
    """Compile `pattern`, with no word to the terminal; raises re.error, OverflowError, RecursionError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a set in a set may come to mean something else, as in [[a]
        return re.compile(pattern)


def _regex(pattern: re.Pattern[str]) -> Question:
    def answer(event: Event, _path: str | None) -> bool | None:
        if not isinstance(event, Frame):
            return None
        return pattern.search(_preview(event)[:LOOK_AT]) is not None

    return answer


def _preview(frame: Frame) -> str:
    """Return what a person reads of a frame: text, bytes in hex by pairs, a Close frame's code and reason."""
    if frame.opcode == "close" and frame.code is not None:
        return f"{frame.code} {frame.reason or ''}"
    return " ".join(re.findall("..?", frame.hex or "")) if frame.text is None else frame.text


def _field(name: str, values: list[str]) -> Question:
    """Return the question of the term `name:` with `values` that are known to be right."""
    match name:
        case "from":
            senders = frozenset(values)
            return lambda event, _: (
                event.sender in senders if isinstance(event, Frame | Omitted | Violation) else None
            )
        case "op":
            opcodes = frozenset(map(str.lower, values))
            return lambda event, _: event.opcode.lower() in opcodes if isinstance(event, Frame) else None
        case "conn":
            return _conn(frozenset(map(int, values)))
        case _:
            return _path(tuple(values))


def _conn(numbers: frozenset[int]) -> Question:
    def answer(event: Event, _path: str | None) -> bool | None:
        match event:
            case Frame() | Omitted() | Open() | Close() | Violation() | Error(conn=int()):
                return event.conn in numbers
            case Request():
                return False  # it belongs to no connection, so not to these
            case _:
                return None

    return answer


def _path(prefixes: tuple[str, ...]) -> Question:
    def answer(event: Event, path: str | None) -> bool | None:
        match event:
            case Open() | Request() | Error(path=str()):
                return (event.path or "").startswith(prefixes)
            case Frame() | Omitted() | Close() | Violation():
                return path is not None and path.startswith(prefixes)
            case _:
                return None

    return answer
