"""${VARIABLES} in a text: replaced, with a map back to where everything stood.  Pure.

Strategy
    Two passes, each from left to right, each replacing the variables in whose words no other stands.  So
    one level of nesting works (`${A_${B}}`), and what a variable's value refers to is looked up once more.
    What is replaced is kept as a list of pieces, from which every index in the result leads to one in the
    text as it was written.

Rules (core-v1, section 2; the forms are those of a shell, the patterns POSIX regular expressions)
    * A name holds letters, digits and underscores, and is not a number: `${1}` means something to `rewrite`.
    * A word ends at its own brace: braces in it count.  (AILERON goes on to the last one of the document.)
    * What is none of the forms is left alone, and so is `$NAME`.
    * No message repeats the value of a variable.
"""

import bisect
import re
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.config.problems import did_you_mean, quoted

try:
    import re2  # type: ignore[import-untyped]  # it ships no types
except ImportError:  # a platform for which the library has no wheel
    re2 = None

EXPANDED_MAX: Final = 1 << 20
"""Characters that a text may have, its variables replaced."""


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

    def _piece(self, index: int) -> _Piece:
        return self._pieces[bisect.bisect_right(self._begins, index) - 1]


class UnusableError(Exception):
    """A text that cannot be used; `remarks` tell why."""

    def __init__(self, remarks: list[Remark]) -> None:
        super().__init__(*(remark.message for remark in remarks))
        self.remarks = remarks


def substitute(
    text: str, environment: MutableMapping[str, str], *, passes: int = 2
) -> tuple[Substituted, list[Remark]]:
    """Replace the variables in `text`; `:=` and `=` write into `environment`.

    Raises UnusableError, once every variable has been looked at.
    """
    done = Substituted(text, [_Piece(0, 0, variable=False)])
    remarks: list[Remark] = []
    for _ in range(passes):
        done, found = _pass(done, environment)
        remarks += found
    if (left := done.text.find("${")) >= 0 and (found := _unclosed(done, left)):
        remarks += found
    if errors := [remark for remark in remarks if not remark.warning]:
        raise UnusableError(errors)
    return done, remarks


def _pass(before: Substituted, environment: MutableMapping[str, str]) -> tuple[Substituted, list[Remark]]:
    parts: list[str] = []
    pieces: list[_Piece] = []
    remarks: list[Remark] = []
    length = 0

    def take(start: int, end: int) -> None:
        """Keep what stands between both indices, piece by piece."""
        nonlocal length
        while start < end:
            piece = before._piece(start)  # noqa: SLF001  (of its own class's making)
            following = bisect.bisect_right(before._begins, start)  # noqa: SLF001  (as above)
            stop = min(end, before._begins[following] if following < len(before._begins) else end)  # noqa: SLF001
            pieces.append(_Piece(length, before.origin(start), piece.variable))
            parts.append(before.text[start:stop])
            length += stop - start
            start = stop

    text, at = before.text, 0
    while (start := text.find("${", at)) >= 0:
        expression = _expression(text, start)
        if expression is None:
            take(at, start + 2)
            at = start + 2
            continue
        take(at, start)
        at = start + len(expression) + 3
        origin = before.origin(start)
        try:
            value = _value(expression, environment)
        except ValueError as error:
            remarks.append(Remark(at=origin, message=str(error)))
            value = ""
        if value is None:
            remarks.append(_unset(origin, expression, environment))
            value = ""
        if length + len(value) > EXPANDED_MAX:
            message = f"with its variables replaced, the document has more than {EXPANDED_MAX} characters"
            remarks.append(Remark(at=origin, message=message))
            break
        pieces.append(_Piece(length, origin, variable=True))
        parts.append(value)
        length += len(value)
    else:
        take(at, len(text))
    return Substituted("".join(parts), pieces or [_Piece(0, 0, variable=False)]), remarks


