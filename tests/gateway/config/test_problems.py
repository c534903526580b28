"""Problems: how they are printed, sorted and worded."""

import pytest

from gateway.config.problems import ConfigError, Problem, did_you_mean, quoted


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
