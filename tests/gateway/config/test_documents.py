"""Files → YAML documents: positions, bounds, and every way in which a file can be broken."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.composing import DEPTH_MAX, NODES_MAX
from gateway.config.documents import (
    BYTES_MAX,
    DOCUMENTS_MAX,
    MappingNode,
    Node,
    Reading,
    ScalarNode,
    SequenceNode,
    parse,
    read_all,
)
from gateway.config.graph import link
from gateway.config.problems import Mark, Problem
from gateway.config.substitution import ADDED_MAX

from .samples import GOOD


def scalars(node: Node) -> list[tuple[str, int, int]]:
    """Every scalar in `node` in the order of the file: text, line, column."""
    if isinstance(node, ScalarNode):
        return [(node.text, node.mark.line, node.mark.column)]
    if isinstance(node, SequenceNode):
        return [found for item in node.items for found in scalars(item)]
    return [found for entry in node.entries for part in entry for found in scalars(part)]


def printed(reading: Reading) -> list[str]:
    """The problems of `reading`, as they are printed."""
    return [str(problem) for problem in reading.problems]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: b\n", [("a", 1, 1), ("b", 1, 4)]),
        ("a:\r\n  - b\r\n  - 'c'\r\n", [("a", 1, 1), ("b", 2, 5), ("c", 3, 5)]),
        ("a:\r  - b\r", [("a", 1, 1), ("b", 2, 5)]),
        ("\ufeffa: b\n", [("a", 1, 1), ("b", 1, 4)]),
        ("{a: [b, {c: d}]}\n", [("a", 1, 2), ("b", 1, 6), ("c", 1, 10), ("d", 1, 13)]),
        ("# é\u2028# x\nü: '漢' # \t\n", [("ü", 2, 1), ("漢", 2, 4)]),
        ("\n\na: |\n  text\nb: c\n", [("a", 3, 1), ("text\n", 3, 4), ("b", 5, 1), ("c", 5, 4)]),
        ("a: &x b\nc: *x\n", [("a", 1, 1), ("b", 1, 4), ("c", 2, 1), ("b", 1, 4)]),
    ],
)
def test_positions_are_what_an_editor_shows(text: str, expected: list[tuple[str, int, int]]) -> None:
    """Lines end with LF, CRLF or CR and nothing else; columns are characters; a BOM is no character."""
    (document,) = parse("config.yaml", text.encode()).documents
    assert scalars(document.root) == expected


def test_documents_begin_where_yaml_says() -> None:
    """A comment behind the dashes, trailing space and dashes in a block scalar are no trouble here."""
    text = "a: 1\n--- # comment\nb: |\n  ---\n  text\n---  \nc: 3\n...\n---\nd: 4\n---"
    documents = parse("config.yaml", text.encode()).documents
    assert [scalars(document.root) for document in documents] == [
        [("a", 1, 1), ("1", 1, 4)],
        [("b", 3, 1), ("---\ntext\n", 3, 4)],
        [("c", 7, 1), ("3", 7, 4)],
        [("d", 10, 1), ("4", 10, 4)],
        [("", 11, 4)],
    ]


def test_a_broken_document_leaves_its_neighbours_readable() -> None:
    """Reading goes on at the next line of dashes; positions stay right."""
    reading = parse("config.yaml", b"a: 1\n---\nb: [\n---\r\nc: 3\n---\nd: 'x\n---\ne: 5\n")
    assert [scalars(document.root)[0] for document in reading.documents] == [
        ("a", 1, 1),
        ("c", 5, 1),
        ("e", 9, 1),
    ]
    assert [(problem.line, problem.column) for problem in reading.problems] == [(3, 4), (7, 4)]


def test_hopeless_files_are_given_up() -> None:
    """A file of nothing but mistakes is not told mistake by mistake."""
    assert len(parse("config.yaml", b"---\n}\n" * 1000).problems) == 20


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"a: b\nc: \xff\n", "config.yaml:2:4: the byte 0xFF is not UTF-8; save the file as UTF-8"),
        (b"\xef\xbb\xbfa: \xe3\x81", "config.yaml:1:4: the byte 0xE3 is not UTF-8; save the file as UTF-8"),
        ("a: b".encode("utf-16"), "config.yaml: the file is written in UTF-16; save it as UTF-8"),
        (
            b"a: b\n# \x07\n",
            "config.yaml:2:3: the control character U+0007 is not allowed in YAML; remove it",
        ),
        (b"\0", "config.yaml:1:1: the control character U+0000 is not allowed in YAML; remove it"),
        (
            "a: \ufeffb".encode(),
            "config.yaml:1:4: the control character U+FEFF is not allowed in YAML; remove it",
        ),
        (b"#" * (BYTES_MAX + 1), "config.yaml: the file has more than 1 MiB, which no config needs"),
        (b"a: *b\nc: d\n", 'config.yaml:1:4: "*b" refers to &b, which does not stand above it'),
        (
            b"base: &base 1\na: *bass\n",
            'config.yaml:2:4: "*bass" refers to &bass, which does not stand above it; did you mean "base"?',
        ),
        (b"a: &x [*x]\n", 'config.yaml:1:8: "*x" stands inside the very thing that it refers to'),
        (b'a: "\\UFFFFFFFF"\n', "config.yaml:1:7: this number stands for no character"),
    ],
)
def test_what_is_no_yaml_is_told_with_its_place(data: bytes, problem: str) -> None:
    """Bytes, characters and aliases that cannot be."""
    assert printed(parse("config.yaml", data)) == [problem]


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{a: " * 50_000,
        "- " * 50_000,
        "? " * 50_000,
        "&a [" * 10_000,
        "a: &x0 [x]\n" + "".join(f"b{n}: &x{n + 1} [*x{n}]\n" for n in range(DEPTH_MAX)),
    ],
    ids=["flow", "mappings", "block", "keys", "anchors", "aliases"],
)
def test_deep_nesting_is_refused_quickly(text: str) -> None:
    """Neither the stack nor the clock runs out."""
    begun = time.process_time()
    (problem,) = parse("config.yaml", text.encode()).problems
    assert problem.message == f"lists and mappings are nested more than {DEPTH_MAX} deep"
    assert time.process_time() - begun < 2


def test_alias_bombs_are_refused_before_they_grow() -> None:
    """An alias counts as all that it stands for."""
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]\n" for n in range(20)
    )
    begun = time.process_time()
    (problem,) = parse("config.yaml", bomb.encode()).problems
    assert problem.message == f"with all its aliases the document has more than {NODES_MAX} values"
    assert (problem.line, time.process_time() - begun < 1) == (5, True)


def test_each_document_has_its_own_anchors_and_budget() -> None:
    """What one document holds says nothing of the next."""
    reading = parse("config.yaml", b"a: &x 1\n---\nb: *x\n")
    assert printed(reading) == ['config.yaml:3:4: "*x" refers to &x, which does not stand above it']
    half = "[" + "x, " * (NODES_MAX // 2) + "]\n"
    assert parse("config.yaml", f"{half}---\n{half}---\n{half}".encode()).problems == ()


def test_nodes_know_tags_and_quotes() -> None:
    """Whether a value is a string is decided later, with the field in hand."""
    (document,) = parse("config.yaml", b"a: !!str 1\nb: '1'\nc: 1\nd: !x {}\n").documents
    assert isinstance(document.root, MappingNode)
    nodes = [value for _, value in document.root.entries]
    assert [(node.tag, getattr(node, "plain", None)) for node in nodes] == [
        ("tag:yaml.org,2002:str", True),
        (None, False),
        (None, True),
        ("!x", None),
    ]
    assert nodes[3].mark == Mark(line=4, column=4)


def test_a_file_is_read(tmp_path: Path) -> None:
    """All three suffixes; the problems bear the path as it was given."""
    for name in ("config.yaml", "config.yml", "config.json"):
        path = tmp_path / name
        path.write_bytes(b"[{]")
        reading = read_all([path], {})
        assert printed(reading)[0].startswith(f"{path}:1:")
        assert (reading.files, reading.sources) == ((str(path),), {str(path): ["[{]"]})


@pytest.mark.parametrize(
    ("name", "severity", "message"),
    [
        ("absent.yaml", "error", "there is no such file"),
        ("absent", "error", "there is no such file"),
        (
            "folder.yaml",
            "warning",
            "this directory has no file whose name ends in .yaml, .yml or .json",
        ),
        (
            "config",
            "warning",
            "this file is passed over: the name of a config file ends in .yaml, .yml or .json",
        ),
        (
            "config.YAML",
            "warning",
            "this file is passed over: the name of a config file ends in .yaml, .yml or .json",
        ),
        ("\0.yaml", "error", "the file cannot be read: embedded null byte"),
    ],
)
def test_files_that_are_not_read(tmp_path: Path, name: str, severity: str, message: str) -> None:
    """What is wrong with the path, without a position."""
    (tmp_path / "folder.yaml").mkdir()
    for each in ("config", "config.YAML"):
        (tmp_path / each).write_text(GOOD)
    reading = read_all([tmp_path / name], {})
    (problem,) = reading.problems
    assert (problem.message, problem.severity, problem.line) == (message, severity, None)
    assert reading.documents == ()


def test_the_systems_own_words(tmp_path: Path) -> None:
    """Where the system will not open a file, the problem says why."""
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "config.yaml"
    (problem,) = read_all([path], {}).problems
    assert problem.message in (
        "the file cannot be read: Not a directory",
        "there is no such file",  # which is what Windows calls it
    )


def test_a_directory_stands_for_its_own_files(tmp_path: Path) -> None:
    """Sorted by name, by suffix; nothing of the directories in it."""
    for name in ("b.yaml", "a.json", "c.yml", "d.txt", "e.YAML", ".yaml", "sub/f.yaml", "g.yaml/h.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text('{"a": 1}')
    reading = read_all([tmp_path], {})
    assert reading.files == tuple(str(tmp_path / name) for name in ("a.json", "b.yaml", "c.yml"))
    assert [document.file for document in reading.documents] == list(reading.files)
    assert reading.problems == ()


def test_a_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often and however it is named, in the order in which it was named first."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.yaml", "b.yaml"):
        Path(name).write_text("a: 1")
    reading = read_all([Path(each) for each in ("b.yaml", "./b.yaml", "x/../b.yaml", ".", "a.yaml")], {})
    assert reading.files == ("b.yaml", "a.yaml")
    assert len(reading.documents) == 2


def test_assignments_reach_later_files(tmp_path: Path) -> None:
    """`:=` lasts for the rest of the process."""
    (tmp_path / "a.yaml").write_text("a: ${N:=1}")
    (tmp_path / "b.yaml").write_text("a: ${N}")
    reading = read_all([tmp_path], {})
    assert [scalars(document.root)[1][0] for document in reading.documents] == ["1", "1"]


def substituted(text: str, environment: dict[str, str], file: str = "config.yaml") -> Reading:
    """What is read of `text`."""
    return parse(file, text.encode(), environment)


@pytest.mark.parametrize("value", ["", "x", "y" * 5000, "é漢😀"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{a: '${V}', b: [c]}", [("a", 1, 2), (None, 1, 5), ("b", 1, 13), ("c", 1, 17)]),
        ("a: '${V}' # ${V}\t\r\n\r\nb: c # \t", [("a", 1, 1), (None, 1, 4), ("b", 3, 1), ("c", 3, 4)]),
        ("a: '${V}'\rb: c", [("a", 1, 1), (None, 1, 4), ("b", 2, 1), ("c", 2, 4)]),
        ("- '${V}'\n- '${U:-\n\n}'\n- b", [(None, 1, 3), ("\n", 2, 3), ("b", 5, 3)]),
        ("a: |\n  ${V:+x}\n  ${V}z\nb: c", [("a", 1, 1), (None, 1, 4), ("b", 4, 1), ("c", 4, 4)]),
    ],
)
def test_positions_behind_variables(
    text: str, expected: list[tuple[str | None, int, int]], value: str
) -> None:
    """They are those of the file, however long the values are; None: made of the value."""
    (document,) = substituted(text, {"V": value}).documents
    found = scalars(document.root)
    assert [(line, column) for _, line, column in found] == [(line, column) for _, line, column in expected]
    assert all(was in (None, word) for (word, _, _), (was, _, _) in zip(found, expected, strict=True))
    assert any(value in word for word, _, _ in found)


def test_documents_have_their_own_variables() -> None:
    """Directives, comments above, CRLF and ends of documents go with theirs; positions count on."""
    text = (
        "# ${V}\r\n%YAML 1.1\r\n---\r\na: ${V}\r\n...\r\n# ${V}\r\n--- # ${V}\r\nb: ${V}\r\n"
        "---\r\n{c: '${V}', d: e}\r\n"
    )
    documents = substituted(text, {"V": "long value"}).documents
    assert [scalars(each.root) for each in documents] == [
        [("a", 4, 1), ("long value", 4, 4)],
        [("b", 8, 1), ("long value", 8, 4)],
        [("c", 10, 2), ("long value", 10, 5), ("d", 10, 13), ("e", 10, 16)],
    ]


def test_a_variable_may_hold_yaml() -> None:
    """As in AILERON; what it holds stands where the variable does."""
    (document,) = substituted("a: ${V}\nb: c", {"V": "[x, {y: z}]"}).documents
    assert scalars(document.root) == [
        ("a", 1, 1),
        ("x", 1, 4),
        ("y", 1, 4),
        ("z", 1, 4),
        ("b", 2, 1),
        ("c", 2, 4),
    ]


NO_YAML = (
    "with its variables replaced, the document is no YAML any more; put a variable in quotes, and see to it "
    "that its value has none"
)


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (
            "a: ${ZZZZ}\nb: ${TONE}",
            [
                (
                    "1:4: warning: the variable ZZZZ is not set, so nothing stands here; "
                    "${ZZZZ:-value} gives it a default"
                ),
                '2:4: warning: the variable TONE is not set, so nothing stands here; did you mean "TONES"?',
            ],
        ),
        ("# ${GONE} ${GONE:-\na: 'b' # ${GONE}\n", []),
        ("a: 'b # ${GONE:+x}${GONE}'", ["1:19: warning: the variable GONE is not set"]),
        ("a: b#${GONE}", ["1:6: warning: the variable GONE is not set"]),
        (
            "a: b # ${GONE:?}",
            [
                (
                    "1:8: the variable GONE has to be given, but is not set "
                    "(variables count in comments as well)"
                )
            ],
        ),
        ("a: ${GONE:-x", ['1:4: warning: this "${" is never closed, so it stays as it is']),
        ("a: ${DOCUMENTS}", ["1:4: the value of a variable begins a new document here"]),
        ("a: ${BELL}", ["1:4: the value of this variable holds U+0007"]),
        ("a: 1\nb: ${BINARY}", ["2:4: the variable BINARY has a value that is not UTF-8"]),
        ('a: ["${QUOTE}", b]', [f"1:6: {NO_YAML}"]),
        ("a: ${ALIAS}", [f"1:4: {NO_YAML}"]),
        (
            "a: ${DEEP}",
            [f"1:4: with its variables replaced: lists and mappings are nested more than {DEPTH_MAX}"],
        ),
        ("kind: ${TONES}", ["1:7: kind: kind cannot come from a variable; write the value itself"]),
        (
            "{apiVersion: 'core/${TONES}', Kind: '${TONES}'}",
            [
                "1:14: apiVersion: apiVersion cannot come from a variable; write the value itself",
                "1:37: Kind: Kind cannot come from a variable; write the value itself",
            ],
        ),
        ("a: [${TONES}, b]", ['1:5: a variable between brackets has to stand in quotes, as in "${TONES}"']),
        ("a: [b, c${TONES}]", ['1:9: a variable between brackets has to stand in quotes, as in "${TONES}"']),
        ("{a: ${TONES}}", ['1:5: a variable between brackets has to stand in quotes, as in "${TONES}"']),
        ("a: ['${TONES}', 'b]", ["1:17: this quote is never closed"]),
        ("a: '${TONES}'\nb: [", ["2:4: this bracket is never closed"]),
    ],
)
def test_what_is_wrong_with_variables(text: str, problems: list[str]) -> None:
    """At the variable in the file, without its value."""
    environment = {
        "TONES": "hunter2",
        "DOCUMENTS": "hunter2\n---\nhunter2",
        "BELL": "hunter2\x07",
        "BINARY": "hunter2\udc80",
        "QUOTE": '"hunter2',
        "ALIAS": "*hunter2",
        "DEEP": "[" * 100,
    }
    found = printed(substituted(text, environment))
    assert [each.startswith(f"config.yaml:{start}") for each, start in zip(found, problems, strict=True)] == [
        True
    ] * len(problems), found
    assert "hunter2" not in "".join(found)


def test_an_unset_variable_is_as_good_as_nothing() -> None:
    """Also where a field has a pattern: it is not given, rather than not allowed."""
    runner = "{apiVersion: core/v1, kind: '${KIND}'}"
    reading = substituted(f"apiVersion: core/v1\nkind: Entrypoint\nspec: {{runners: [{runner}]}}\n", {})
    problems: list[Problem] = []
    link(reading.documents, problems, files=["config.yaml"])
    assert [str(problem) for problem in problems] == [
        "config.yaml:3:40: Entrypoint: spec.runners[0].kind: this field must be given"
    ]


def test_a_document_of_nothing_but_an_unset_variable() -> None:
    """It is as empty as one of nothing but comments."""
    reading = substituted("${GONE}\n---\na: b", {})
    assert [scalars(each.root)[0] for each in reading.documents] == [("a", 3, 1)]


PIECES = (
    "a·: ·\n·  ·- ·[·]·{·}·, ·'·\"·&x ·*x·!·!!str ·|·>·---\n·...\n·? ·<<·#·\\U·FFFFFFFF·%YAML 1.·\t·\r\n·é"
)
YAML_PIECES = st.lists(st.sampled_from(PIECES.split("·")), max_size=30).map("".join)


@given(YAML_PIECES.map(str.encode) | st.binary() | st.text().map(lambda text: text.encode("utf-8", "ignore")))
def test_nothing_is_raised(data: bytes) -> None:
    """Whatever the bytes, there are documents or problems, and every problem has a place in the file."""
    reading = parse("config.yaml", data)
    lines = data.decode("utf-8-sig", "replace").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for problem in reading.problems:
        assert problem.message
        if problem.line is not None and problem.column is not None:
            assert 1 <= problem.line <= len(lines)
            assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1


HOSTILE = {
    "defaults": "${a:-" * 20_000,
    "words with braces": "${a:-{" * 20_000,
    "nested": "${a:-" * 20_000 + "}" * 20_000,
    "stray braces": "${a:-{}" * 20_000,
    "names": "${a" * 60_000,
    "nothing": "${" * 80_000,
    "lines": "x\n# ${a:-\n" * 18_000,
    "digits": "${11111" * 28_000,
    "a name": "${" + "a" * 900_000 + "}",
    "an offset": "${a:" + "9" * 900_000 + "}",
    "unset": "${a}" * 40_000,
    "unset, each another": "".join(f"${{a{n}}}" for n in range(18_000)),
    "demanded": "${a:?}" * 30_000,
    "assigned, then unset": "".join(f"${{b{n}:=}}" for n in range(40_000)) + "${bb}" * 20_000,
    "growth": "${A:=xxxxxxxxxx}" + "${B:=${A}${A}${A}${A}${A}${A}${A}${A}${A}}" * 1000,
    "lists": "".join(f"${{V{n}:=xx}}" for n in range(2000)) + "${!V*}" * 2000,
    "patterns": "${A:=" + "xa" * 20_000 + "}" + "${A//(([a-z]|[0-9]|é){0,31}){0,31}/}" * 2000,
    "prefixes": "${A:=" + "x" * 60_000 + "}" + "${A#y}" * 50_000,
    "replacements": "${A:=" + "x" * 30_000 + "}" + "${A//x/" + "y" * 30_000 + "}",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("form", ["a: '{}'\n", "# {}\na: b\n"], ids=["quotes", "comment"])
def test_hostile_variables_end_quickly(text: str, form: str) -> None:
    """What they cost grows no faster than the file, and is bounded."""
    begun = time.process_time()
    reading = parse("config.yaml", form.replace("{}", text).encode(), {})
    assert len(reading.problems) <= 200
    assert time.process_time() - begun < 2


def test_documents_share_what_variables_may_add() -> None:
    """The allowance is the file's."""
    reading = substituted("a: ${A}\n---\n" * 30, {"A": "x" * 10_000})
    assert len(reading.documents) == ADDED_MAX // 10_000 + 1  # the last one is empty
    assert printed(reading) == [
        f"config.yaml:13:4: variables may add {ADDED_MAX} characters to a file; with this one it is more"
    ]


