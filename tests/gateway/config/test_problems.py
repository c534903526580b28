"""Problems: how they are printed, sorted and worded."""

import pytest

from gateway.config.problems import ConfigError, Excerpt, Problem, did_you_mean, excerpt, quoted


@pytest.mark.parametrize(
    ("problem", "printed"),
    [
        (
            Problem(
                file="config.yaml",
                line=17,
                column=9,
                resource="ReverseProxyHandler default/default",
                field="spec.loadBalancers[0].upsteams",
                message='unknown field; did you mean "upstreams"?',
            ),
            (
                "config.yaml:17:9: ReverseProxyHandler default/default: spec.loadBalancers[0].upsteams: "
                'unknown field; did you mean "upstreams"?'
            ),
        ),
        (Problem(file="a.yaml", line=1, column=2, message="no"), "a.yaml:1:2: no"),
        (Problem(file="a.yaml", message="no"), "a.yaml: no"),
        (Problem(file="\x1b[31m.yaml", message="no"), "\\x1b[31m.yaml: no"),
    ],
)
def test_a_problem_names_what_is_known(problem: Problem, printed: str) -> None:
    """File, line, column, resource and field, as far as there are any."""
    assert str(problem) == printed


def test_an_error_lists_its_problems_by_position_each_once() -> None:
    """One line a problem; what an alias repeats is one mistake."""
    here = Problem(file="a", line=2, column=10, field="x", message="bad")
    again = Problem(file="a", line=2, column=10, field="y", message="bad")
    before = Problem(file="a", line=2, column=9, message="bad")
    whole = Problem(file="a", message="bad")
    error = ConfigError([here, again, before, whole])
    assert error.problems == (whole, before, here)
    assert str(error) == "a: bad\na:2:9: bad\na:2:10: x: bad"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", '"plain"'),
        ("über 漢字", '"über 漢字"'),
        ("\x1b]0;x\x07", '"\\x1b]0;x\\x07"'),
        ("\u202e\u2066", '"\\u202e\\u2066"'),
        ("\x9b\n\ud800", '"\\x9b\\n\\ud800"'),
        ("x" * 61, '"' + "x" * 59 + '…"'),
    ],
)
def test_quotations_are_fit_for_a_terminal(text: str, shown: str) -> None:
    """Control, bidi and lone surrogate characters are escaped, long text is cut."""
    assert quoted(text) == shown


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("upsteams", '; did you mean "upstreams"?'),
        ("UPSTREAMS", '; did you mean "upstreams"?'),
        ("zzz", ""),
        ("upstreams" * 1000, ""),
    ],
)
def test_close_words_are_suggested(word: str, hint: str) -> None:
    """Case does not matter; what is far off or absurdly long gets no suggestion."""
    assert did_you_mean(word, ("upstreams", "pathMatcher")) == hint


def at(line: str, column: int | None, number: int | None = 1) -> Excerpt | None:
    """What is shown of a file with this one line."""
    problem = Problem(file="a", line=number, column=column, message="no")
    return excerpt(problem, {"a": [line]})


@pytest.mark.parametrize(
    ("line", "column", "shown", "caret"),
    [
        ("a: b", 4, "a: b", "   ^"),
        ("a: b", 1, "a: b", "^"),
        ("a: b", 5, "a: b", "    ^"),
        ("", 1, "", "^"),
        # A tab is one column, and four blanks on the screen.
        ("\ta: b", 2, "    a: b", "    ^"),
        ("a:\tb\t", 4, "a:    b    ", "      ^"),
        # Wide characters take two cells, marks none.
        ("漢字: b", 5, "漢字: b", "      ^"),
        ("e\u0301: b", 5, "e\u0301: b", "   ^"),
        ("\u0928\u0941: b", 5, "\u0928\u0941: b", "   ^"),
        # What could move the cursor is written out, before and behind the place.
        ("\x1b[2J: \x07\r", 6, "\\x1b[2J: \\x07\\r", "        ^"),
        ("\u202ea", 2, "\\u202ea", "      ^"),
    ],
)
def test_a_caret_stands_below_the_place(line: str, column: int, shown: str, caret: str) -> None:
    """Whatever stands before it."""
    assert at(line, column) == Excerpt(1, shown, caret)


def test_a_long_line_is_cut_around_the_place() -> None:
    """A hundred characters of it, with dots for what is left out."""
    line = "".join(chr(0x4E00 + index) if index % 7 == 0 else "x" for index in range(500))
    for column in range(1, 502):
        shown = at(line, column)
        assert shown is not None
        assert len(shown.line.strip("…")) == 100
        before = ""
        for character in shown.line:
            if sum(2 if each >= "\u4e00" else 1 for each in before) == len(shown.caret) - 1:
                break
            before += character
        else:
            character = ""
        assert character == (line[column - 1] if column <= 500 else "")
    assert at("x" * 100, 50) == Excerpt(1, "x" * 100, " " * 49 + "^")
    assert at("x" * 101, 1) == Excerpt(1, "x" * 100 + "…", "^")
    assert at("x" * 101, 101) == Excerpt(1, "…" + "x" * 100, " " * 100 + "^")


def test_what_has_no_place_shows_nothing() -> None:
    """A file as a whole, and a place that is not in what was read."""
    assert at("a", None, None) is None
    assert at("a", 1, 2) is None
    assert excerpt(Problem(file="b", line=1, column=1, message="no"), {"a": ["a"]}) is None


def test_an_excerpt_tells_no_secret() -> None:
    """The line is shown without passwords and tokens in its urls, the caret where it belongs."""
    line = '- url: "htp://me:hunter2@host/?token=hunter2&a=1" # ftp://a:hunter2@b'
    shown = excerpt(Problem(file="a", line=1, column=line.index("a=1") + 1, message="no"), {"a": [line]})
    assert shown is not None
    assert "hunter2" not in shown.line
    assert shown.line.index("a=1") == shown.caret.index("^")
