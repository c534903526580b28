"""${VARIABLES} in a text: replaced, with a map back to where everything stood.  Pure.

Strategy
    Two passes, each from left to right, each replacing the variables in whose words no other stands.  So
    one level of nesting works (`${A_${B}}`), and what a variable's value refers to is looked up once more.
    What is replaced is kept as a list of pieces, from which every index in the result leads to one in the
    text as it was written.

Rules (core-v1, section 2; the forms are those of a shell, the patterns POSIX regular expressions)
    * A name holds letters, digits and underscores, and is not a number: `${1}` means something to `rewrite`.
    * A word ends at its own brace: braces in it count.  (AILERON goes on to the last one of the document.)
      It may go on over several lines; in a single one, a brace in it may lack its partner.
    * What is none of the forms is left alone, and so is `$NAME`.
    * No message repeats the value of a variable: names and words are shown as the file has them.
    * What variables add to a file and what patterns search is bounded, so that neither can stall a load.
"""

import bisect
import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, replace
from typing import Any, Final

from gateway.config.problems import did_you_mean, quoted

try:
    import re2  # type: ignore[import-untyped]  # it ships no types
except ImportError:  # a platform for which the library has no wheel
    re2 = None

ADDED_MAX: Final = 1 << 16
"""Characters that the values of variables may add to a file."""
STEPS_MAX: Final = 30_000_000
"""What the patterns of a file may cost, in instructions of RE2: some 0.3 s."""
REMARKS_MAX: Final = 100
"""Remarks that are made about a text; whoever has so many mistakes begins with the first."""
_HINTS_MAX: Final = 1000
"""An environment of more variables is not searched for what may have been meant."""


@dataclass(slots=True)
class Allowance:
    """What the variables of a file may still cost, all its documents together."""

    added: int = ADDED_MAX
    steps: int = STEPS_MAX

    @property
    def spent(self) -> bool:
        """Whether it did not suffice, which has been told."""
        return self.added < 0 or self.steps < 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What is to be said of a variable."""

    at: int
    """The index of its "$" in the text as it was written."""
    message: str
    warning: bool = False
    """Whether the text can be used all the same."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of the result."""

    begins: int
    """Its first index in the result."""
    origin: int
    """The index in the text where it stood, or where the variable stood that it came from."""
    variable: bool


class Substituted:
    """A text whose variables have been replaced."""

    def __init__(self, text: str, pieces: list[_Piece]) -> None:
        self.text = text
        self._pieces = pieces
        self._begins = [piece.begins for piece in pieces]

    def origin(self, index: int) -> int:
        """Where in the text as it was written stands what stands at `index` now."""
        piece = self._piece(index)
        return piece.origin if piece.variable else piece.origin + index - piece.begins

    def from_variable(self, index: int) -> bool:
        """Whether what stands at `index` now came out of a variable."""
        return self._piece(index).variable

    def between(self, start: int, end: int) -> Iterator[tuple[_Piece, str]]:
        """What stands between both indices, piece by piece; each with the origin of its first character."""
        at = bisect.bisect_right(self._begins, start) - 1
        while start < end:
            stop = min(end, self._begins[at + 1] if at + 1 < len(self._begins) else end)
            if start < stop:
                yield _Piece(start, self.origin(start), self._pieces[at].variable), self.text[start:stop]
            at, start = at + 1, max(start, stop)

    def _piece(self, index: int) -> _Piece:
        return self._pieces[bisect.bisect_right(self._begins, index) - 1]


class UnusableError(Exception):
    """A text that cannot be used; `remarks` tell why."""

    def __init__(self, remarks: list[Remark]) -> None:
        super().__init__(*(remark.message for remark in remarks))
        self.remarks = remarks


def substitute(
    text: str, environment: MutableMapping[str, str], *, passes: int = 2, allowance: Allowance | None = None
) -> tuple[Substituted, list[Remark]]:
    """Replace the variables in `text`; `:=` and `=` write into `environment`.

    What it costs is taken from `allowance`, by default a new one.  Raises UnusableError, once every
    variable has been looked at.
    """
    done = Substituted(text, [_Piece(0, 0, variable=False)])
    work = _Work(text, environment, allowance or Allowance())
    try:
        for _ in range(passes):
            done = work.replaced(done)
    except _ExhaustedError:
        pass  # the remarks tell
    else:
        work.look_for_unclosed(done)
    if errors := [remark for remark in work.remarks if not remark.warning]:
        raise UnusableError(errors)
    return done, work.remarks


