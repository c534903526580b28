"""Patterns: what each type of them matches, and what is said of those that mean nothing."""

import sys
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import MatchType
from gateway.routing.patterns import PatternError, RegularExpression, compile_pattern

anything = st.text(st.characters(exclude_categories=()))
"""Surrogates, which stand for bytes that were not UTF-8, among it."""

LONGEST = 12_288
"""What a server takes of a request's head by default, in bytes."""


def matches(match_type: MatchType, pattern: str, text: str) -> bool:
    """Whether the pattern matches the text."""
    return compile_pattern(match_type, pattern).matches(text)


def complaint(match_type: MatchType, pattern: str) -> str:
    """What is said of a pattern that means nothing."""
    with pytest.raises(PatternError) as caught:
        compile_pattern(match_type, pattern)
    assert caught.value.field == ""
    return str(caught.value)


@pytest.mark.parametrize(
    ("match_type", "pattern", "text", "expected"),
    [
        (MatchType.Exact, "/a", "/a", True),
        (MatchType.Exact, "/a", "/ab", False),
        (MatchType.Exact, "/a", "/A", False),
        (MatchType.Exact, "", "", True),
        (MatchType.Exact, "", "/", False),
        (MatchType.Prefix, "/a", "/ab", True),
        (MatchType.Prefix, "/a", "/b/a", False),
        (MatchType.Prefix, "", "/b", True),
        (MatchType.Suffix, ".js", "/a.js", True),
        (MatchType.Suffix, ".js", "/a.jsx", False),
        (MatchType.Suffix, "", "/b", True),
        (MatchType.Contains, "b", "/abc", True),
        (MatchType.Contains, "b", "/ac", False),
        (MatchType.Contains, "", "/b", True),
        (MatchType.Regex, "b+", "/abbc", True),
        (MatchType.Regex, "^b", "/abbc", False),
        (MatchType.Regex, "", "/b", True),
        (MatchType.Regex, r"^/v\d+/", "/v12/x", True),
        (MatchType.Regex, r"^/(?i)api$", "/API", True),
        (MatchType.Regex, "^/.$", "/ü", True),
        (MatchType.Regex, "^/.$", "/\udcff", True),
        (MatchType.Regex, "^/..$", "/\udcc3\udc28", True),
        (MatchType.Regex, "^/\ufffd$", "/\udcff", True),
        (MatchType.Regex, "^/a.b$", "/a\nb", False),
        (MatchType.Regex, "^b", "a\nb", False),
        (MatchType.RegexPOSIX, "^/[[:digit:]]+$", "/12", True),
        (MatchType.RegexPOSIX, "^/[[:digit:]]+$", "/x", False),
        (MatchType.RegexPOSIX, "^/.$", "/\udcff", True),
    ],
)
def test_what_each_type_matches(match_type: MatchType, pattern: str, text: str, *, expected: bool) -> None:
    """Regular expressions are found anywhere in the text, the others as they are called (section 5.2)."""
    assert matches(match_type, pattern, text) is expected


@pytest.mark.parametrize("match_type", [MatchType.Path, MatchType.FilePath])
@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("", "", True),
        ("", "/", False),
        ("/a", "/a", True),
        ("/a", "/ab", False),
        ("/*", "/", True),
        ("/*", "/ab", True),
        ("/*", "/a/b", False),
        ("/*/b", "/a/b", True),
        ("/*/b", "//b", True),
        ("/**", "/a/b", False),
        ("/**/b", "/a/b", True),
        ("*", "/", False),
        ("/a*c", "/abcbc", True),
        ("/a*c*", "/abc", True),
        ("/a*b*c", "/abxbc", True),
        ("/?", "/a", True),
        ("/?", "/ü", True),
        ("/?", "/\udcff", True),
        ("/?", "//", False),
        ("/?", "/", False),
        ("/[a-c]", "/b", True),
        ("/[a-c]", "/d", False),
        ("/[a-cx]", "/x", True),
        ("/[^a-c]", "/d", True),
        ("/[^a-c]", "/b", False),
        ("/[^a-c]", "//", True),
        ("/[^a]", "/\udcff", True),
        ("/[!a]", "/!", True),
        ("/[!a]", "/b", False),
        ("/[a^]", "/^", True),
        (r"/[\]]", "/]", True),
        (r"/[\-x]", "/-", True),
        (r"/[a-\]]", "/a", False),
        (r"/[^a-\]]", "/a", True),
        ("/[c-a]", "/b", False),
        ("/[^c-a]", "/b", True),
        ("/[*]", "/*", True),
        ("/[*]", "/a", False),
        ("/[&&||~~--]", "/-", None),
        (r"/\*", "/*", True),
        (r"/\*", "/a", False),
        (r"/\a", "/a", True),
        ("/]", "/]", True),
        ("/a.c", "/abc", False),
        ("/{a,b}", "/a", False),
        ("*[^a]*", "x/", False),
        ("/a\n*", "/a\n\n", True),
    ],
)
def test_globs(match_type: MatchType, pattern: str, text: str, *, expected: bool | None) -> None:
    """Go's path.Match on the whole text; None is a pattern that it calls bad."""
    if expected is None:
        complaint(match_type, pattern)
    else:
        assert matches(match_type, pattern, text) is expected


