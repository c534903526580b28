"""docs/compatibility.md keeps up with the models and the warnings."""

import re
from collections.abc import Iterator
from pathlib import Path

from gateway.config.decoding import Message, MessageOf, Refused, Sequence, fields_of
from gateway.config.resources import KINDS, OTHER_KINDS

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
ROWS = [row for row in TEXT.splitlines() if row.startswith("| ")]


def messages(cls: type[Message]) -> Iterator[type[Message]]:
    """`cls`, and all messages in it."""
    yield cls
    for field in fields_of(cls):
        decode = field.declared.decode
        if isinstance(decode, Sequence):
            decode = decode.item
        if isinstance(decode, MessageOf):
            yield from messages(decode.cls)


def named(name: str) -> list[str]:
    """The rows that name the field `name`, by itself or at the end of a path."""
    return [row for row in ROWS if re.search(rf"`(?:[\w.\[\]]+\.)?{name}(?:\[\])?`", row)]


def test_every_field_has_a_row() -> None:
    """Those of all kinds, but for what makes a resource a resource, and what one row covers."""
    covered = {"apiVersion", "kind", "metadata", "spec", "httpConfig", "listenConfig", "tlsConfig"}
    covered |= {"virtualHosts", "loadBalancers", "upstreams", "key", "hashSource", "handler"}
    covered |= {"idle", "interval", "count", "disable", "certFile", "keyFile"}
    tls = "tlsConfig"
    for kind in KINDS.values():
        for cls in messages(kind):
            if cls.__name__ in {"TLSConfig", "MIMEContentSpec"}:
                assert named(tls if cls.__name__ == "TLSConfig" else "mimeContents")
                continue
            for field in fields_of(cls):
                assert field.name in covered or named(field.name), f"{cls.__name__}.{field.name}"


def test_what_is_refused_is_called_so() -> None:
    """A row that names a refused field says that it is."""
    for kind in KINDS.values():
        for cls in messages(kind):
            for field in fields_of(cls):
                if isinstance(field.declared.decode, Refused):
                    assert any("refused" in row for row in named(field.name)), field.name


def test_every_warning_has_a_row() -> None:
    """By its rule; and no rule has a row that is no warning's."""
    sources = "".join(
        (ROOT / "gateway" / name).read_text(encoding="utf-8") for name in ("advice.py", "config/documents.py")
    )
    given = set(re.findall(r'_warning\([^\n]*"([a-z-]+)"\)\n', sources))
    given |= set(re.findall(r'severity="warning", rule="([a-z-]+)"', sources))
    told = {
        rule
        for row in TEXT.partition("| rule |")[2].splitlines()
        for rule in re.findall(r"`([a-z-]+)`", row.split("|")[1] if "|" in row else "")
    }
    assert given <= told | {"unset-variable"}, given - told


def test_the_other_kinds_are_named() -> None:
    """Those that only AILERON has."""
    assert all(f"`{kind}`" in TEXT for kind in OTHER_KINDS)
