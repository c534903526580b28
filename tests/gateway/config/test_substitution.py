"""`${…}` in a text: every form of core-v1, section 2, what two passes make of it, and where it stood."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import substitution
from gateway.config.substitution import ADDED_MAX, REMARKS_MAX, Allowance, UnusableError, substitute

ENVIRONMENT = {
    "SET": "value",
    "EMPTY": "",
    "LETTERS": "abcde",
    "KANA": "あいうえお",
    "MIXED": "Ab cD",
    "PATH": "/usr/local/lib",
    "TREE": "aabcc",
    "LINES": "one\ntwo",
    "B": "x",
    "SET_x": "nested",
    "BRACE": "p}q",
    "OPEN": "p${q",
    "OUTER": "<${SET}>",
    "DEEP": "${OUTER}",
    "DIGIT": "1",
    "P_2": "two",
    "P_1": "one",
    "BINARY": "x\udc80",
}


def substituted(text: str, environment: dict[str, str] | None = None) -> str:
    """What comes of `text`."""
    return substitute(text, dict(ENVIRONMENT) if environment is None else environment)[0].text


def told(text: str, environment: dict[str, str] | None = None) -> list[tuple[int, str]]:
    """What is said of `text`, and where."""
    try:
        _, remarks = substitute(text, dict(ENVIRONMENT) if environment is None else environment)
    except UnusableError as error:
        remarks = error.remarks
    return [(remark.at, remark.message) for remark in remarks]


@pytest.mark.parametrize(
    ("form", "set_", "empty", "unset"),
    [
        ("${{{}}}", "value", "", ""),
        ("${{{}:-word}}", "value", "word", "word"),
        ("${{{}-word}}", "value", "", "word"),
        ("${{{}:=word}}", "value", "word", "word"),
        ("${{{}=word}}", "value", "", "word"),
        ("${{{}:?word}}", "value", None, None),
        ("${{{}?word}}", "value", "", None),
        ("${{{}:+word}}", "word", "", ""),
        ("${{{}+word}}", "word", "word", ""),
        ("${{{}:-}}", "value", "", ""),
        ("${{{}:+}}", "", "", ""),
        ("${{{}:1}}", "alue", "", ""),
        ("${{{}:1:2}}", "al", "", ""),
        ("${{#{}}}", "5", "0", "0"),
        ("${{{}#v}}", "alue", "", ""),
        ("${{{}%e}}", "valu", "", ""),
        ("${{{}/a/b}}", "vblue", "", ""),
        ("${{{}^}}", "Value", "", ""),
        ("${{{}^^}}", "VALUE", "", ""),
        ("${{{},}}", "value", "", ""),
        ("${{{},,}}", "value", "", ""),
        ("${{{}@U}}", "VALUE", "", ""),
    ],
)
def test_set_empty_or_unset(form: str, set_: str, empty: str | None, unset: str | None) -> None:
    """A colon makes an empty variable the same as one that is not set.  None: an error."""
    for name, expected in (("SET", set_), ("EMPTY", empty), ("UNSET", unset)):
        if expected is None:
            with pytest.raises(UnusableError, match="has to be given"):
                substituted(form.format(name))
        else:
            assert substituted(form.format(name)) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("LETTERS:0", "abcde"),
        ("LETTERS:3", "de"),
        ("LETTERS:5", ""),
        ("LETTERS:99", ""),
        ("KANA:3", "えお"),
        ("LETTERS:0:0", ""),
        ("LETTERS:1:99", "bcde"),
        ("LETTERS:1:-1", "bcde"),
        ("LETTERS:99:1", ""),
        ("KANA:1:2", "いう"),
        ("UNSET:-1", "1"),  # which is a default
        ("#KANA", "5"),
        ("#LINES", "7"),
        ("!P*", "PATH P_1 P_2"),
        ("!P_@", "P_1 P_2"),
        ("!X*", ""),
        # a prefix, the longest there is
        ("TREE#a", "abcc"),
        ("TREE##a", "abcc"),
        ("TREE#a*", "bcc"),
        ("TREE##.*", ""),
        ("TREE#c", "aabcc"),
        ("TREE#", "aabcc"),
        ("TREE#c|a", "abcc"),
        ("PATH##.*/", "lib"),
        ("LINES#two", "one\ntwo"),
        # a suffix, the longest there is
        ("TREE%c", "aabc"),
        ("TREE%c*", "aab"),
        ("TREE%%b.*", "aa"),
        ("TREE%a", "aabcc"),
        ("TREE%a|c", "aabc"),
        ("TREE%", "aabcc"),
        ("PATH%/[^/]*", "/usr/local"),
        ("LINES%one", "one\ntwo"),
        ("LINES//^./x", "xne\ntwo"),
        # the first match, all, at the start, at the end
        ("TREE/a+/x", "xbcc"),
        ("TREE/z/x", "aabcc"),
        ("TREE/b/", "aacc"),
        ("TREE//a/x", "xxbcc"),
        ("TREE//a|ab/x", "xxcc"),
        ("TREE//z*/-", "-a-a-b-c-c-"),
        ("TREE//a*/-", "-b-c-c-"),
        ("TREE//$/-", "aabcc-"),
        ("TREE//b/$1\\1&/x", "aa$1\\1&/xcc"),
        ("TREE/#a/x", "xabcc"),
        ("TREE/#c/x", "aabcc"),
        ("TREE/%c/x", "aabcx"),
        ("TREE/%c*/x", "aabx"),
        ("KANA//[うお]/x", "あいxえx"),
        # case
        ("LETTERS^[b-z]", "abcde"),
        ("LETTERS^[a-c]", "Abcde"),
        ("LETTERS^^[b-d]", "aBCDe"),
        ("MIXED,", "ab cD"),
        ("MIXED,,", "ab cd"),
        ("MIXED,,[A]", "ab cD"),
        ("MIXED@U", "AB CD"),
        ("MIXED@L", "ab cd"),
        ("LETTERS@u", "Abcde"),
        ("MIXED@l", "ab cD"),
    ],
)
def test_what_the_forms_make_of_a_value(expression: str, expected: str) -> None:
    """Characters are counted; patterns are POSIX, leftmost and longest; a replacement is plain."""
    assert substituted(f"<${{{expression}}}>") == f"<{expected}>"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("plain $SET $ {SET} $${SET}", "plain $SET $ {SET} $value"),
        ("${SET}${B}", "valuex"),
        # a variable ends at its own brace
        ("${U:-/api/{id}}/{x}", "/api/{id}/{x}"),
        ("${U:-http://x} {param} {}", "http://x {param} {}"),
        ("${U:-a}}", "a}"),
        ("${U:-{}}{}", "{}{}"),
        ("{${U:-{a}{b}}}", "{{a}{b}}"),
        ("${U:-{}\n}", "{\n}"),
        ("${U:-a\nb}\nc}", "a\nb\nc}"),
        ("${U:-{\n}\n}", "{\n}\n"),
        ("{a: ${B}}", "{a: x}"),
        # two passes
        ("${SET_${B}}", "nested"),
        ("${${U:-SET}}", "value"),
        ("${U:-${B}}", "x"),
        ("${U:-${V:-w}}", "w"),
        ("${U:-${V:-${B}}}", "${U:-x}"),
        ("${#SET_${B}}", "6"),
        ("${TREE//${U:-a}/${B}}", "xxbcc"),
        ("${OUTER}", "<value>"),
        ("${DEEP}", "<${SET}>"),
        # what is left alone
        ("${1} ${12} ${1:-x} ${1", "${1} ${12} ${1:-x} ${1"),
        ("/v2/${1}/${name}"[:9], "/v2/${1}/"),
        ("${} ${a b} ${foo.bar} ${ A} ${#} ${!SET} ${é}", "${} ${a b} ${foo.bar} ${ A} ${#} ${!SET} ${é}"),
        ("${U:-/v2/$1/{id}}", "/v2/$1/{id}"),
        ("${${DIGIT}}", "${1}"),
        ("${1A:-y}${_:-x}", "yx"),
        ("${SET:-x", "${SET:-x"),
        ("${U:-x\n[{a}]", "${U:-x\n[{a}]"),
    ],
)
def test_what_comes_of_a_text(text: str, expected: str) -> None:
    """Variables without others in them first, then what is around them, then no more."""
    assert substituted(text) == expected


@pytest.mark.parametrize(
    ("text", "expected", "name", "kept"),
    [
        ("${N:=1}${N}", "11", "N", "1"),
        ("${N}${N:=1}", "1", "N", "1"),
        ("${N=1}${N:=2}", "11", "N", "1"),
        ("${N:=${SET}}", "value", "N", "value"),
        ("${EMPTY:=w}", "w", "EMPTY", "w"),
        ("${EMPTY=w}", "", "EMPTY", ""),
        ("${SET:=w}", "value", "SET", "value"),
    ],
)
def test_an_assignment_lasts(text: str, expected: str, name: str, kept: str) -> None:
    """From left to right, for all that follows."""
    environment = dict(ENVIRONMENT)
    assert substituted(text, environment) == expected
    assert environment[name] == kept
    assert substituted(f"${{{name}}}", environment) == kept


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        (
            "${LETTER}",
            0,
            'the variable LETTER is not set, so nothing stands here; did you mean "LETTERS"?',
        ),
        (
            "a ${ZZZZ}",
            2,
            "the variable ZZZZ is not set, so nothing stands here; ${ZZZZ:-value} gives it a default",
        ),
        ("${SET_${SET}}", 0, "the variable SET_${SET} is not set, so nothing stands here"),
        ("${EMPTY:?}", 0, "the variable EMPTY has to be given, but is empty"),
        (
            "${NO:?give ${SET}, please}",
            0,
            "the variable NO has to be given, but is not set: give ${SET}, please",
        ),
        (
            "${SET:8080x}",
            0,
            'the variable SET should have whole numbers behind ":"; a default begins with ":-"',
        ),
        ("${SET:}", 0, 'the variable SET should have whole numbers behind ":"; a default begins with ":-"'),
        ("${SET:1:}", 0, 'the variable SET should have whole numbers behind ":"; a default begins with ":-"'),
        ("${SET:٣}", 0, 'the variable SET should have whole numbers behind ":"; a default begins with ":-"'),
        ("${SET@Q}", 0, 'the variable SET should have one of U, u, L and l behind "@"'),
        ("${SET@}", 0, 'the variable SET should have one of U, u, L and l behind "@"'),
        ("${SET/x}", 0, 'the variable SET should have "pattern/replacement" behind "/"'),
        ("${SET///x}", 0, 'the variable SET should have "pattern/replacement" behind "//"'),
        (
            "${SET#[${SET}}",
            0,
            "the variable SET has a pattern that is no POSIX regular expression: missing ]",
        ),
        (
            "${SET%a)(b}",
            0,
            "the variable SET has a pattern that is no POSIX regular expression: unexpected )",
        ),
        ("${BINARY}", 0, "the variable BINARY has a value that is not UTF-8"),
        ("${BINARY:-x}", 0, "the variable BINARY has a value that is not UTF-8"),
        ("${OUT}", 0, "the variable … is not set, so nothing stands here"),
        ("x${SET:-x\n[{a}]", 1, 'this "${" is never closed, so it stays as it is; a "}" is missing'),
        ("x${SET:-x", 1, 'this "${" is never closed, so it stays as it is; a "}" is missing'),
    ],
)
def test_what_is_said(text: str, at: int, message: str) -> None:
    """At the variable; names and words are shown as the text has them, values are not shown."""
    assert told(text, ENVIRONMENT | {"OUT": "${hunter2}"} if "OUT" in text else None) == [(at, message)]


def test_every_mistake_is_told() -> None:
    """Not only the first."""
    assert [at for at, _ in told("${A:?} ${SET} ${B@} ${C:?}")] == [0, 14, 20]


def test_so_many_remarks_and_no_more() -> None:
    """Warnings and errors alike."""
    assert len(told("${U}" * 1000)) == REMARKS_MAX
    assert len(told("${U:?}" * 1000)) == 2 * REMARKS_MAX


def test_long_names_and_words_are_cut() -> None:
    """A message is one line."""
    for text in ("${" + "A" * 10_000 + "}", "${A:?" + "\x1b\n" * 10_000 + "}", "${" + "A" * 10_000 + ":?}"):
        ((_, message),) = told(text)
        assert len(message) < 500
        assert message.isprintable()


@pytest.mark.parametrize(
    ("text", "new", "origins"),
    [
        ("ab", "ab", [0, 1, 2]),
        ("a${B}c", "axc", [0, 1, 5, 6]),
        ("a${EMPTY}c", "ac", [0, 9, 10]),
        ("${EMPTY}${B}c", "xc", [8, 12, 13]),
        ("a${SET_${B}}c${B}", "anestedcx", [0, 1, 1, 1, 1, 1, 1, 12, 13, 13]),
        ("${OUTER}c", "<value>c", [0] * 7 + [8, 9]),
        ("${a ${B}}c", "${a x}c", [0, 1, 2, 3, 4, 8, 9, 10]),
    ],
)
def test_every_character_knows_where_it_stood(text: str, new: str, origins: list[int]) -> None:
    """One of a value where its "$" stood."""
    done, _ = substitute(text, dict(ENVIRONMENT))
    assert done.text == new
    assert [done.origin(index) for index in range(len(new) + 1)] == origins


def test_what_came_from_a_variable_is_known() -> None:
    """And what did not."""
    done, _ = substitute("ab${SET}c", dict(ENVIRONMENT))
    assert [done.from_variable(index) for index in range(8)] == [False] * 2 + [True] * 5 + [False]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${A}" * 10, f"variables may add {ADDED_MAX} characters to a file; with this one it is more"),
        ("${A//x/yyyyyyy}", f"what is replaced here has more than {ADDED_MAX} characters"),
        (
            "${U//(z|y){1,100}(z|y){1,100}/}" * 9000,
            "the patterns in this file, up to this one, have too much to search",
        ),
    ],
)
def test_what_variables_cost_is_bounded(text: str, message: str) -> None:
    """It ends at the first that is too much."""
    assert [words for _, words in told(text, {"A": "x" * 10_000})] == [message]


def test_an_allowance_is_shared() -> None:
    """By all the texts that it is given to."""
    allowance = Allowance()
    environment = {"A": "x" * (ADDED_MAX // 2 + 1)}
    substitute("${A}", environment, allowance=allowance)
    assert not allowance.spent
    with pytest.raises(UnusableError):
        substitute("${A}", environment, allowance=allowance)
    assert allowance.spent


def test_without_re2_a_pattern_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """And all that has none works."""
    monkeypatch.setattr(substitution, "re2", None)
    words = (
        "the variable SET needs a regular expression, for which the package google-re2 is not installed here"
    )
    for form in ("#v", "%v", "/v/", "^v", ",,v"):
        assert told(f"${{SET{form}}}") == [(0, words)]
    assert substituted("${SET^} ${SET@U} ${SET:1} ${X:-y}") == "Value VALUE alue y"


PIECES = "${·}·{·A·B·:-·:=·:?·+·#·!·*·@U·//·/·^^·:1·1·[·.·x y·\n·'·é·$·\r\n·%·(·|"
TEXTS = st.lists(st.sampled_from(PIECES.split("·")), max_size=25).map("".join) | st.text(max_size=30)
ENVIRONMENTS = st.dictionaries(st.sampled_from(("A", "B", "AB", "A1")), TEXTS | st.just("\udc80"), max_size=4)


@given(TEXTS, ENVIRONMENTS)
def test_whatever_the_text(text: str, environment: dict[str, str]) -> None:
    """Nothing but UnusableError is raised; the map goes forward only, and stays in the old text."""
    try:
        done, remarks = substitute(text, environment)
    except UnusableError as error:
        remarks = error.remarks
    else:
        origins = [done.origin(index) for index in range(len(done.text) + 1)]
        assert origins == sorted(origins)
        assert (origins[0] >= 0, origins[-1] <= len(text)) == (True, True)
        for index, each in enumerate(done.text):
            assert done.from_variable(index) or text[done.origin(index)] == each
    for remark in remarks:
        assert text.startswith("$", remark.at)


@given(st.text().filter(lambda text: "${" not in text), ENVIRONMENTS)
def test_a_text_without_variables_stays(text: str, environment: dict[str, str]) -> None:
    """Every character of it, where it was."""
    done, remarks = substitute(text, environment)
    assert (done.text, remarks) == (text, [])
    assert [done.origin(index) for index in range(len(text) + 1)] == list(range(len(text) + 1))


@given(st.text("${}:-?=+#%/AB 1", max_size=40))
def test_values_are_never_shown(text: str) -> None:
    """Whatever is said."""
    assert "hunter" not in str(
        told(text, {"A": "hunter", "B": "hunter", "AB": "${hunter:?hunter}", "BA": "A"})
    )
