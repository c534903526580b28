"""Env files → environment variables: the syntax of core-v1, section 1, and what is said of mistakes."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.envfile import BYTES_MAX, load_env, parse_env

ENVIRONMENT = {"SET": "value", "EMPTY": ""}


def values(text: str) -> dict[str, str]:
    """What `text`, which has no mistakes, gives."""
    found, problems = parse_env("demo.env", text, dict(ENVIRONMENT))
    assert problems == []
    return found


def printed(text: str) -> list[str]:
    """What is said of `text`."""
    return [str(problem) for problem in parse_env("demo.env", text, dict(ENVIRONMENT))[1]]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=b", "b"),
        ("A=", ""),
        ("A=''", ""),
        ("  A=b \t", "b"),
        ("A= b", " b"),
        ("A=b c", "b c"),
        ("A=b=c", "b=c"),
        ("A=b\r\n", "b"),
        ("\ufeffA=b", "b"),
        ("export A=b", "b"),
        ("export \t A=b", "b"),
        # quotes
        ("A='b c'", "b c"),
        ('A="b c"', "b c"),
        ('A="it\'s"', "it's"),
        ("A='say \"hi\"'", 'say "hi"'),
        ("A=b'c'\"d\"e", "bcde"),
        ("A='b \nc'", "bc"),
        ('A="b\n  c\t\n\nd" ', "bcd"),
        ("A='b\n# c'", "b# c"),
        ("A='b\nB=c'", "bB=c"),
        # escapes
        ('A="b\\nc"', "b\nc"),
        ("A='b\\nc'", "b\nc"),
        ("A=b\\nc", "bnc"),
        ('A="b\\"c"', 'b"c'),
        ("A='b\\'c'", "b'c"),
        ("A=b\\\\c", "b\\c"),
        ("A=\\'b", "'b"),
        ("A=b \\# c", "b # c"),
        ("A=b\\", "b\\"),
        # comments
        ("# B=c\nA=b", "b"),
        ("  # B=c\n\nA=b", "b"),
        ("A=b # c", "b"),
        ("A=b\t#c", "b"),
        ("A=# c", ""),
        ("A=b#c", "b#c"),
        ("A='b # c'", "b # c"),
        ("A='b' # c 'd", "b"),
        # variables
        ("A=${SET}", "value"),
        ("A='<${SET}>'", "<value>"),
        ("A=${UNSET:-x y}", "x y"),
        ("A=${SET:1:2}${SET^}", "alValue"),
        ("A=$SET", "$SET"),
        ("# ${UNSET:?}\nA=b", "b"),
        # the last one wins
        ("A=c\nA=b", "b"),
    ],
)
def test_the_syntax(text: str, value: str) -> None:
    """One variable a line, or over several where quotes are open."""
    assert values(text) == {"A": value}


@pytest.mark.parametrize("name", ["A", "a_1", "1", "_", "export", "exported"])
def test_names(name: str) -> None:
    """Letters, digits and underscores, in any order."""
    assert values(f"{name}=b\nexport {name}=c") == {name: "c"}


def test_what_a_file_sets_is_not_seen_in_it() -> None:
    """But what `:=` sets is."""
    text = "SET=new\nA=${SET}\nB=${N:=1}${N}"
    assert values(text) == {"SET": "new", "A": "value", "B": "11"}


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("A", ['1:1: a "=" is missing; write NAME=VALUE, or "#" before a comment']),
        ("A=b\n  oops\nB=c", ['2:3: a "=" is missing; write NAME=VALUE, or "#" before a comment']),
        (
            "A =b",
            [
                (
                    "1:1: this is not the name of a variable, which holds letters, digits and underscores; "
                    "leave no blank around the ="
                )
            ],
        ),
        (
            "K=-----BEGIN\nMIIE/abc+def==",
            ["2:1: this is not the name of a variable, which holds letters, digits and underscores"],
        ),
        ("=b", ["1:1: this is not the name of a variable, which holds letters, digits and underscores"]),
        (
            " export a-b=c",
            ["1:9: this is not the name of a variable, which holds letters, digits and underscores"],
        ),
        (
            "A ${SET}=c",
            ["1:1: this is not the name of a variable, which holds letters, digits and underscores"],
        ),
        ("A='b\nB=c", ["1:3: this quote is never closed"]),
        ("A=b\nB='c' \"d\ne", ["2:7: this quote is never closed"]),
        ("A='b\n c' 'd", ["2:5: this quote is never closed"]),
        ("  A=${SET} 'b", ["1:12: this quote is never closed"]),
        ("A=b\0", ["1:4: a NUL character cannot stand in a variable; remove it"]),
        ("A=b\n A=${NO:?give it}", ["2:4: the variable NO has to be given, but is not set: give it"]),
        (
            " A=x${VALUE}",
            [
                (
                    "1:5: warning: the variable VALUE is not set, so nothing stands here; "
                    "${VALUE:-value} gives it a default"
                )
            ],
        ),
        (
            "A=${SET:-x",
            ['1:3: warning: this "${" is never closed, so it stays as it is; a "}" is missing'],
        ),
    ],
)
def test_what_is_said(text: str, problems: list[str]) -> None:
    """Every mistake, at its place in the file."""
    assert printed(text) == [f"demo.env:{problem}" for problem in problems]


def test_files_come_in_order(tmp_path: Path) -> None:
    """Later ones win, all of them win over the environment, and see what earlier ones set."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("A=1\nB=1\nSET=1\n")
    second.write_text("B=2${A}\n")
    environment = dict(ENVIRONMENT)
    assert load_env([first, second], environment) == ()
    assert environment == {"A": "1", "B": "21", "SET": "1", "EMPTY": ""}


