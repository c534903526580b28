# ruff: noqa: ASYNC240 - the files are small, and nobody else waits for this loop
"""Watching files: every way in which editors write them is told, once, and only once it has settled."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from gateway.watch import changes, identity
from tests.servers import PATIENCE

INTERVAL: Final = 0.02
"""Seconds between two looks."""


class Watch:
    """What is told of `paths`."""

    def __init__(self, *paths: Path) -> None:
        self.paths = paths
        self._told = changes(paths, identity(paths), interval=INTERVAL)

    async def told(self) -> None:
        """Wait for a change to be told."""
        async with asyncio.timeout(PATIENCE):
            await anext(self._told)

    async def tells_only(self, change: Callable[[], object]) -> None:
        """Nothing that came before is told any more: the next that is told is `change`, made now."""
        waiting = asyncio.ensure_future(self.told())
        # A look or two: were there anything to be told, it would be.
        await asyncio.sleep(4 * INTERVAL)
        assert not waiting.done()
        change()
        await waiting

    async def close(self) -> None:
        """Look no more."""
        assert isinstance(self._told, AsyncIterator)
        await self._told.aclose()  # type: ignore[attr-defined]  # a generator


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A config file, in a folder of its own."""
    path = tmp_path / "config.yaml"
    path.write_text("one")
    return path


@pytest_asyncio.fixture
async def watch(file: Path) -> AsyncIterator[Watch]:
    """A watch of that file."""
    watch = Watch(file)
    yield watch
    await watch.close()


def replace(path: Path, text: str) -> None:
    """As editors do that write another file first."""
    beside = path.with_name(f"{path.name}.new")
    beside.write_text(text)
    beside.rename(path)


def in_place(path: Path) -> None:
    """The same length, so that it is the time that tells."""
    path.write_text("two")


def by_another(path: Path) -> None:
    """Another file of the same length and time."""
    before = path.stat()
    beside = path.with_name("beside")
    beside.write_text("two")
    os.utime(beside, ns=(before.st_atime_ns, before.st_mtime_ns))
    beside.rename(path)


def with_a_backup(path: Path) -> None:
    """The old one is moved out of the way first."""
    path.rename(path.with_name("config.yaml~"))
    path.write_text("two")


@pytest.mark.parametrize("write", [in_place, by_another, with_a_backup, lambda path: replace(path, "longer")])
async def test_however_it_is_written(file: Path, watch: Watch, write: Callable[[Path], None]) -> None:
    """It is told, once."""
    write(file)
    await watch.told()
    await watch.tells_only(lambda: file.write_text("the end"))


async def test_what_changed_before_the_first_look(file: Path) -> None:
    """It is told as well: the files were last read before that."""
    since = identity([file])
    file.write_text("longer")
    told = changes([file], since, interval=INTERVAL)
    async with asyncio.timeout(PATIENCE):
        await anext(told)


async def test_nothing_is_told_before_it_has_settled(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is emptied first and written then is not told between: two looks have to agree."""
    looks = iter(
        [
            identity([file]),
            *((("f", 1, size, size),) for size in (0, 5, 9, 9)),
            *((("f", 1, size, size),) for size in (9, 0, 9, 9, 7, 7)),
        ]
    )
    since = next(looks)
    taken: list[int] = []

    def look(_paths: object) -> tuple[tuple[str, int, int, int], ...]:
        taken.append(1)
        return next(looks)

    monkeypatch.setattr("gateway.watch.identity", look)
    told = changes([file], since, interval=0)
    await anext(told)
    assert len(taken) == 4
    # A state that only flickered is none.
    await anext(told)
    assert len(taken) == 10


async def test_emptied_first_and_written_then(file: Path, watch: Watch) -> None:
    """With real files: what is told last is the whole file."""
    for _ in range(5):
        with file.open("w") as stream:
            stream.flush()
            stream.write("whole")
    await watch.told()
    assert file.read_text() == "whole"
    await watch.tells_only(lambda: file.write_text("the end"))


async def test_a_link_that_leads_elsewhere(tmp_path: Path) -> None:
    """Directly, or through the folder that it stands in, as with mounted config maps."""
    for version in ("1", "2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "config.yaml").write_text(version)
    data, link = tmp_path / "data", tmp_path / "config.yaml"
    data.symlink_to("1")
    link.symlink_to("data/config.yaml")
    watch = Watch(link)
    beside = tmp_path / "beside"
    beside.symlink_to("2")
    beside.rename(data)
    await watch.told()
    beside.symlink_to("1/config.yaml")
    beside.rename(link)
    await watch.told()
    (tmp_path / "1" / "config.yaml").write_text("the file behind it")
    await watch.told()
    await watch.close()


async def test_gone_and_back(file: Path, watch: Watch) -> None:
    """Both are changes."""
    file.unlink()
    await watch.told()
    file.write_text("again")
    await watch.told()


async def test_a_directory(tmp_path: Path) -> None:
    """Config files that come, change and go count, and no others do."""
    folder = tmp_path / "conf"
    folder.mkdir()
    (folder / "a.yaml").write_text("a")
    watch = Watch(folder)
    for name in ("b.yml", "c.json"):
        (folder / name).write_text("new")
        await watch.told()
    (folder / "b.yml").write_text("longer")
    await watch.told()
    (folder / "a.yaml").unlink()
    await watch.told()
    for name in (".b.yml.swp", "b.yml~", "4913", ".yaml", "notes.txt"):
        (folder / name).write_text("an editor's own")
    await watch.tells_only(lambda: replace(folder / "c.json", "the last"))
    folder.rename(tmp_path / "elsewhere")
    await watch.told()
    await watch.close()


async def test_several_paths(tmp_path: Path) -> None:
    """Each of them counts, an env file of any name among them."""
    paths = [tmp_path / "config.yaml", tmp_path / "settings.env"]
    watch = Watch(*paths)
    for path in paths:
        path.write_text("something")
        await watch.told()
    await watch.close()
