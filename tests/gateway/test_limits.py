"""The limits of the command line, as the documentation tells them."""

from dataclasses import fields
from pathlib import Path

import pytest

from gateway.limits import DEFAULT_LIMITS, OwnLimits

DOCUMENT = Path(__file__).parents[2] / "docs" / "limits.md"
TOLD = {
    "header_fields": "256",
    "handshake_timeout": "10 s",
    "stall_timeout": "60 s; 0: no limit",
    "tunnel_buffer": "64 KiB",
    "idle_timeout": "0: no limit",
}


@pytest.mark.parametrize("name", [each.name for each in fields(OwnLimits)])
def test_the_document_has_every_limit(name: str) -> None:
    """In a row with its option and its default."""
    option = f"`--{name.replace('_', '-')}`"
    rows = [line.split(" | ") for line in DOCUMENT.read_text(encoding="utf-8").splitlines()]
    (row,) = (each for each in rows if option in each[1:2])
    assert row[2] == TOLD[name]
    size = 1024 if row[2].endswith("KiB") else 1
    assert int(row[2].split(" ")[0].rstrip(";:")) * size == getattr(DEFAULT_LIMITS, name)
