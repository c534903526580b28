"""Where config and page come from, and what `init` writes."""

from pathlib import Path

import pytest

from launcher.files import choose_config, own_page, packaged_config, write_own


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_config_in_order_of_nearness(folder: Path) -> None:
    """What was given comes first, then ./config.yaml, then the packaged one; the banner says which."""
    packaged = choose_config(None)
    assert (packaged.path, packaged.own) == (packaged_config(), False)
    assert "comes with aileron-demo" in packaged.words
    (folder / "config.yaml").write_text("")
    assert choose_config(None).words == "./config.yaml"
    assert choose_config(Path("other.yaml")).words == "./other.yaml"
    assert choose_config(folder / "other.yaml").words == str(folder / "other.yaml")


def test_init_writes_both_once(folder: Path) -> None:
    """Both files are the packaged ones; what exists is never touched."""
    assert [written for _, written in write_own()] == [True, True]
    assert (folder / "config.yaml").read_bytes() == packaged_config().read_bytes()
    (folder / "static" / "index.html").write_text("mine")
    assert write_own() == [(Path("config.yaml"), False), (Path("static", "index.html"), False)]
    assert (folder / "static" / "index.html").read_text() == "mine"


def test_init_where_static_is_a_file(folder: Path) -> None:
    """A file in the place of the folder is an error that names it."""
    (folder / "static").write_text("")
    with pytest.raises(OSError, match="is not a folder") as caught:
        write_own()
    assert caught.value.filename == "static"


def test_a_dangling_link_is_not_followed(folder: Path) -> None:
    """A link that leads nowhere exists, and stays."""
    (folder / "config.yaml").symlink_to(folder / "elsewhere" / "file")
    assert write_own()[0] == (Path("config.yaml"), False)


def test_the_users_page() -> None:
    """./static/index.html is the page where there is one."""
    assert own_page() is None
    write_own()
    assert own_page() == Path("static", "index.html")
