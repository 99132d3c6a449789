from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rasterio import Affine

from seg.data.dataset.catalogue import Scene, read_catalogue
from seg.data.dataset.unlabelled import UnlabelledScene, check_unlabelled, overlap_note, read_unlabelled
from seg.errors import DatasetError, RasterError
from seg.raster.grid import read_grid

WriteRaster = Callable[..., Path]


@pytest.fixture
def root(tmp_path: Path, write_raster: WriteRaster) -> Path:
    """A manifest with a labelled row and three rows without a mask: in fold 0, in fold 1, and without a fold."""
    for name in "labelled", "held", "other", "free":
        write_raster(tmp_path / f"{name}.tif", np.ones((2, 4, 4), np.uint8))
    write_raster(tmp_path / "mask.tif", np.zeros((4, 4), np.uint8))
    rows = "labelled.tif,mask.tif,0,", "held.tif,,0,", "other.tif,,1,2.5", "free.tif,,,"
    (tmp_path / "manifest.csv").write_text("\n".join(["image,mask,fold,weight", *rows]))
    return tmp_path


def test_rows_without_a_mask_are_unlabelled_scenes(root: Path) -> None:
    assert [scene.image.name for scene in read_catalogue(root, 5)] == ["labelled.tif"]
    wanted = [UnlabelledScene(root / "other.tif", 2.5), UnlabelledScene(root / "free.tif")]
    assert read_unlabelled(root, None, fold=0) == wanted
    assert [scene.image.name for scene in read_unlabelled(root, None, fold=None)] == [
        "held.tif",
        "other.tif",
        "free.tif",
    ]


def test_scenes_of_a_folder_join_those_of_the_manifest(root: Path, tmp_path: Path, write_raster: WriteRaster) -> None:
    scene = write_raster(tmp_path / "more" / "a.tif", np.ones((2, 4, 4), np.uint8))
    assert read_unlabelled(root, tmp_path / "more", fold=0)[2:] == [UnlabelledScene(scene)]
    assert read_unlabelled(None, tmp_path / "mor*" / "*.tif", fold=0) == [UnlabelledScene(scene)]


def test_a_scene_that_is_listed_twice_is_refused(root: Path) -> None:
    with pytest.raises(DatasetError, match=r"free\.tif: is listed twice among the unlabelled scenes"):
        read_unlabelled(root, root / "free.tif", fold=0)


def test_a_row_whose_image_is_missing_is_refused(root: Path) -> None:
    (root / "other.tif").unlink()
    with pytest.raises(DatasetError, match=r"line 4 names .*other\.tif, which does not exist"):
        read_unlabelled(root, None, fold=0)


def test_a_folder_without_scenes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RasterError, match="holds no scene"):
        read_unlabelled(None, tmp_path, fold=0)


def test_a_held_out_scene_is_not_learned_from(root: Path) -> None:
    held_out = [Scene(root / "labelled.tif", root / "mask.tif", 0)]
    with pytest.raises(DatasetError, match="is held out for validation"):
        check_unlabelled([UnlabelledScene(root / "." / "labelled.tif")], [1], held_out)


def test_a_scene_with_too_few_bands_is_refused(root: Path) -> None:
    with pytest.raises(DatasetError, match=r"free\.tif: has 2 bands, but band 3 is wanted"):
        check_unlabelled([UnlabelledScene(root / "free.tif")], [1, 3], [])


@pytest.mark.parametrize(("columns", "noted"), [(4, False), (3, True)])
def test_test_ground_in_an_unlabelled_scene_gets_a_note(
    tmp_path: Path, write_raster: WriteRaster, columns: int, noted: bool
) -> None:
    place = Affine(10, 0, 500_000, 0, -10, 5_000_000)
    pixels = np.ones((4, 4), np.uint8)
    scene = read_grid(write_raster(tmp_path / "a.tif", pixels, transform=place))
    tested = write_raster(tmp_path / "b.tif", pixels, transform=place @ Affine.translation(columns, 0))
    line = overlap_note([scene], [read_grid(tested)])
    assert bool(line) == noted
    assert line.count("\n") == noted
