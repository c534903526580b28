"""What a gateway's process holds, and whether it gives it back."""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from tests.servers import PATIENCE

_SLACK: Final = 24 << 20
"""Bytes that a process may keep of what it has used: the allocator's, and what was loaded on first use."""

_POOL: Final = 4
"""Threads that libuv starts at their first use, and keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a process holds at a moment."""

    descriptors: int
    threads: int
    memory: int
    """Bytes in use."""

    @classmethod
    def by(cls, pid: int) -> Self:
        """What the process `pid` holds now."""
        process = Path(f"/proc/{pid}")
        resident = int((process / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return cls(
            descriptors=len(list((process / "fd").iterdir())),
            threads=len(list((process / "task").iterdir())),
            memory=resident,
        )

    def covers(self, now: "Held", spare: int) -> bool:
        """Whether `now` is no more than this, but for `spare` descriptors and what an allocator keeps."""
        return (
            now.descriptors <= self.descriptors + spare
            and now.threads <= self.threads + _POOL
            and now.memory <= self.memory + _SLACK
        )


async def given_back(pid: int, before: Held, *, spare: int = 0) -> None:
    """Wait until the process `pid` holds no more than `before`.

    `spare` descriptors it may have opened for good since.
    """
    try:
        async with asyncio.timeout(2 * PATIENCE):
            while not before.covers(Held.by(pid), spare):  # noqa: ASYNC110 - the system tells nobody
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"it held {before}, and now it holds {Held.by(pid)}") from None


def cpu_seconds(pid: int) -> float:
    """Processor time that the process `pid` has used."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
