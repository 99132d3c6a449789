import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from seg.data.dataset.catalogue import read_catalogue
from seg.data.dataset.fingerprint import PIECE, dataset_fingerprint

VRT = """<VRTDataset rasterXSize="4" rasterYSize="4"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>
<SourceFilename relativeToVRT="1">../source/a.tif</SourceFilename><SourceBand>1</SourceBand>
</SimpleSource></VRTRasterBand></VRTDataset>"""


def sha(root: Path) -> object:
    return dataset_fingerprint(root, read_catalogue(root, 5))["sha256"]


def test_a_copy_with_other_file_times_has_the_same_hash(tmp_path: Path, make_dataset: Callable[..., Path]) -> None:
    root = make_dataset(tmp_path / "data")
    shutil.copytree(root, tmp_path / "copy")
    os.utime(tmp_path / "copy" / "images" / "scene_0.tif", (1, 1))
    assert sha(tmp_path / "copy") == sha(root)


def test_a_changed_label_a_changed_fold_and_a_missing_file_change_the_hash(
    tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    root = make_dataset(tmp_path / "data")
    scenes = read_catalogue(root, 5)
    before = dataset_fingerprint(root, scenes)
    other_fold = dataset_fingerprint(root, [replace(scenes[0], fold=3), *scenes[1:]])
    fewer = dataset_fingerprint(root, scenes[1:])
    mask = bytearray(scenes[0].mask.read_bytes())
    mask[-1] ^= 1
    scenes[0].mask.write_bytes(mask)
    changed = dataset_fingerprint(root, scenes)
    assert len({found["sha256"] for found in (before, other_fold, fewer, changed)}) == 4
    assert (before["scenes"], before["files"], fewer["files"]) == (5, 10, 8)


def test_a_large_file_is_sampled_at_its_beginning_middle_and_end(
    tmp_path: Path, write_raster: Callable[..., Path]
) -> None:
    image = write_raster(tmp_path / "images" / "a.tif", np.zeros((600, 600), np.uint16))
    write_raster(tmp_path / "masks" / "a.tif", np.zeros((600, 600), np.uint8))
    size = image.stat().st_size
    assert size > 4 * PIECE
    found = {sha(tmp_path)}
    for place in (PIECE - 1, size // 2, size - 1):
        content = bytearray(image.read_bytes())
        content[place] ^= 1
        image.write_bytes(content)
        found.add(sha(tmp_path))
    assert len(found) == 4


def test_the_source_of_a_vrt_changes_the_hash(tmp_path: Path, write_raster: Callable[..., Path]) -> None:
    source = write_raster(tmp_path / "source" / "a.tif", np.zeros((4, 4), np.uint8))
    write_raster(tmp_path / "masks" / "a.tif", np.zeros((4, 4), np.uint8))
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.vrt").write_text(VRT)
    before = sha(tmp_path)
    content = bytearray(source.read_bytes())
    content[-1] ^= 1
    source.write_bytes(content)
    assert sha(tmp_path) != before
