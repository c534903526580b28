"""Records: what goes into a line comes out of it, and docs/events.md tells the truth about each field."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway import cli, events
from gateway.events import (
    KINDS,
    Close,
    Error,
    Frame,
    Handshake,
    HandshakeLeg,
    Headers,
    Listening,
    Omitted,
    Open,
    Record,
    Reload,
    Request,
    SideTotals,
    Stopping,
    Violation,
    decode,
    encode,
    rfc3339,
)
from gateway.websocket.wire import OPCODE_NAMES
from launcher import events as launchers

OWN: Final[tuple[type[Record], ...]] = (launchers.ChildState, launchers.Ready, launchers.Summary)
"""The launcher's kinds, in the order of the document."""

# Round trips.

texts = st.text(max_size=20)
counts = st.integers(0, 1 << 63)
durations = st.floats(0, 1e12, allow_nan=False)
headers = st.lists(st.tuples(texts, texts), max_size=3).map(tuple)
common = {"time": texts, "t_ns": counts}
sides = st.sampled_from(["client", "upstream"])
legs = st.builds(HandshakeLeg, received=headers, sent=headers)
totals = st.builds(SideTotals, code=st.none() | counts, reason=st.none() | texts, frames=counts, bytes=counts)
records = st.one_of(
    st.builds(Listening, addr=texts, url=texts, **common),
    st.builds(
        Request,
        method=texts,
        path=texts,
        status=st.none() | counts,
        upstream=st.none() | texts,
        ms=durations,
        bytes=counts,
        client=texts,
        **common,
    ),
    st.builds(
        Open,
        conn=counts,
        client=texts,
        path=texts,
        upstream=texts,
        subprotocol=st.none() | texts,
        extensions=st.none() | texts,
        handshake=st.builds(Handshake, request=legs, response=legs),
        **common,
    ),
    st.builds(
        Frame,
        conn=counts,
        sender=sides,
        fin=st.booleans(),
        rsv=st.integers(0, 7),
        opcode=texts,
        masked=st.booleans(),
        len=counts,
        header_len=counts,
        gap_ms=st.none() | durations,
        text=st.none() | texts,
        hex=st.none() | texts,
        truncated=st.booleans(),
        inflated=st.booleans(),
        code=st.none() | counts,
        reason=st.none() | texts,
        **common,
    ),
    st.builds(Omitted, conn=counts, sender=sides, frames=counts, bytes=counts, **common),
    st.builds(Violation, conn=counts, sender=sides, what=texts, rfc=texts, **common),
    st.builds(
        Close,
        conn=counts,
        by=st.sampled_from(["client", "upstream", "gateway"]),
        how=st.sampled_from(["close", "fin", "reset", "timeout"]),
        client=totals,
        upstream=totals,
        ms=durations,
        **common,
    ),
    st.builds(
        Error,
        message=texts,
        conn=st.none() | counts,
        path=st.none() | texts,
        status=st.none() | counts,
        **common,
    ),
    st.builds(
        Reload,
        ok=st.booleans(),
        changes=st.lists(texts, max_size=3).map(tuple),
        problems=st.lists(texts, max_size=3).map(tuple),
        **common,
    ),
    st.builds(Stopping, signal=texts, open=counts, **common),
)


@pytest.mark.parametrize(
    "point", [*range(0x20), *range(0x7F, 0xA0), 0x61C, 0x200E, 0x2028, 0x202E, 0x2066, 0x2069]
)
def test_a_line_does_nothing_to_a_terminal(point: int) -> None:
    """What a terminal would obey is escaped, what people write is not, and both come back as they were."""
    said = f"a{chr(point)}é 日本 👩\u200d💻"
    record = Error(time="", t_ns=0, message=said)
    line = encode(record)
    assert chr(point) not in line.decode().removesuffix("\n")
    assert "é 日本 👩\u200d💻".encode() in line
    assert decode(line) == record
    assert json.loads(line)["message"] == said


@given(records)
@example(Error(time="", t_ns=0, message='\x00\x1b\x9b\u2028\u202e\n\r\\"\U0001f44b'))
def test_a_record_survives_the_way_through_a_line(record: Record) -> None:
    """Whatever is in it: one line, readable by any JSON reader, and the same record again."""
    line = encode(record)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode(line) == decode(line.decode()) == record
    told = json.loads(line)
    assert told["event"] == record.event
    assert set(told) == {"event", *(field.encode_name for field in msgspec.structs.fields(record))}


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"not JSON",
        b'{"event":"frame"}',
        b'{"event":"tea","time":"","t_ns":1}',
        b"\xff",
        b"[]",
        b'{"event":"stopping","time":"T","t_ns":1,"signal":"\xff","open":0}',
    ],
)
def test_lines_that_are_no_records(line: bytes) -> None:
    """Raise what the documentation of `decode` names."""
    with pytest.raises(msgspec.DecodeError):
        decode(line)


