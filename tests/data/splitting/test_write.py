from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seg.data.dataset.catalogue import read_catalogue
from seg.data.settings import SplitRule
from seg.data.splitting.run import split_dataset
from seg.errors import DatasetError, RasterError, SegError, WriteError

WriteRaster = Callable[..., Path]
BLOCKS = SplitRule(by="blocks", folds=3, block_size_m=160, guard_m=20)


def test_a_manifest_is_replaced_only_with_the_option(apart: Path) -> None:
    split_dataset(apart, apart, SplitRule())
    before = (apart / "manifest.csv").read_text()
    with pytest.raises(DatasetError, match=r"manifest\.csv: exists; add --replace"):
        split_dataset(apart, apart, SplitRule(seed=1))
    assert (apart / "manifest.csv").read_text() == before
    split_dataset(apart, apart, SplitRule(seed=1), replace=True)
    assert (apart / "manifest.csv").read_text() != before


def test_blocks_replace_those_of_an_earlier_split(large: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    split_dataset(large, out, BLOCKS)
    (out / "blocks" / "images" / "scene_0_r000_c000.vrt.aux.xml").write_text("seen in a GIS")
    split_dataset(large, out, SplitRule(by="blocks", folds=2, block_size_m=320, guard_m=20), replace=True)
    files = {path for path in out.rglob("*") if path.is_file()}
    listed = {path for scene in read_catalogue(out, 2) for path in (scene.image, scene.mask)}
    assert files == listed | {out / "manifest.csv"}


def test_other_files_among_the_blocks_are_never_lost(large: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    split_dataset(large, out, BLOCKS)
    (out / "blocks" / "images" / "mine.vrt").write_text("mine")
    with pytest.raises(DatasetError, match=r"mine\.vrt: would be lost"):
        split_dataset(large, out, BLOCKS, replace=True)
    assert (out / "blocks" / "images" / "mine.vrt").read_text() == "mine"


def test_blocks_are_not_cut_again(large: Path) -> None:
    split_dataset(large, large, BLOCKS)
    with pytest.raises(DatasetError, match="lists blocks of an earlier split, and blocks cannot be split again"):
        split_dataset(large, large, BLOCKS, replace=True)


def test_a_failure_while_writing_leaves_the_older_split(
    large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    split_dataset(large, out, BLOCKS)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("seg.data.splitting.write._write_manifest", full)
    with pytest.raises(WriteError, match=r"out: cannot be written \(No space left on device\)"):
        split_dataset(large, out, SplitRule(by="blocks", folds=2, block_size_m=320, guard_m=20), replace=True)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_an_impossible_output_is_refused(apart: Path, tmp_path: Path, unwritable: Path) -> None:
    (tmp_path / "file").write_text("")
    for output, problem in (
        (tmp_path / "file", "is a file; name a folder"),
        (tmp_path / "no" / "where", "parent folder .* does not exist"),
        (unwritable / "out", "cannot be written|is read-only"),
    ):
        with pytest.raises(SegError, match=problem):
            split_dataset(apart, output, SplitRule())


def test_a_mask_on_another_grid_is_refused_before_anything_is_written(apart: Path, write_raster: WriteRaster) -> None:
    write_raster(apart / "masks" / "scene_3.tif", np.zeros((8, 8), dtype=np.uint8))
    with pytest.raises(RasterError, match=r"scene_3\.tif: lies up to"):
        split_dataset(apart, apart, SplitRule())
    assert not (apart / "manifest.csv").exists()


@pytest.mark.parametrize(
    "moment", ["seg.data.splitting.write._write_manifest", "seg.data.splitting.write.shutil.rmtree"]
)
def test_a_killed_replacement_leaves_the_older_or_the_new_split_intact(
    large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    class KilledError(Exception):
        """Simulated kill, after which no cleanup may run."""

    out, other = tmp_path / "out", SplitRule(by="blocks", folds=2, block_size_m=320, guard_m=20)
    split_dataset(large, out, BLOCKS)

    def kill(path: Path, *_: object, **__: object) -> None:
        if moment.endswith("_manifest") or (path.name == "blocks" and (out / "blocks-2").exists()):
            raise KilledError

    before = {scene.image: scene.image.read_bytes() for scene in read_catalogue(out, 3)}
    with monkeypatch.context() as killing:
        killing.setattr(moment, kill)
        if moment.endswith("_manifest"):
            killing.setattr("seg.data.splitting.write.shutil.rmtree", lambda *_, **__: None)
        with pytest.raises(KilledError):
            split_dataset(large, out, other, replace=True)
    now = {scene.image: scene.image.read_bytes() for scene in read_catalogue(out, 3)}
    assert now == before if moment.endswith("_manifest") else all("blocks-2" in path.parts for path in now)
    split_dataset(large, out, other, replace=True)
    files = {path for path in out.rglob("*") if path.is_file()}
    assert files == {p for s in read_catalogue(out, 2) for p in (s.image, s.mask)} | {out / "manifest.csv"}
