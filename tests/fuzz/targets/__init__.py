"""What is fuzzed.

A target is a module.  Its docstring states the oracle; `check(data)` raises where the oracle does not hold
for an input; `TOKENS` are words that inputs of its kind are made of, for the fuzzer's dictionary.
"""

from importlib import import_module
from typing import Final, Protocol, cast

NAMES: Final = (
    "frames",
    "inflate",
    "request",
    "answer",
    "config",
    "substitution",
    "paths",
    "mux",
    "matchers",
    "text",
    "filter",
    "headers",
    "events",
)
"""The targets, in the order of the bytes' way."""


class Target(Protocol):
    """What each of these modules is."""

    TOKENS: tuple[bytes, ...]

    def check(self, data: bytes) -> None:
        """Raise where the oracle does not hold for `data`."""


def load(name: str) -> Target:
    """The target `name`, whose part of the product is imported here and no earlier."""
    return cast(Target, import_module(f"{__name__}.{name}"))
