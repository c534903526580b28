"""Where config.yaml and the page come from, and what `init` writes."""

import errno
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CONFIG: Final = Path("config.yaml")
PAGE: Final = Path("static", "index.html")


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The config that `up` starts with."""

    path: Path
    own: bool
    """Whether it is the user's, and not the one that comes with this package."""

    @property
    def words(self) -> str:
        """What the banner calls it."""
        if not self.own:
            return f"{self.path} (the one that comes with aileron-demo)"
        return str(self.path) if self.path.is_absolute() else f"./{self.path}"


def packaged_config() -> Path:
    """Return the config.yaml that comes with this package: inside it in a wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / CONFIG
    return inside if inside.is_file() else package.parent / CONFIG


def choose_config(given: Path | None) -> ConfigFile:
    """Return the file that was `given`, else `./config.yaml` where there is one, else the packaged one."""
    if given is not None:
        return ConfigFile(given, own=True)
    if CONFIG.exists():
        return ConfigFile(CONFIG, own=True)
    return ConfigFile(packaged_config(), own=False)


def own_page() -> Path | None:
    """Return `./static/index.html` where there is one that is not the packaged page."""
    return PAGE if PAGE.is_file() and PAGE.resolve() != _packaged_page().resolve() else None


def write_own() -> list[tuple[Path, bool]]:
    """Copy the packaged files into the working directory, to be changed; say of each whether it was written.

    A file that exists is never touched.  Raises OSError, and FileExistsError (ENOTDIR) where `static` is
    something else than a folder.
    """
    return [_copy(packaged_config(), CONFIG), _copy(_packaged_page(), PAGE)]


def _packaged_page() -> Path:
    from demo_upstream.page import packaged_page  # noqa: PLC0415  (brings a whole web server)

    return packaged_page()


def _copy(source: Path, target: Path) -> tuple[Path, bool]:
    try:
        target.parent.mkdir(exist_ok=True)
        with source.open("rb") as original, target.open("xb") as copy:
            shutil.copyfileobj(original, copy)
    except FileExistsError as error:
        if target.parent.is_dir():
            return target, False
        raise OSError(errno.ENOTDIR, "is not a folder", str(target.parent)) from error
    return target, True


def as_text(path: str) -> str:
    r"""The name of a file as any program can read it: bytes in it that are not UTF-8 as `\xff`."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