def test_a_file_with_errors_changes_nothing(tmp_path: Path) -> None:
    """Neither by what is right in it; the others do what they do."""
    wrong, right = tmp_path / "wrong", tmp_path / "right"
    wrong.write_text("A=1\nB=${C:=2}\noops\n")
    right.write_text("D=${UNSET}\n")
    environment = dict(ENVIRONMENT)
    problems = load_env([wrong, right], environment)
    assert [(each.file, each.line, each.severity) for each in problems] == [
        (str(wrong), 3, "error"),
        (str(right), 1, "warning"),
    ]
    assert environment == ENVIRONMENT | {"D": ""}


def test_assignments_last(tmp_path: Path) -> None:
    """`:=` sets for the rest of the process."""
    path = tmp_path / "demo.env"
    path.write_text("A=${B:=1}\n")
    environment: dict[str, str] = {}
    assert load_env([path], environment) == ()
    assert environment == {"A": "1", "B": "1"}


def test_the_environment_of_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is no dict."""
    monkeypatch.setenv("AILERON_DEMO_TEST", "before")
    path = tmp_path / "demo.env"
    path.write_text("AILERON_DEMO_TEST=${AILERON_DEMO_TEST}, after")
    assert load_env([path], os.environ) == ()
    assert os.environ["AILERON_DEMO_TEST"] == "before, after"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"A=b\nB=\xc3\xa9\xff\n", ":2:4: the byte 0xFF is not UTF-8; save the file as UTF-8"),
        (b"\xef\xbb\xbfA=\xff\n", ":1:3: the byte 0xFF is not UTF-8; save the file as UTF-8"),
        ("A=b".encode("utf-16"), ":1:1: the byte 0xFF is not UTF-8; save the file as UTF-8"),
        (b"#" * (BYTES_MAX + 1), ": the file has more than 1 MiB, which no env file needs"),
    ],
)
def test_files_of_something_else(tmp_path: Path, data: bytes, problem: str) -> None:
    """They are told, and set nothing."""
    path = tmp_path / "demo.env"
    path.write_bytes(data)
    environment = dict(ENVIRONMENT)
    (found,) = load_env([path], environment)
    assert (str(found), environment) == (f"{path}{problem}", ENVIRONMENT)


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    """Each is told, without a position, as what `aileron` cannot start with."""
    problems = load_env([tmp_path / "absent", tmp_path, Path("\0")], {})
    assert [(each.message, each.line, each.rule) for each in problems] == [
        ("there is no such file", None, "unreadable"),
        (problems[1].message, None, "unreadable"),
        ("the file cannot be read: embedded null byte", None, "unreadable"),
    ]
    assert problems[1].message.startswith("the file cannot be read: ")


def test_what_variables_add_is_bounded() -> None:
    """For the file as a whole, and it is told once."""
    _, problems = parse_env("demo.env", "A=${A}\n" * 1000, {"A": "x" * 1000})
    assert [(each.line, each.severity) for each in problems] == [(66, "error")]


PIECES = "A·B·=·'·\"·\\·n·#· ·\n·\r\n·\t·export ·${A}·${B:-·${C:=·}·${A:?·\0·é·\u2028"
TEXTS = st.lists(st.sampled_from(PIECES.split("·")), max_size=30).map("".join) | st.text()


@given(TEXTS, st.dictionaries(st.sampled_from(("A", "B")), TEXTS, max_size=2))
def test_whatever_the_text(text: str, environment: dict[str, str]) -> None:
    """Nothing is raised, names are names, and each problem stands in the file."""
    lines = text.removeprefix("\ufeff").split("\n")
    found, problems = parse_env("demo.env", text, environment)
    assert all(name.isascii() and name.replace("_", "a").isalnum() for name in found)
    for problem in problems:
        assert problem.line is not None
        assert problem.column is not None
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1