PIECES = ("a", "b", "/", "*", "?", "[ab]", "[^/a]", "[a-c]", r"\*")


@given(st.lists(st.sampled_from(PIECES), max_size=9), st.text("abc/*", max_size=9))
def test_globs_equal_a_naive_reading(pieces: list[str], text: str) -> None:
    """That tries every length for every star; where no class takes "/", Go's reading comes to the same."""

    @cache
    def naive(piece: int, position: int) -> bool:
        if piece == len(pieces):
            return position == len(text)
        rest = text[position : position + 1]
        ahead = rest != "" and naive(piece + 1, position + 1)
        match pieces[piece]:
            case "*":
                return naive(piece + 1, position) or (rest not in ("", "/") and naive(piece, position + 1))
            case "?":
                return rest != "/" and ahead
            case "[ab]":
                return rest in ("a", "b") and ahead
            case "[^/a]":
                return rest not in ("/", "a") and ahead
            case "[a-c]":
                return rest in ("a", "b", "c") and ahead
            case literal:
                return rest == literal[-1] and ahead

    assert matches(MatchType.Path, "".join(pieces), text) is naive(0, 0)


@given(st.sampled_from(MatchType), anything, anything, anything)
def test_nothing_raises(match_type: MatchType, pattern: str, text: str, template: str) -> None:
    """A pattern either is refused in words, or compares and rewrites whatever comes."""
    try:
        compiled = compile_pattern(match_type, pattern)
    except PatternError:
        return
    assert isinstance(compiled.matches(text), bool)
    if isinstance(compiled, RegularExpression):
        assert isinstance(compiled.rewriter(template)(text), str)


@given(anything, st.sampled_from(["(a|b)*", ".", "(?s).", "[^a]*", r"\b", "(?P<n>.)|x"]), anything)
def test_rewriting_never_raises(text: str, pattern: str, template: str) -> None:
    """And a template without a dollar comes out as often as there are matches."""
    rewrite = RegularExpression(pattern).rewriter
    rewrite(template)(text)
    once = rewrite("|")(text)
    assert once is not None
    assert rewrite("||")(text) == 2 * once
    assert set(once) <= {"|"}


@given(anything)
def test_rewriting_keeps_bytes(text: str) -> None:
    """What a group holds is the text's own, bytes that were not UTF-8 included."""
    assert RegularExpression("(?s).").rewriter("$0")(text) == text


@pytest.mark.parametrize(
    ("pattern", "template", "text", "expected"),
    [
        ("^/a/(.*)$", "/$1", "/a/b", "/b"),
        ("^/a/(?P<rest>.*)$", "/x/$rest", "/a/b", "/x/b"),
        ("^/a/(?P<rest>.*)$", "/${rest}x", "/a/b", "/bx"),
        ("^/a/(.*)$", "/$1x", "/a/b", "/"),
        ("^/a/(.*)$", "/${1}x", "/a/b", "/bx"),
        ("^/a/(.*)$", "/$1/x", "/a/b", "/b/x"),
        ("/a", "$$1", "/a", "$1"),
        ("/a", "$0$0", "/a", "/a/a"),
        ("/a", "$", "/a", "$"),
        ("/a", "$-", "/a", "$-"),
        ("/a", "${0", "/a", "${0"),
        ("/a", "${}", "/a", "${}"),
        ("/a", "$1", "/a", ""),
        ("/a", "$name", "/a", ""),
        ("/(a)", "$01", "/a", ""),
        ("/(a)", f"${'1' * 5000}", "/a", ""),
        ("/(a)|/(b)", "<$1$2>", "/b/a", "<b><a>"),
        ("[0-9]+", "$0,", "/v1/x22/", "1,22,"),
        ("b", "x", "/abc", "x"),
        ("a*", "<$0>", "baac", "<><aa><>"),
        ("a*", "<$0>", "aa", "<aa>"),
        ("", "-", "ab", "---"),
        ("ü(.)", "$1", "/üä\udcff", "ä"),
        ("^/(.*)$", "/x/$1", "/\udcff", "/x/\udcff"),
    ],
)
def test_rewriting(pattern: str, template: str, text: str, expected: str) -> None:
    """All matches are expanded, as Go's Expand does, and the rest of the text is dropped (section 5.2)."""
    assert RegularExpression(pattern).rewriter(template)(text) == expected