def _unset(at: int, name: str, environment: Mapping[str, str]) -> Remark:
    hint = did_you_mean(name, environment) or f"; ${{{name}:-value}} gives it a default"
    return Remark(
        at=at, message=f"the variable {name} is not set, so nothing stands here{hint}", warning=True
    )


_NAME: Final = r"(?![0-9]+(?![0-9A-Za-z_]))[0-9A-Za-z_]+"
_SHORT: Final = re.compile(rf"{_NAME}(@[A-Za-z]?)?\}}|#{_NAME}\}}|!{_NAME}[*@]\}}")
_LONG: Final = re.compile(rf"{_NAME}(?=[:\-=?+#%/,^])")


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
    for limit in (end if line < 0 else line, end):
        depth = 1
        first = None
        for found in re.compile("[{}]").finditer(text, start, limit):
            depth += 1 if found[0] == "{" else -1
            if found[0] == "}" and first is None:
                first = found.start()
            if depth == 0:
                return found.start()
        if first is not None and limit != nested:
            return first  # a brace in the word has no partner
    return None


def _unclosed(done: Substituted, at: int) -> list[Remark]:
    """What to say of variables that are left, which begin as one, but do not end."""
    while at >= 0:
        if _LONG.match(done.text, at + 2) and "}" not in done.text[at:]:
            return [Remark(at=done.origin(at), message='this "${" is never closed; a "}" is missing')]
        at = done.text.find("${", at + 2)
    return []


def _value(expression: str, environment: MutableMapping[str, str]) -> str | None:
    """What `expression`, the inside of the braces, stands for; None where it is just a name, and unset.

    Raises ValueError.
    """
    if expression.startswith("#"):
        return str(len(environment.get(expression[1:], "")))
    if expression.startswith("!"):
        # Sorted: an environment has no order that anybody chose.
        return " ".join(sorted(name for name in environment if name.startswith(expression[1:-1])))
    found = re.match("[0-9A-Za-z_]+", expression)
    assert found is not None  # an expression begins with a name
    name, rest = found[0], expression[found.end() :]
    value = environment.get(name)
    if not rest:
        return value
    for operator, apply in _FORMS:
        if rest.startswith(operator):
            return apply(name, value, rest.removeprefix(operator), environment)
    raise ValueError(f"${{{name}…}} has no form that is known")


_Form = Callable[[str, str | None, str, MutableMapping[str, str]], str]


def _default(*, empty: bool) -> _Form:
    def apply(_name: str, value: str | None, word: str, _environment: MutableMapping[str, str]) -> str:
        return word if value is None or (empty and not value) else value

    return apply


def _assign(*, empty: bool) -> _Form:
    def apply(name: str, value: str | None, word: str, environment: MutableMapping[str, str]) -> str:
        if value is None or (empty and not value):
            environment[name] = value = word
        return value

    return apply


def _demand(*, empty: bool) -> _Form:
    def apply(name: str, value: str | None, word: str, _environment: MutableMapping[str, str]) -> str:
        if value is None or (empty and not value):
            state = "not set" if value is None else "empty"
            reason = f": {quoted(word, marks='')}" if word else ""
            raise ValueError(f"the variable {name} has to be given, but is {state}{reason}")
        return value

    return apply


def _alternative(*, empty: bool) -> _Form:
    def apply(_name: str, value: str | None, word: str, _environment: MutableMapping[str, str]) -> str:
        return "" if value is None or (empty and not value) else word

    return apply


def _part(name: str, value: str | None, word: str, _environment: MutableMapping[str, str]) -> str:
    """`:offset` and `:offset:length`, in characters."""
    offset_text, colon, length_text = word.partition(":")
    try:
        offset, length = int(offset_text), int(length_text) if colon else -1
    except ValueError:
        raise ValueError(
            f'"${{{name}:{quoted(word, marks="")}}}" should have whole numbers behind ":"'
        ) from None
    value = value or ""
    if offset < 0:
        return value
    return value[offset:] if length < 0 else value[offset : offset + length]