def test_a_reader_passes_over_what_it_does_not_know() -> None:
    """A later gateway may tell more."""
    line = b'{"event":"stopping","time":"T","t_ns":1,"signal":"SIGINT","open":0,"why":["new"]}'
    assert decode(line) == Stopping(time="T", t_ns=1, signal="SIGINT", open=0)


def test_every_kind_is_told_apart() -> None:
    """The names are final, and no two kinds share one."""
    names = [kind.__struct_config__.tag for kind in (*KINDS, *OWN)]
    expected = (
        "listening request open frame omitted violation close error reload stopping child ready summary"
    )
    assert names == expected.split()
    assert set(get_args(events.Event)) == set(KINDS)


# Field names, as they were promised.

COMMON = ("event", "time", "t_ns")
PROMISED = {
    "listening": "addr url",
    "request": "method path status upstream ms bytes client",
    "open": "conn client path upstream subprotocol extensions handshake",
    "frame": "conn from fin rsv opcode masked len header_len gap_ms text hex truncated inflated code reason",
    "omitted": "conn from frames bytes",
    "violation": "conn from what rfc",
    "close": "conn by how client upstream ms",
    "error": "message conn client method path upstream status",
    "reload": "ok changes problems",
    "stopping": "signal open",
}


@pytest.mark.parametrize("kind", KINDS)
def test_names_of_fields(kind: type[Record]) -> None:
    """They are the interface: a change breaks every reader."""
    names = [field.encode_name for field in msgspec.structs.fields(kind)]
    assert names == [*COMMON[1:], *PROMISED[str(kind.__struct_config__.tag)].split()]


# Times.


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1769860800.25, "2026-01-31T12:00:00.250Z"),
        (1769860800.9994, "2026-01-31T12:00:00.999Z"),
        (1769860800.99999999, "2026-01-31T12:00:01.000Z"),
        (951782400.001, "2000-02-29T00:00:00.001Z"),
        (253402300799.5, "9999-12-31T23:59:59.500Z"),
    ],
)
def test_times(seconds: float, text: str) -> None:
    """RFC 3339 in UTC, with three digits behind the second."""
    assert rfc3339(seconds) == text


@given(st.floats(0, 1 << 35))  # beyond, which is the year 3058, floats are too coarse to compare
def test_times_are_true_to_the_millisecond(seconds: float) -> None:
    """Another reader of RFC 3339 gets the same moment."""
    moment = datetime.fromisoformat(rfc3339(seconds))
    assert moment.tzinfo == UTC
    assert -0.00001 <= seconds - moment.timestamp() < 0.00101


# The document.

DOCUMENT = Path(__file__).parents[2] / "docs" / "events.md"
TYPES: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null"}


@dataclass(frozen=True, kw_only=True)
class Section:
    """What the document says of a kind of record: its fields in order, their types, and the examples."""

    fields: list[str]
    types: dict[str, str]
    meanings: dict[str, str]
    examples: list[str]


def document() -> str:
    """Give the whole text."""
    return DOCUMENT.read_text(encoding="utf-8")


def section(text: str) -> Section:
    """Read one section."""
    rows = [row.strip("|").split("|", 2) for row in re.findall(r"^\| `.*$", text, re.MULTILINE)]
    types, meanings = {}, {}
    for names, kind, meaning in rows:
        for name in re.findall(r"`([^`]+)`", names):
            assert name not in types, f"{name} is documented twice"
            types[name], meanings[name] = kind.strip(), meaning.strip()
    blocks = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    return Section(
        fields=list(types),
        types=types,
        meanings=meanings,
        examples=[line for block in blocks for line in block.splitlines()],
    )


def sections(under: str) -> dict[str, Section]:
    """Give the sections that stand below the heading `under`, by the kind of record that each is about."""
    (_, part) = re.split(rf"^## {under}$", document(), flags=re.MULTILINE)
    part = re.split(r"^## ", part, flags=re.MULTILINE)[0]
    named = re.split(r"^### `(\w+)`$", part, flags=re.MULTILINE)[1:]
    return {name: section(text) for name, text in zip(named[::2], named[1::2], strict=True)}


def spoken(kind: Any) -> str:
    """Give a type in the words of the document."""
    if kind == Headers:
        return "array of [name, value]"
    if get_origin(kind) is Literal:
        return f"string ({', '.join(f'`{value}`' for value in get_args(kind))})"
    if get_origin(kind) in {Union, UnionType}:
        *most, last = (spoken(part) for part in get_args(kind))
        return f"{', '.join(most)} or {last}"
    if kind == tuple[str, ...]:
        return "array of strings"
    return TYPES[kind]