def test_a_rewriting_that_would_stall_is_given_up() -> None:
    """Each match of this one looks at the rest of the text; plain ones go on, however many there are."""
    stalling = RegularExpression("(?:[ab]*a[ab]{400}z|.)").rewriter("$0")
    assert stalling("ab" * 2_000) is None
    assert stalling("ab" * 20) == "ab" * 20
    assert RegularExpression("[^/]+").rewriter("/$0")("/a" * 6_000) == "/a" * 6_000
    assert RegularExpression(".").rewriter("$0")("a" * 4_000) == "a" * 4_000


@pytest.mark.parametrize(
    ("posix", "expected"),
    [(False, "<a>"), (True, "<ab>")],
)
def test_posix_takes_the_longest(*, posix: bool, expected: str) -> None:
    """Leftmost-longest, where the other takes the first alternative."""
    assert RegularExpression("a|ab", posix=posix).rewriter("<$0>")("ab") == expected


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("^(a+)+$", "a" * LONGEST + "!"),
        ("^(a|a)*$", "a" * LONGEST + "!"),
        ("(.*a){20}x", "a" * LONGEST),
        ("^(a?){200}a{200}x", "a" * LONGEST),
        ("(x+x+)+y", "x" * LONGEST),
    ],
)
def test_no_regular_expression_stalls(pattern: str, text: str) -> None:
    """What takes others longer than the universe is old ends, and does not match."""
    assert not matches(MatchType.Regex, pattern, text)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [("*a" * 50 + "*b", "a" * LONGEST), ("*" * 500 + "b", "a" * LONGEST), ("*?*?*[^b]*b", "a" * LONGEST)],
)
def test_no_glob_stalls(pattern: str, text: str) -> None:
    """No star is tried again when a later one fails."""
    assert not matches(MatchType.Path, pattern, text)


NEVER_CLOSED = r'"[" is never closed; add "]", or write "\[" for the character'
ONE_CHARACTER = r'no character stands between "[" and "]"; write "\[" or "\]" for one'
BOTH_SIDES = r'a range has a character on both sides of "-"; write "\-" for one'
NOTHING_FOLLOWS = r'nothing follows "\"; write "\\" for the character'


@pytest.mark.parametrize(
    ("pattern", "position", "words"),
    [
        ("/[", 2, NEVER_CLOSED),
        ("/[^", 2, NEVER_CLOSED),
        ("/x[ab", 3, NEVER_CLOSED),
        ("/[a-", 2, NEVER_CLOSED),
        ("/[]", 2, ONE_CHARACTER),
        ("/[^]", 2, ONE_CHARACTER),
        ("/[]a]", 2, ONE_CHARACTER),
        ("/[-a]", 3, BOTH_SIDES),
        ("/[a-]", 5, BOTH_SIDES),
        ("/[a-b-c]", 6, BOTH_SIDES),
        ("/[a--]", 5, BOTH_SIDES),
        ("/a\\", 3, NOTHING_FOLLOWS),
        ("/[\\", 3, NOTHING_FOLLOWS),
    ],
)
def test_what_is_wrong_with_a_glob(pattern: str, position: int, words: str) -> None:
    """Go's ErrBadPattern, with the place and the cure."""
    assert complaint(MatchType.Path, pattern) == f"the glob is wrong at character {position}: {words}"