def _strip(*, start: bool) -> _Form:
    def apply(name: str, value: str | None, word: str, _environment: MutableMapping[str, str]) -> str:
        value = value or ""
        found = _ends(name, word, value, start=start)
        if found is None:
            return value
        return value[found[1] :] if start else value[: found[0]]

    return apply


def _replace(which: str) -> _Form:
    def apply(name: str, value: str | None, word: str, _environment: MutableMapping[str, str]) -> str:
        pattern, slash, replacement = word.partition("/")
        if not pattern or not slash:
            raise ValueError(f"${{{name}/…}} should be ${{{name}{which}pattern/replacement}}")
        value = value or ""
        if which in ("/", "//"):
            count = 0 if which == "//" else 1
            return str(_posix(name, pattern).sub(lambda _found: replacement, value, count=count))
        found = _ends(name, pattern, value, start=which == "/#")
        if found is None:
            return value
        return replacement + value[found[1] :] if which == "/#" else value[: found[0]] + replacement

    return apply


def _case(change: Callable[[str], str], *, everywhere: bool) -> _Form:
    def apply(name: str, value: str | None, word: str, _environment: MutableMapping[str, str]) -> str:
        value = value or ""
        head, tail = (value, "") if everywhere else (value[:1], value[1:])
        pattern = _posix(name, word) if word else None
        changed = (
            change(head) if pattern is None else str(pattern.sub(lambda found: change(found.group()), head))
        )
        return changed + tail

    return apply


def _operator(name: str, value: str | None, word: str, _environment: MutableMapping[str, str]) -> str:
    value = value or ""
    match word:
        case "U":
            return value.upper()
        case "u":
            return value[:1].upper() + value[1:]
        case "L":
            return value.lower()
        case "l":
            return value[:1].lower() + value[1:]
    raise ValueError(f"${{{name}@{word}}} has an operator that is not known; U, u, L and l are")


_FORMS: Final[tuple[tuple[str, _Form], ...]] = (
    (":-", _default(empty=True)),
    ("-", _default(empty=False)),
    (":=", _assign(empty=True)),
    ("=", _assign(empty=False)),
    (":?", _demand(empty=True)),
    ("?", _demand(empty=False)),
    (":+", _alternative(empty=True)),
    ("+", _alternative(empty=False)),
    (":", _part),
    ("##", _strip(start=True)),
    ("#", _strip(start=True)),
    ("%%", _strip(start=False)),
    ("%", _strip(start=False)),
    ("//", _replace("//")),
    ("/#", _replace("/#")),
    ("/%", _replace("/%")),
    ("/", _replace("/")),
    ("^^", _case(str.upper, everywhere=True)),
    ("^", _case(str.upper, everywhere=False)),
    (",,", _case(str.lower, everywhere=True)),
    (",", _case(str.lower, everywhere=False)),
    ("@", _operator),
)
"""By what stands behind the name, the longer before what it begins with."""


def _ends(name: str, word: str, value: str, *, start: bool) -> tuple[int, int] | None:
    """Where the start or the end of `value` matches `word`; None where it does not."""
    pattern = _posix(name, f"^{word}" if start else f"{word}$")
    found = [each.span() for each in pattern.finditer(value)]
    return found[0 if start else -1] if found else None


def _posix(name: str, pattern: str) -> Any:
    """The POSIX regular expression `pattern`, leftmost-longest.  Raises ValueError."""
    if re2 is None:
        raise ValueError(
            f"${{{name}…}} needs regular expressions, for which the package google-re2 is not installed here"
        )
    options = re2.Options()
    options.posix_syntax = options.longest_match = True
    options.log_errors = False
    try:
        return re2.compile(pattern, options=options)
    except re2.error as error:
        raise ValueError(
            f"${{{name}…}} has a pattern that is no regular expression: {_said(error)}"
        ) from None


def _said(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    return quoted(said.decode(errors="replace") if isinstance(said, bytes) else str(said), marks="")