class _ExhaustedError(Exception):
    """It goes no further."""


class _Work:
    """The substitution of one text."""

    def __init__(self, written: str, environment: MutableMapping[str, str], allowance: Allowance) -> None:
        self._written, self._environment, self._allowance = written, environment, allowance
        self.remarks: list[Remark] = []

    def replaced(self, before: Substituted) -> Substituted:
        """One pass."""
        parts: list[str] = []
        pieces: list[_Piece] = []
        length = taken = at = 0
        text = before.text
        while (start := text.find("${", at)) >= 0:
            expression = _expression(text, start)
            if expression is None:
                at = start + 2
                continue
            for piece, part in before.between(taken, start):
                pieces.append(_Piece(length, piece.origin, piece.variable))
                parts.append(part)
                length += len(part)
            taken = at = start + len(expression) + 3
            value = self._value(before, start, expression)
            pieces.append(_Piece(length, before.origin(start), variable=True))
            parts.append(value)
            length += len(value)
        if not pieces:
            return before
        for piece, part in before.between(taken, len(text)):
            pieces.append(_Piece(length, piece.origin, piece.variable))
            parts.append(part)
            length += len(part)
        return Substituted("".join(parts), pieces)

    def look_for_unclosed(self, done: Substituted) -> None:
        """Tell of the first "${" that begins a variable, but is not closed in its line."""
        text = done.text
        at, brace, line = text.find("${"), -1, -1
        while at >= 0:
            if brace < at:
                brace = text.find("}", at) % (len(text) + 1)  # -1: at the end
            if line < at:
                line = text.find("\n", at) % (len(text) + 1)
            if brace >= line and _LONG.match(text, at + 2):
                words = 'this "${" is never closed, so it stays as it is; a "}" is missing'
                self._tell(done.origin(at), words, warning=True)
                return
            at = text.find("${", at + 2)

    def _value(self, before: Substituted, start: int, expression: str) -> str:
        """What stands in the place of `expression`, which begins at `start`."""
        origin = before.origin(start)
        found = _FIRST_NAME.match(expression)
        assert found is not None  # an expression has a name
        name = self._as_written(before, start + 2 + found.start(1), start + 2 + found.end(1))
        try:
            value = _value(expression, self._environment, self._allowance)
        except _WrongError as wrong:
            operator = start + 2 + found.end(1) + wrong.operator
            word = self._as_written(before, operator, start + 2 + len(expression))
            reason = f": {quoted(word, marks='')}" if wrong.reason and word else ""
            self._tell(origin, f"the variable {name} {wrong}{reason}")
            return ""
        except _TooMuchError as error:
            self._tell(origin, str(error))
            raise _ExhaustedError from None
        if value is None:
            hint = f"; ${{{name}:-value}} gives it a default" if name == expression else ""
            if len(self._environment) <= _HINTS_MAX and name == quoted(expression, marks=""):
                hint = did_you_mean(expression, self._environment) or hint
            self._tell(origin, f"the variable {name} is not set, so nothing stands here{hint}", warning=True)
            return ""
        self._allowance.added -= len(value)
        if self._allowance.added < 0:
            self._tell(
                origin, f"variables may add {ADDED_MAX} characters to a file; with this one it is more"
            )
            raise _ExhaustedError
        return value

    def _as_written(self, before: Substituted, start: int, end: int) -> str:
        """How the file has what stands between both indices; "…" for what is part of a value."""
        begins, ends = before.origin(start), before.origin(end)
        return quoted(self._written[begins:ends], marks="") if begins < ends or start == end else "…"

    def _tell(self, at: int, message: str, *, warning: bool = False) -> None:
        if warning and len(self.remarks) >= REMARKS_MAX:
            return
        self.remarks.append(Remark(at=at, message=message, warning=warning))
        if len(self.remarks) >= 2 * REMARKS_MAX:
            raise _ExhaustedError


