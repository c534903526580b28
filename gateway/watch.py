"""Tell when config files change, however an editor writes them.

Strategy
    The files are looked at several times a second; what counts is their content's identity: name, inode,
    size and time of change, followed through symlinks.  That sees a file that is written, one that is
    replaced by another, and one whose link leads elsewhere, on every platform and file system alike.

Rules
    * A change is told once it has settled: two looks in a row have to agree, so that a file that is written
      in two steps is not read between them.
    * A file that is gone for the moment has no identity, which is a change as well.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

from gateway.config.documents import SUFFIXES

INTERVAL: Final = 0.25
"""Seconds between two looks."""

Identity = tuple[tuple[str, int, int, int], ...]
"""Of each file that is there: name, inode, size in bytes, and when it was changed, in nanoseconds."""


async def changes(
    paths: Sequence[Path], since: Identity, *, interval: float = INTERVAL
) -> AsyncIterator[None]:
    """Yield after each change of the files at `paths`, directories standing for the config files in them.

    `since` is their `identity` from before they were last read, so that no change in the meantime is missed.
    """
    told = seen = since
    while True:
        await asyncio.sleep(interval)
        before, seen = seen, identity(paths)
        if seen == before != told:
            told = seen
            yield


def identity(paths: Sequence[Path]) -> Identity:
    """What tells one state of the files from another."""
    found: list[tuple[str, int, int, int]] = []
    for path in paths:
        try:
            inside = sorted(path.iterdir()) if path.is_dir() else [path]
        except OSError:
            continue
        for each in inside:
            if each is not path and each.suffix not in SUFFIXES:
                continue
            try:
                state = each.stat()
            except OSError:
                continue
            found.append((str(each), state.st_ino, state.st_size, state.st_mtime_ns))
    return tuple(found)