@pytest.mark.parametrize(
    ("pattern", "position", "words"),
    [
        ("/(a", 2, '"(" is never closed'),
        (r"/\((a)(b", 7, '"(" is never closed'),
        ("/[(]((a)", 5, '"(" is never closed'),
        (r"/\Q(\E(a", 7, '"(" is never closed'),
        ("ü(", 2, '"(" is never closed'),
        ("/a)", 3, '")" closes nothing'),
        ("/[a", 2, '"[" is never closed'),
        ("/[a]x[b", 6, '"[" is never closed'),
        ("/a\\", 3, r'nothing follows "\"'),
        ("*/", 1, 'nothing stands before "*" to be repeated'),
        ("/*a|*b", 5, 'nothing stands before "*" to be repeated'),
        ("/a**", 3, '"**" repeats what is repeated already'),
        ("/a{1001}", 3, '"{1001}" is not a number of repetitions'),
        ("/a{2,1}", 3, '"{2,1}" is not a number of repetitions'),
        ("/[b-a]", 3, '"b-a" is no range or class'),
        ("/[[:a:]]", 3, '"[:a:]" is no range or class'),
        (r"/\\y\y", 5, r'"\y" means nothing in RE2'),
        (r"/(?P<n", 2, '"(?P<n" is no group with a name'),
        ("/(?>a)", 2, '"(?>" means nothing in RE2'),
        ("/a(?=b)", 3, '"(?=" is lookaround, which neither RE2 nor Go has'),
        ("/(?!b)", 2, '"(?!" is lookaround, which neither RE2 nor Go has'),
        ("/(?<=b)", 2, '"(?<=" is lookaround, which neither RE2 nor Go has'),
        ("/(?<!b)", 2, '"(?<!" is lookaround, which neither RE2 nor Go has'),
        (r"/\\1(a)\1", 8, r'"\1" refers to a group, which neither RE2 nor Go can'),
        (r"/(?P<n>a)\k<n>", 10, r'"\k" refers to a group, which neither RE2 nor Go can'),
        ("/(?P<n>a)(?P=n)", 10, '"(?P=" refers to a group, which neither RE2 nor Go can'),
        (r"/\QC\C\E\C", 9, r'"\C" is a single byte'),
        ("/\ud800", 2, '"\\ud800" is half a character'),
    ],
)
def test_what_is_wrong_with_a_regular_expression(pattern: str, position: int, words: str) -> None:
    """The place, the cause, and what other languages have and RE2 has not."""
    said = complaint(MatchType.Regex, pattern)
    assert said.startswith(f"the regular expression is wrong at character {position}: {words}")


@pytest.mark.parametrize(
    ("pattern", "position", "words"),
    [
        ("/(?:a)", 2, '"(?" means nothing to RegexPOSIX; matchType Regex knows it'),
        ("/(?i)a", 2, '"(?" means nothing to RegexPOSIX; matchType Regex knows it'),
        (r"/\d", 2, r'"\d" means nothing to RegexPOSIX; matchType Regex knows it'),
        ("/(?=a)", 2, '"(?=" is lookaround, which neither RE2 nor Go has'),
        ("/(*a)", 3, 'nothing stands before "*" to be repeated'),
        ("?", 1, 'nothing stands before "?" to be repeated'),
    ],
)
def test_what_is_wrong_with_a_posix_one(pattern: str, position: int, words: str) -> None:
    """It has less than the other."""
    said = complaint(MatchType.RegexPOSIX, pattern)
    assert said.startswith(f"the regular expression is wrong at character {position}: {words}")


@pytest.mark.parametrize(
    "pattern", [".{0,1000}" * 4, ".{0,1000}" * 1000, "(?:[ab]?){1000}" * 9, r"(?:\x{4e16}?){1000}" * 9]
)
def test_a_regular_expression_is_not_too_large(pattern: str) -> None:
    """Neither for RE2's patience, nor for the server's."""
    said = "the regular expression is too large when compiled; repeat less in it"
    assert complaint(MatchType.Regex, pattern) == said


@pytest.mark.parametrize(
    "pattern", [r"^/[\p{L}\p{N}_-]{1,64}$", r"^/[^/]{1,1000}$", r"^/\w{1,255}/\x{4e16}", "^/[y-世]{1,64}"]
)
def test_a_regular_expression_may_be_large(pattern: str) -> None:
    """Classes of Unicode are no burden."""
    compile_pattern(MatchType.Regex, pattern)


def test_no_bracket_counts_in_a_class() -> None:
    """Nor escaped, nor quoted: these mean something."""
    for pattern in (r"\\C", "[\\\\C]", r"\Q\C\E", r"[)(]", r"\(", r"\Q("):
        compile_pattern(MatchType.Regex, pattern)


def test_without_re2_only_regular_expressions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no wheel fits the platform, all else works."""
    monkeypatch.setitem(sys.modules, "re2", None)
    said = complaint(MatchType.Regex, "a")
    assert "google-re2" in said
    assert "another matchType" in said
    assert matches(MatchType.Path, "/*", "/a")


def test_re2_says_nothing_itself(capfd: pytest.CaptureFixture[str]) -> None:
    """Its own log is off."""
    complaint(MatchType.Regex, "(")
    assert capfd.readouterr() == ("", "")