def test_so_many_documents_and_no_more() -> None:
    """Each costs something, even an empty one."""
    (problem,) = parse("config.yaml", b"---\n" * 100_000).problems
    assert str(problem) == (
        f"config.yaml:{DOCUMENTS_MAX + 1}:1: the file has more than {DOCUMENTS_MAX} documents, "
        "which no config needs"
    )


WITH_VARIABLES = """\
# ${A}
apiVersion: core/v1
kind: X # ${B:-c}
spec: {a: '${A_${B}}', b: "${C:=d}"}
---
a: |
  ${A//x/y}
"""


@pytest.mark.parametrize("environment", [{}, {"A": "'", "B": '"', 'A_"': "- a: [", "C": "\n---\n}"}])
def test_every_truncation_is_read(environment: dict[str, str]) -> None:
    """Of a file with variables: documents, or problems that have a place."""
    for length in range(len(WITH_VARIABLES)):
        for problem in substituted(WITH_VARIABLES[:length], dict(environment)).problems:
            assert problem.line is not None


VARIABLES = st.dictionaries(
    st.sampled_from(("A", "B")),
    YAML_PIECES | st.text(alphabet=st.characters(exclude_characters="\0")),
    max_size=2,
)
PIECES_WITH_VARIABLES = st.lists(
    st.sampled_from([*PIECES.split("·"), "${A}", "${B:-x}", "${", "}", "${A_${B}}"]), max_size=20
).map("".join)


@given(PIECES_WITH_VARIABLES, VARIABLES, st.sampled_from(["config.yaml", "config.json"]))
def test_nothing_is_raised_for_variables(text: str, environment: dict[str, str], file: str) -> None:
    """Whatever stands in the variables, every problem has a place in the file."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for problem in substituted(text, environment, file).problems:
        assert problem.message
        assert problem.line is not None
        assert problem.column is not None
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1
