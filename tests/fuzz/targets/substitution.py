"""Variables in a text, and env files.

Oracle: what a simple form stands for is what a table of the shell's rules says.  Of any text, every character
of the result comes from a variable or stands in the text where `origin` says, in order; only `=` and `:=`
write variables; what variables add is bounded; no remark tells a value, and each stands at a "$".  An env
file gives variables, or problems that stand inside of it.
"""

from collections.abc import Callable
from typing import Final

from gateway.config.envfile import parse_env
from gateway.config.substitution import ADDED_MAX, Remark, UnusableError, substitute
from tests.fuzz.choices import Choices

TOKENS: Final = tuple(
    b"${S} ${S:-w} ${N:-w} ${E-w} ${N=w} ${N:=w} ${E:+w} ${S+w} ${N?w} ${#L} ${!S*} ${L:2:3} ${S#*a} "
    b"${S##a*} ${S%a} ${S//a/b} ${S/#a/b} ${S/%a/b} ${S^^} ${S^a} ${S,,} ${S@U} ${A_${D}} ${1} "
    b"export N= \\n '".split()
)

_VALUE: Final = "xq7hunter2zv"
_ENVIRONMENT: Final = {
    "S": _VALUE,
    "E": "",
    "L": "abcdefgh" * 300,
    "D": "1",
    "A_1": "nested",
    "X": "${S}",
    "Y": "}${",
    "B": "x\udc80",
}


_CHANGES: Final[dict[str, Callable[[str], str]]] = {
    "^^": str.upper,
    "@U": str.upper,
    ",,": str.lower,
    "@L": str.lower,
}
_FORMS: Final = ("", ":-", "-", ":=", "=", ":+", "+", ":?", "?", "@U", "@L", ":1", "^^", ",,", "#")


def check(data: bytes) -> None:
    """Replace the variables in `data`."""
    choices = Choices(data)
    how = choices.byte() % 3
    if how == 0:
        _simple(choices)
        return
    text = choices.rest().decode("utf-8", "replace")
    if how == 1:
        _any(text)
    else:
        _env_file(text)


def _any(text: str) -> None:
    environment = dict(_ENVIRONMENT)
    try:
        done, remarks = substitute(text, environment)
    except UnusableError as error:
        _sound(text, error.remarks)
        assert any(not each.warning for each in error.remarks)
        return
    _sound(text, remarks)
    assert not any(not each.warning for each in remarks)
    origins = [done.origin(index) for index in range(len(done.text) + 1)]
    assert origins == sorted(origins)
    assert 0 <= origins[0] <= origins[-1] <= len(text)
    own = 0
    for index, character in enumerate(done.text):
        if not done.from_variable(index):
            own += 1
            assert text[origins[index]] == character
    assert len(done.text) - own <= ADDED_MAX
    if "=" not in text:
        assert environment == _ENVIRONMENT
    if "${" not in text:
        assert done.text == text
    # A text in which nothing more is to be replaced stays as it is.
    if "${" not in done.text:
        assert substitute(done.text, environment)[0].text == done.text


def _sound(text: str, remarks: list[Remark]) -> None:
    for remark in remarks:
        assert text.startswith("$", remark.at)
        assert remark.message.isprintable()
        assert _VALUE in text or _VALUE not in remark.message


def _simple(choices: Choices) -> None:
    """Texts and simple forms in turn, whose words hold nothing that means anything."""
    text = expected = ""
    environment = dict(_ENVIRONMENT)
    expected_environment = dict(_ENVIRONMENT)
    wrong = False
    while choices.left and len(text) < 2000:
        literal = _harmless(choices.take(choices.below(6)))
        name = ("S", "E", "NONE", "L", "_x9")[choices.below(5)]
        word = _harmless(choices.take(choices.below(6)))
        form = _FORMS[choices.below(len(_FORMS))]
        given = expected_environment.get(name)
        missing = not given if form.startswith(":") else given is None
        value = _meant(form, given or "", word, missing=missing)
        if missing and form in {":=", "="}:
            expected_environment[name] = word
        wrong |= missing and form in {":?", "?"}
        alone = f"{name}{form}" if form in {"", *_CHANGES} else f"{name}{form}{word}"
        written = {":1": f"{name}:1:3", "#": f"#{name}"}.get(form, alone)
        text += literal + "${" + written + "}"
        expected += literal + value
    try:
        done, _ = substitute(text, environment)
    except UnusableError:
        assert wrong or len(expected) > ADDED_MAX
        return
    assert not wrong
    assert done.text == expected
    assert environment == expected_environment


def _meant(form: str, value: str, word: str, *, missing: bool) -> str:
    """What a shell puts in the place of a simple form."""
    match form:
        case ":-" | "-" | ":=" | "=":
            return word if missing else value
        case ":+" | "+":
            return "" if missing else word
        case ":1":
            return value[1:4]
        case "#":
            return str(len(value))
    return _CHANGES.get(form, str)(value)


def _harmless(data: bytes) -> str:
    return "".join(chr(byte) if chr(byte) not in "${}\n" else "." for byte in data)


def _env_file(text: str) -> None:
    environment = dict(_ENVIRONMENT)
    values, problems = parse_env("a.env", text, environment)
    lines = text.removeprefix("\ufeff").split("\n")
    for problem in problems:
        assert str(problem).isprintable()
        assert _VALUE in text or _VALUE not in str(problem)
        if problem.line is not None:
            assert problem.column is not None
            assert 1 <= problem.line <= len(lines)
            assert 1 <= problem.column <= len(lines[problem.line - 1]) + 2, problem
    for name, value in values.items():
        assert name.isascii()
        assert name.replace("_", "").isalnum() or set(name) == {"_"}
        assert "\0" not in value