_NAME: Final = r"(?![0-9]+(?![0-9A-Za-z_]))[0-9A-Za-z_]+"
_SHORT: Final = re.compile(rf"{_NAME}(@[A-Za-z]?)?\}}|#{_NAME}\}}|!{_NAME}[*@]\}}")
_LONG: Final = re.compile(rf"{_NAME}(?=[:\-=?+#%/,^])")
_FIRST_NAME: Final = re.compile("[#!]?([0-9A-Za-z_]+)")
_BRACE: Final = re.compile("[{}]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def _expression(text: str, start: int) -> str | None:
    """What stands in the braces at `start`, where it is a variable in which no other one stands."""
    if found := _SHORT.match(text, start + 2):
        return text[start + 2 : found.end() - 1]
    if (found := _LONG.match(text, start + 2)) and (end := _own_brace(text, found.end())) is not None:
        return text[start + 2 : end]
    return None


def _own_brace(text: str, start: int) -> int | None:
    """The index of the brace that ends the word at `start`; None where another variable stands in it."""
    nested = text.find("${", start)
    end = len(text) if nested < 0 else nested
    line = text.find("\n", start, end)
    line = end if line < 0 else line
    for limit in (line, end):
        depth = 1
        first = None
        for found in _BRACE.finditer(text, start, limit):
            depth += 1 if found[0] == "{" else -1
            if found[0] == "}" and first is None:
                first = found.start()
            if depth == 0:
                return found.start()
        if first is not None and limit == line and limit != nested:
            return first  # a brace in the word has no partner in its line
    return None


class _WrongError(Exception):
    """A variable that stands for nothing; the words go on behind its name."""

    def __init__(self, message: str, *, reason: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        """Whether its word says why."""
        self.operator = 0
        """How long the operator is, behind which the word stands."""


class _TooMuchError(Exception):
    """A variable that costs too much."""


@dataclass(frozen=True, slots=True)
class _Use:
    """A variable, and what is to be done to it."""

    name: str
    given: str | None
    """None: unset."""
    word: str
    """What stands behind the operator."""
    environment: MutableMapping[str, str]
    allowance: Allowance

    @property
    def value(self) -> str:
        """Empty where it is unset."""
        return self.given or ""


def _value(expression: str, environment: MutableMapping[str, str], allowance: Allowance) -> str | None:
    """What `expression`, the inside of the braces, stands for; None where it is just a name, and unset.

    Raises _WrongError and _TooMuchError.
    """
    if expression.startswith("!"):
        # Sorted: an environment has no order that anybody chose.
        names = sorted(name for name in environment if name.startswith(expression[1:-1]))
        allowance.steps -= 100 * len(environment)
        if allowance.steps < 0:
            raise _TooMuchError(_SEARCHED)
        return " ".join(names)
    found = _FIRST_NAME.match(expression)
    assert found is not None  # an expression has a name
    name, rest = found[1], expression[found.end() :]
    given = environment.get(name)
    if given is not None and not given.isascii() and _SURROGATE.search(given):
        raise _WrongError("has a value that is not UTF-8")
    if expression.startswith("#"):
        return str(len(given or ""))
    if not rest:
        return given
    operator = next(each for each in _FORMS if rest.startswith(each))
    use = _Use(name, given, rest.removeprefix(operator), environment, allowance)
    try:
        return _FORMS[operator](use)
    except _WrongError as wrong:
        wrong.operator = len(operator)
        raise


_Form = Callable[[_Use], str]


def _missing(use: _Use, *, empty: bool) -> bool:
    """Whether the variable is unset or, where that counts as well, `empty`."""
    return use.given is None or (empty and not use.given)


def _default(*, empty: bool) -> _Form:
    return lambda use: use.word if _missing(use, empty=empty) else use.value


def _assign(*, empty: bool) -> _Form:
    def apply(use: _Use) -> str:
        if not _missing(use, empty=empty):
            return use.value
        use.environment[use.name] = use.word
        return use.word

    return apply


def _demand(*, empty: bool) -> _Form:
    def apply(use: _Use) -> str:
        if _missing(use, empty=empty):
            state = "not set" if use.given is None else "empty"
            raise _WrongError(f"has to be given, but is {state}", reason=True)
        return use.value

    return apply


def _alternative(*, empty: bool) -> _Form:
    return lambda use: "" if _missing(use, empty=empty) else use.word


_PART: Final = re.compile("([0-9]{1,9})(?::(-?[0-9]{1,9}))?")


def _part(use: _Use) -> str:
    """`:offset` and `:offset:length`, in characters."""
    found = _PART.fullmatch(use.word)
    if found is None:
        raise _WrongError('should have whole numbers behind ":"; a default begins with ":-"')
    offset, length = int(found[1]), int(found[2] or -1)
    return use.value[offset:] if length < 0 else use.value[offset : offset + length]


def _strip(*, start: bool) -> _Form:
    def apply(use: _Use) -> str:
        found = _end(use, use.word, start=start)
        if found is None:
            return use.value
        return use.value[found[1] :] if start else use.value[: found[0]]

    return apply


def _replace(which: str) -> _Form:
    def apply(use: _Use) -> str:
        pattern, slash, replacement = use.word.partition("/")
        if not pattern or not slash:
            raise _WrongError(f'should have "pattern/replacement" behind "{which}"')
        if which == "//":
            return _changed(use, _posix(use, pattern), lambda _: replacement)
        if which == "/":
            match = _posix(use, pattern).search(use.value)
            found = None if match is None else match.span()
        else:
            found = _end(use, pattern, start=which == "/#")
        if found is None:
            return use.value
        return f"{use.value[: found[0]]}{replacement}{use.value[found[1] :]}"

    return apply


def _case(change: Callable[[str], str], *, everywhere: bool) -> _Form:
    def apply(use: _Use) -> str:
        head, tail = (use.value, "") if everywhere else (use.value[:1], use.value[1:])
        if not use.word:
            return change(head) + tail
        return _changed(replace(use, given=head), _posix(use, use.word), change) + tail

    return apply


def _operator(use: _Use) -> str:
    match use.word:
        case "U":
            return use.value.upper()
        case "u":
            return use.value[:1].upper() + use.value[1:]
        case "L":
            return use.value.lower()
        case "l":
            return use.value[:1].lower() + use.value[1:]
    raise _WrongError('should have one of U, u, L and l behind "@"')


_FORMS: Final[Mapping[str, _Form]] = {
    ":-": _default(empty=True),
    "-": _default(empty=False),
    ":=": _assign(empty=True),
    "=": _assign(empty=False),
    ":?": _demand(empty=True),
    "?": _demand(empty=False),
    ":+": _alternative(empty=True),
    "+": _alternative(empty=False),
    ":": _part,
    "##": _strip(start=True),
    "#": _strip(start=True),
    "%%": _strip(start=False),
    "%": _strip(start=False),
    "//": _replace("//"),
    "/#": _replace("/#"),
    "/%": _replace("/%"),
    "/": _replace("/"),
    "^^": _case(str.upper, everywhere=True),
    "^": _case(str.upper, everywhere=False),
    ",,": _case(str.lower, everywhere=True),
    ",": _case(str.lower, everywhere=False),
    "@": _operator,
}
"""By what stands behind the name, the longer before what it begins with."""


_SEARCHED: Final = "the patterns in this file, up to this one, have too much to search"


def _end(use: _Use, pattern: str, *, start: bool) -> tuple[int, int] | None:
    """Where the start or the end of the value matches `pattern`; None where it does not."""
    _posix(use, pattern)  # else "a)(b" would be one
    match = _posix(use, f"^({pattern})" if start else f"({pattern})$").search(use.value)
    return None if match is None else match.span()


def _changed(use: _Use, pattern: Any, change: Callable[[str], str]) -> str:
    """The value with all that matches changed.  Raises _TooMuchError before the result gets too long."""
    parts: list[str] = []
    at = length = 0
    for found in pattern.finditer(use.value):
        if parts and found.end() == at:
            continue  # nothing, right behind a match: none to Go
        parts += (use.value[at : found.start()], change(found.group()))
        at = found.end()
        length += len(parts[-1])
        if length > ADDED_MAX:
            raise _TooMuchError(f"what is replaced here has more than {ADDED_MAX} characters")
    return "".join((*parts, use.value[at:]))


def _posix(use: _Use, pattern: str) -> Any:
    """The POSIX regular expression `pattern`, leftmost-longest.  Raises _WrongError and _TooMuchError."""
    if re2 is None:
        raise _WrongError(
            "needs a regular expression, for which the package google-re2 is not installed here"
        )
    options = re2.Options()
    options.posix_syntax = options.longest_match = options.one_line = True
    options.log_errors = False
    options.max_mem = 1 << 18
    # To compile costs more than the size tells of, and so does to hand over a match.
    use.allowance.steps -= 20 * len(pattern)
    try:
        compiled = re2.compile(pattern, options=options)
    except re2.error as error:
        raise _WrongError(f"has a pattern that is no POSIX regular expression: {_said(error)}") from None
    use.allowance.steps -= (compiled.programsize + 300) * (len(use.value) + 40)
    if use.allowance.steps < 0:
        raise _TooMuchError(_SEARCHED)
    return compiled


def _said(error: Exception) -> str:
    """RE2's own words, without the part of the pattern behind them, in which may stand a value."""
    said = error.args[0] if error.args else ""
    words = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    return quoted(words.partition(":")[0], marks="")
