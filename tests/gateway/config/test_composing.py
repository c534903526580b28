"""Text → trees of nodes: positions, what a document takes up, and merges and aliases that grow."""

import pytest

from gateway.config.composing import (
    DEPTH_MAX,
    NODES_MAX,
    BrokenError,
    Composer,
    Expanded,
    MappingNode,
    ScalarNode,
    SequenceNode,
    Text,
)
from gateway.config.problems import Mark
from gateway.config.substitution import substitute


def test_marks_and_lines() -> None:
    """Lines end with LF, CRLF or CR; a column is a character."""
    text = Text("a\r\nbé\rc\n\u2028d")
    assert text.lines() == ["a", "bé", "c", "\u2028d"]
    assert [text.mark(index) for index in (0, 3, 4, 6, 9)] == [
        Mark(line=1, column=1),
        Mark(line=2, column=1),
        Mark(line=2, column=2),
        Mark(line=3, column=1),
        Mark(line=4, column=2),
    ]
    assert str(text.problem("x.yaml", 4, "words")) == "x.yaml:2:2: words"


def test_an_expanded_document_stands_in_its_file() -> None:
    """Its marks and lines are the file's."""
    file = Text("a: 1\n---\nb: ${V}\nc: 2\n")
    substituted, _ = substitute(file.text[5:], {"V": "x\n\n  y"})
    expanded = Expanded(file, 5, substituted)
    at = expanded.text.index("c: 2")
    assert expanded.mark(at) == Mark(line=4, column=1)
    assert expanded.mark(expanded.text.index("y")) == Mark(line=3, column=4)
    assert (expanded.from_variable(at), expanded.from_variable(at - 3)) == (False, True)
    assert expanded.lines() == file.lines()


def test_documents_know_where_they_stand() -> None:
    """Directives and hyphens included, and where what comes behind them begins."""
    text = "a: b\n--- # x\nc: d\n...\n%YAML 1.1\n---\n'e'\n"
    composer = Composer(Text(text), 0)
    roots = list(composer.roots())
    assert [text[root.begins : root.content] for root in roots] == ["", "---", "%YAML 1.1\n---"]
    assert [text[begins:ends] for begins, ends in composer.scalars] == ["a", "b", "c", "d", "'e'"]


def test_an_alias_is_shared() -> None:
    """Never copied, and it keeps the mark of what it stands for."""
    (root,) = Composer(Text("a: &x [b]\nc: *x\n"), 0).roots()
    assert isinstance(root.node, MappingNode)
    (_, first), (_, second) = root.node.entries
    assert isinstance(first, SequenceNode)
    assert first is second
    assert isinstance(first.items[0], ScalarNode)
    assert first.items[0].mark == Mark(line=1, column=8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- &a [x, x]\n" + "- *a\n" * (NODES_MAX // 3), f"more than {NODES_MAX} values"),
        ("a: &a {b: c}\nd:\n  <<: [" + "*a, " * (NODES_MAX // 3) + "]\n", f"more than {NODES_MAX} values"),
        ("- " * (DEPTH_MAX + 1) + "x", f"more than {DEPTH_MAX} deep"),
        ("- &a " + "[" * DEPTH_MAX, f"more than {DEPTH_MAX} deep"),
    ],
)
def test_what_is_too_much(text: str, message: str) -> None:
    """It is told where the limit is passed, and that it is one."""
    with pytest.raises(BrokenError, match=message) as caught:
        list(Composer(Text(text), 0).roots())
    assert caught.value.bound


def test_as_deep_as_there_may_be() -> None:
    """The limit itself is allowed, and so is a list as long as no config's."""
    (root,) = Composer(Text("[" + "x," * (NODES_MAX // 10) + "]"), 0).roots()
    assert isinstance(root.node, SequenceNode)
    assert len(root.node.items) == NODES_MAX // 10
    assert len(list(Composer(Text("[" * DEPTH_MAX + "]" * DEPTH_MAX), 0).roots())) == 1