def fields_of(kind: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Give the fields of a record and their types, those of objects inside it by their paths."""
    hints = get_type_hints(kind)
    for field in msgspec.structs.fields(kind):
        name, of = f"{prefix}{field.encode_name}", hints[field.name]
        if isinstance(of, type) and issubclass(of, msgspec.Struct):
            yield from fields_of(of, f"{name}.")
        elif name not in COMMON:
            yield name, spoken(of)


def test_every_kind_of_record_is_documented() -> None:
    """And none that does not exist, in the order of the code."""
    assert list(sections("The gateway's records")) == [kind.__struct_config__.tag for kind in KINDS]
    assert list(sections("The launcher's records")) == [kind.__struct_config__.tag for kind in OWN]
    assert document().count("\n### ") == len(KINDS) + len(OWN)


def test_the_launchers_own_kinds_are_these() -> None:
    """Whoever adds a record to the launcher finds this list."""
    kinds = {kind for kind in vars(launchers).values() if isinstance(kind, type) and issubclass(kind, Record)}
    assert kinds - {Record} == set(OWN)


@pytest.mark.parametrize("kind", [*KINDS, *OWN])
def test_every_field_is_documented(kind: type[Record]) -> None:
    """With its type; and no field that does not exist."""
    known = dict(fields_of(kind))
    said = (sections("The gateway's records") | sections("The launcher's records"))[
        str(kind.__struct_config__.tag)
    ]
    assert said.types == known
    assert all(len(meaning) > 4 and meaning.endswith(".") for meaning in said.meanings.values())
    roots = [name.split(".")[0] for name in said.fields]
    expected = [field.encode_name for field in msgspec.structs.fields(kind)][2:]
    assert list(dict.fromkeys(roots)) == expected, "in the order of the JSON, as far as objects allow"


@pytest.mark.parametrize("kind", [*KINDS, *OWN])
def test_examples_are_real(kind: type[Record]) -> None:
    """Each is a line that the code itself would write, byte for byte."""
    name = str(kind.__struct_config__.tag)
    examples = (sections("The gateway's records") | sections("The launcher's records"))[name].examples
    assert examples
    for line in examples:
        record = msgspec.json.decode(line, type=kind)
        assert encode(record).decode() == line + "\n"
        assert json.loads(line)["event"] == name


def test_what_every_record_has_is_documented() -> None:
    """The three fields that stand first in each."""
    (part,) = re.findall(r"^## Every record$(.*?)^## ", document(), re.MULTILINE | re.DOTALL)
    said = section(part)
    assert said.types == {"event": "string", "time": "string", "t_ns": "integer"}
    parts = sections("The gateway's records") | sections("The launcher's records")
    lines = [line for part in parts.values() for line in part.examples]
    assert {tuple(json.loads(line))[:3] for line in lines} == {COMMON} == {tuple(said.fields)}


def test_opcodes_and_defaults_are_documented() -> None:
    """The names of the opcodes, and what the options are unless told."""
    meaning = sections("The gateway's records")["frame"].meanings["opcode"]
    assert all(f"`{name}`" in meaning for name in OPCODE_NAMES.values())
    assert f"at most `--preview` bytes ({cli.DEFAULT_PREVIEW} unless told)" in document()
    assert f"`--frame-rate` in a second ({cli.DEFAULT_FRAME_RATE} unless told" in document()


def test_the_python_of_the_document_runs() -> None:
    """On the document's own examples, as a reader would try it."""
    (code,) = re.findall(r"```python\n(.*?)```", document(), re.DOTALL)
    lines = [line for part in sections("The gateway's records").values() for line in part.examples]
    ran = subprocess.run(
        [sys.executable, "-c", code],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    assert ran.stdout.splitlines() == [
        "connection 3 was ended by the client:",
        "  client: 6001 frames, 66008 bytes, at most 0 in a frame",
        "  upstream: 6001 frames, 42004 bytes, at most 0 in a frame",
    ]


def test_the_check_of_the_document_can_fail() -> None:
    """A field that is missing, one too many and a wrong type are seen."""
    known = dict(fields_of(Stopping))
    right = "| `signal` | string | Which. |\n| `open` | integer | How many. |\n"
    assert section(right).types == known
    assert section(right.replace("integer", "string")).types != known
    assert section(right.replace("`open`", "`opened`")).types != known
    assert section(right + "| `more` | integer | Yes. |").types != known
