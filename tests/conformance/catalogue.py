"""All cases."""

from collections.abc import Iterator

from tests.conformance import closes, compression, messages, sizes, texts
from tests.conformance.case import Case


def catalogue(*, long: bool = False) -> Iterator[Case]:
    """Each case once, section after section; with `long`, also those that take their time."""
    yield from messages.cases()
    yield from texts.cases()
    yield from closes.cases()
    yield from sizes.cases(long=long)
    yield from compression.cases(long=long)
