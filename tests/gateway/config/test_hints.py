"""What was probably meant by values that cannot be what they are."""

import pytest

from .samples import loaded, spoiled, told

UPSTREAM = "ReverseProxyHandler default/default: spec.loadBalancers[0].upstreams"
STRAIGHT = 'is a typographic quote; write straight quotes (") instead'


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (
            spoiled("url: http", "url:http"),
            (
                f"26:11: {UPSTREAM}[0]: should be a mapping with url, but this is a string; a space is "
                'missing behind "url:"'
            ),
        ),
        (
            spoiled("- url: http", "- http"),
            f"26:11: {UPSTREAM}[0]: should be a mapping with url, but this is a string",
        ),
        (
            spoiled("- url", "-url"),
            (
                f'26:9: {UPSTREAM}: should be a list (each item begins with "- "), but this is a mapping; a '
                'space is missing behind the "-"'
            ),
        ),
        (
            spoiled("- apiVersion: core/v1\n      kind: HTTPServer", "- HTTPServer"),
            (
                "5:7: Entrypoint: spec.runners[0]: should be a mapping with apiVersion and kind, but this is "
                "a string"
            ),
        ),
        (
            spoiled("spec:\n  runners", "spec:\n  - runners"),
            'Entrypoint: spec: should be a mapping, but this is a list; leave out the "- "',
        ),
        (
            spoiled('":8080"', "\u201c:8080\u201d"),
            f"11:9: HTTPServer default/default: spec.addr: \u201c {STRAIGHT}",
        ),
        (spoiled("http://localhost:9090", "http://h\u2019"), f"26:16: {UPSTREAM}[0].url: \u2019 {STRAIGHT}"),
        (spoiled("kind: Entrypoint", "kind: \u2018Entrypoint\u2019"), f"2:7: kind: \u2018 {STRAIGHT}"),
        (
            spoiled('":8080"', ':8080"'),
            (
                '11:9: HTTPServer default/default: spec.addr: a " ends this value, but none begins it; write '
                "quotes at both ends or at none"
            ),
        ),
    ],
)
def test_slips_are_told_with_their_cure(wrong: str, problem: str) -> None:
    """A lost space or quote, and quotes of a word processor."""
    (line,) = told(wrong)
    assert line.endswith(problem)


@pytest.mark.parametrize("match", ['"\u201c/\u201d"', '/"', "/it\u2019s"])
def test_odd_quotes_that_mean_themselves_are_left_alone(match: str) -> None:
    """What is in straight quotes is meant so, and a path may end in a quote."""
    assert loaded(spoiled('"/"', match)).servers
