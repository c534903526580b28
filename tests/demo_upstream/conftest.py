"""One demo upstream for all tests that leave it as it was."""

from collections.abc import Iterator

import pytest

from tests.demo_upstream.running import DemoUpstream


@pytest.fixture(scope="session")
def demo() -> Iterator[DemoUpstream]:
    """A running `python -m demo_upstream`; it may not have complained about anything by its end."""
    with DemoUpstream() as running:
        yield running
        assert running.stop() == (0, "")
