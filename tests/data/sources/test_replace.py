import sys
from pathlib import Path

import pytest

from seg.data.sources import replace
from seg.data.sources.replace import replaced_dataset
from seg.errors import ClaimError, ConfigError, DatasetError, WriteError
from seg.files import CLAIM, claimed

TITLE = "# A dataset"


def write(output: Path, *stems: str) -> None:
    """Replace the output by a small dataset with given stems."""
    with replaced_dataset(output, TITLE, frozenset({"scene.tif"})) as folder:
        (folder / "README.md").write_text(f"{TITLE}\n\nText.\n")
        (folder / "scene.tif").write_text("scene")
        rows = [f"images/{stem}.tif,masks/{stem}.tif,0\n" for stem in stems]
        (folder / "manifest.csv").write_text("image,mask,fold\n" + "".join(rows))
        for kind in ("images", "masks"):
            (folder / kind).mkdir()
            for stem in stems:
                (folder / kind / f"{stem}.tif").write_text(stem)


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_an_older_dataset_is_replaced_with_all_its_files(tmp_path: Path) -> None:
    write(tmp_path / "demo", "a", "b", "c")
    (tmp_path / "demo" / "images" / "a.tif.aux.xml").write_text("statistics")
    write(tmp_path / "demo", "d")
    assert names(tmp_path) == [
        f"demo/{name}" for name in ("README.md", "images/d.tif", "manifest.csv", "masks/d.tif", "scene.tif")
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    write(tmp_path / "demo", "a")
    assert "demo/images/a.tif" in names(tmp_path)


@pytest.mark.parametrize("name", ["notes.txt", "images/mine.tif", "models/x/model.json", "scene.tif.txt"])
def test_a_folder_with_another_file_is_refused_and_not_changed(name: str, tmp_path: Path) -> None:
    write(tmp_path / "demo", "a")
    (tmp_path / "demo" / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "demo" / name).write_text("mine")
    before = names(tmp_path)
    with pytest.raises(DatasetError, match=f"holds {name}, which is not part of this dataset"):
        write(tmp_path / "demo", "b")
    assert names(tmp_path) == before


def test_dataset_of_the_same_layout_but_another_title_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "demo", "a")
    (tmp_path / "demo" / "README.md").write_text("# My own fields\n")
    with pytest.raises(DatasetError, match="not part of this dataset"):
        write(tmp_path / "demo", "a")
    assert (tmp_path / "demo" / "README.md").read_text() == "# My own fields\n"


def test_file_that_appears_during_the_run_is_kept(tmp_path: Path) -> None:
    write(tmp_path / "demo", "a")
    with (
        pytest.raises(DatasetError, match=r"holds late\.txt"),
        replaced_dataset(tmp_path / "demo", TITLE, frozenset({"scene.tif"})),
    ):
        (tmp_path / "demo" / "late.txt").write_text("mine")
    assert (tmp_path / "demo" / "late.txt").read_text() == "mine"


def test_a_failed_run_keeps_the_older_dataset_and_leaves_no_temporary_files(tmp_path: Path) -> None:
    write(tmp_path / "demo", "a")
    before = names(tmp_path)

    def run_that_fails() -> None:
        with replaced_dataset(tmp_path / "demo", TITLE, frozenset({"scene.tif"})) as folder:
            (folder / "half.tif").write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        run_that_fails()
    assert names(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_a_failed_rename_restores_the_older_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "demo", "a")
    before = names(tmp_path)
    rename = Path.rename

    def fail_for_the_new(self: Path, target: Path) -> Path:
        if self.parent.suffix == ".unfinished" and self.name == "demo":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr("seg.data.sources.replace._exchanged_by_system", lambda *_: False)
    monkeypatch.setattr(Path, "rename", fail_for_the_new)
    with pytest.raises(WriteError, match=r"demo: cannot be written .*No space left on device"):
        write(tmp_path / "demo", "b")
    assert names(tmp_path) == before


def test_a_system_that_cannot_exchange_folders_replaces_the_older_dataset_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seg.data.sources.replace._exchanged_by_system", lambda *_: False)
    write(tmp_path / "demo", "a")
    write(tmp_path / "demo", "b")
    assert "demo/images/b.tif" in names(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="needs a system that exchanges folders")
def test_an_older_dataset_stays_until_the_new_one_replaces_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "demo", "a")
    rename, there = Path.rename, []

    def watched(self: Path, target: Path) -> Path:
        renamed = rename(self, target)
        there.append((tmp_path / "demo" / "manifest.csv").exists())
        return renamed

    monkeypatch.setattr(Path, "rename", watched)
    write(tmp_path / "demo", "b")
    assert "demo/images/b.tif" in names(tmp_path)
    assert all(there)


def test_file_that_appears_before_the_exchange_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "demo", "a")
    exchange = replace._exchange

    def after_another_wrote(new: Path, old: Path) -> None:
        if not (tmp_path / "demo" / "late.txt").exists():
            (tmp_path / "demo" / "late.txt").write_text("mine")
        exchange(new, old)

    monkeypatch.setattr(replace, "_exchange", after_another_wrote)
    with pytest.raises(DatasetError, match=r"demo: holds late\.txt"):
        write(tmp_path / "demo", "b")
    assert (tmp_path / "demo" / "late.txt").read_text() == "mine"
    assert "demo/images/a.tif" in names(tmp_path)


def test_dataset_that_another_process_works_on_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "demo", "a")
    with claimed(tmp_path / "demo" / "masks"), pytest.raises(ClaimError, match="another process uses this folder"):
        write(tmp_path / "demo", "b")
    with (
        replaced_dataset(tmp_path / "demo", TITLE, frozenset({"scene.tif"})),
        pytest.raises(ClaimError, match="demo: another process is writing it"),
    ):
        write(tmp_path / "demo", "b")


def test_files_of_a_killed_process_do_not_count_as_files_of_the_user(tmp_path: Path) -> None:
    write(tmp_path / "demo", "a")
    left = tmp_path / "demo" / ".cache" / ".statistics-01.json.unfinished"
    left.mkdir(parents=True)
    (left / "statistics-01.json").touch()
    (tmp_path / "demo" / CLAIM).touch()
    write(tmp_path / "demo", "b")
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_an_output_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "demo").symlink_to(tmp_path / "disk")
    write(tmp_path / "demo", "a")
    assert (tmp_path / "demo").is_symlink()
    assert (tmp_path / "disk" / "images" / "a.tif").is_file()


def test_missing_parent_is_named_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"its parent folder .*/nowhere does not exist"):
        write(tmp_path / "nowhere" / "demo", "a")


def test_output_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("mine")
    with pytest.raises(ConfigError, match="is a file; name a folder"):
        write(tmp_path / "demo", "a")
