"""Files → YAML documents: positions, bounds, and every way in which a file can be broken."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.documents import (
    BYTES_MAX,
    DEPTH_MAX,
    NODES_MAX,
    MappingNode,
    Node,
    Reading,
    ScalarNode,
    SequenceNode,
    parse,
    read,
)
from gateway.config.problems import Mark

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
    """Both suffixes; the problems bear the path as it was given."""
    for name in ("config.yaml", "config.yml"):
        path = tmp_path / name
        path.write_bytes(b"a: [")
        assert printed(read(path))[0].startswith(f"{path}:1:4: this bracket")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent.yaml", "there is no such file"),
        ("folder.yaml", "this is a directory, which is not supported yet; name a file in it"),
        ("config.json", "the name of a config file ends in .yaml or .yml; JSON is not supported yet"),
        ("config", "the name of a config file ends in .yaml or .yml"),
        ("config.YAML", "the name of a config file ends in .yaml or .yml"),
        ("\0.yaml", "the file cannot be read: embedded null byte"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, message: str) -> None:
    """What is wrong with the path, without a position."""
    (tmp_path / "folder.yaml").mkdir()
    for each in ("config.json", "config", "config.YAML"):
        (tmp_path / each).write_text(GOOD)
    (problem,) = read(tmp_path / name).problems
    assert (problem.message, problem.line) == (message, None)


def test_the_systems_own_words(tmp_path: Path) -> None:
    """Where the system will not open a file, the problem says why."""
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "config.yaml"
    (problem,) = read(path).problems
    assert problem.message in (
        "the file cannot be read: Not a directory",
        "there is no such file",  # which is what Windows calls it
    )


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
