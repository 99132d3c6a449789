from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from seg.data.dataset.catalogue import read_catalogue
from seg.data.settings import ImportSettings
from seg.data.sources.importing import import_public
from seg.errors import DatasetError
from seg.labels import CROPLAND, IGNORE, OTHER
from seg.raster.classes import read_classes
from seg.raster.grid import open_raster, read_grid

TWO, THREE = [[0, 1, 1, 3]], [[0, 1, 2, 3]]

WriteRaster = Callable[..., Path]


def write_country(write_raster: WriteRaster, root: Path, name: str, parts: Mapping[str, str]) -> Path:
    """Write the folder of a country with one chip for each entry of `parts`; its values are parts of the split."""
    country = root / name
    for chip in parts:
        for window in ("window_a", "window_b"):
            pixels = np.full((4, 1, 4), 900, dtype=np.uint16)
            write_raster(country / "s2_images" / window / f"{chip}.tif", pixels)
        for kind, values in (("semantic_2class", TWO), ("semantic_3class", THREE), ("instance", THREE)):
            write_raster(country / "label_masks" / kind / f"{chip}.tif", np.array(values, dtype=np.uint8))
    table = pyarrow.table({"aoi_id": list(parts), "split": list(parts.values())})
    pyarrow.parquet.write_table(table, country / f"chips_{name}.parquet")
    return country


@pytest.fixture
def ftw(write_raster: WriteRaster, tmp_path: Path) -> Path:
    """Two countries, three chips."""
    write_country(write_raster, tmp_path / "ftw", "austria", {"g0_1": "train", "g0_2": "val"})
    write_country(write_raster, tmp_path / "ftw", "kenya", {"g9_1": "test"})
    return tmp_path / "ftw"


def labels_of(output: Path) -> list[list[int]]:
    """Labels of the first scene."""
    with open_raster(read_catalogue(output, 2)[0].mask) as mask:
        return read_classes(mask).tolist()


def test_both_windows_of_a_place_share_mask_and_fold(ftw: Path, tmp_path: Path) -> None:
    import_public("ftw", ftw, tmp_path / "out", ImportSettings())
    scenes = read_catalogue(tmp_path / "out", 2)
    assert len(scenes) == 6
    assert {(scene.mask.name, scene.fold) for scene in scenes} == {
        ("austria_g0_1.tif", 1),
        ("austria_g0_2.tif", 0),
        ("kenya_g9_1.tif", 0),
    }


@pytest.mark.parametrize("window", ["a", "b"])
def test_one_window_gives_one_scene_per_place(window: str, ftw: Path, tmp_path: Path) -> None:
    import_public("ftw", ftw, tmp_path / "out", ImportSettings(window=window))  # type: ignore[arg-type]
    folders = [scene.image.parent.name for scene in read_catalogue(tmp_path / "out", 2)]
    assert folders == [f"window_{window}"] * 3


@pytest.mark.parametrize("copy", [False, True])
def test_a_pair_is_one_scene_with_the_bands_of_both_seasons(
    copy: bool, ftw: Path, tmp_path: Path, write_raster: WriteRaster
) -> None:
    write_raster(ftw / "austria" / "s2_images" / "window_b" / "g0_1.tif", np.full((4, 1, 4), 700, np.uint16))
    (ftw / "kenya" / "s2_images" / "window_a" / "g9_1.tif").unlink()
    imported = import_public("ftw", ftw, tmp_path / "out", ImportSettings(window="pair", copy=copy))
    assert imported.notes[0] == "chips that have no image were left out (chips: 1)"
    scenes = read_catalogue(tmp_path / "out", 2)
    assert [scene.image.name for scene in scenes] == ["austria_g0_1.vrt", "austria_g0_2.vrt"]
    with open_raster(scenes[0].image) as image:
        assert image.descriptions[3:5] == ("nir@planting", "red@harvest")
        assert image.read()[:, 0, 0].tolist() == [900] * 4 + [700] * 4
    if copy:
        ftw.rename(tmp_path / "away")
        with open_raster(scenes[0].image) as image:
            assert image.read(8)[0, 0] == 700


def test_masks_lie_on_the_grid_of_their_images(ftw: Path, tmp_path: Path) -> None:
    import_public("ftw", ftw, tmp_path / "out", ImportSettings())
    scene = read_catalogue(tmp_path / "out", 2)[0]
    image, mask = read_grid(scene.image), read_grid(scene.mask)
    assert (mask.crs, mask.transform, mask.dtype, mask.nodata) == (image.crs, image.transform, "uint8", IGNORE)


@pytest.mark.parametrize(
    ("boundary", "edge", "source"),
    [("cropland", CROPLAND, "two"), ("other", OTHER, "three"), ("ignore", IGNORE, "three")],
)
def test_boundaries_have_the_chosen_label(boundary: str, edge: int, source: str, ftw: Path, tmp_path: Path) -> None:
    import_public("ftw", ftw, tmp_path / "out", ImportSettings(boundary=boundary))  # type: ignore[arg-type]
    assert labels_of(tmp_path / "out") == [[OTHER, CROPLAND, edge, IGNORE]]
    assert ("field boundary" in (tmp_path / "out" / "README.md").read_text()) == (source == "three")


def test_boundaries_are_cropland_if_only_masks_of_3_classes_exist(ftw: Path, tmp_path: Path) -> None:
    country = ftw / "austria"
    (country / "label_masks" / "semantic_2class").rename(country / "unused")
    import_public("ftw", country, tmp_path / "out", ImportSettings())
    assert labels_of(tmp_path / "out") == [[OTHER, CROPLAND, CROPLAND, IGNORE]]


def test_chips_without_images_or_split_are_left_out_with_a_note(write_raster: WriteRaster, tmp_path: Path) -> None:
    parts = {"g0": "train", "g1": "val", "g2": "none", "g3": "train"}
    india = write_country(write_raster, tmp_path, "india", parts)
    for window in ("window_a", "window_b"):
        (india / "s2_images" / window / "g3.tif").unlink()
    imported = import_public("ftw", india, tmp_path / "out", ImportSettings(window="a"))
    assert sum(fold.parts for fold in imported.folds) == 2
    assert imported.notes == [
        "chips that have no image were left out (chips: 1)",
        "chips that are in no part of the official split were left out (chips: 1)",
    ]


def test_an_unknown_class_value_is_refused(ftw: Path, write_raster: WriteRaster, tmp_path: Path) -> None:
    mask = np.array(THREE, dtype=np.uint8)
    write_raster(ftw / "austria" / "label_masks" / "semantic_2class" / "g0_1.tif", mask)
    with pytest.raises(DatasetError, match=r"semantic_2class/g0_1\.tif: has the values 2, "):
        import_public("ftw", ftw, tmp_path / "out", ImportSettings())


def test_chip_without_a_mask_is_named_in_the_error(ftw: Path, tmp_path: Path) -> None:
    (ftw / "kenya" / "label_masks" / "semantic_2class" / "g9_1.tif").unlink()
    with pytest.raises(DatasetError, match=r"g9_1\.tif: has no mask; wanted .*kenya/label_masks/semantic_2class"):
        import_public("ftw", ftw, tmp_path / "out", ImportSettings())


def test_missing_table_of_chips_is_named_in_the_error(ftw: Path, tmp_path: Path) -> None:
    (ftw / "kenya" / "chips_kenya.parquet").unlink()
    with pytest.raises(DatasetError, match=r"kenya: has none; wanted one table, chips_kenya\.parquet"):
        import_public("ftw", ftw, tmp_path / "out", ImportSettings())


def test_damaged_table_of_chips_is_named_in_the_error(ftw: Path, tmp_path: Path) -> None:
    (ftw / "kenya" / "chips_kenya.parquet").write_text("not parquet")
    with pytest.raises(DatasetError, match=r"chips_kenya\.parquet: not a readable table with aoi_id and split"):
        import_public("ftw", ftw, tmp_path / "out", ImportSettings())


def test_table_without_the_split_is_named_in_the_error(ftw: Path, tmp_path: Path) -> None:
    pyarrow.parquet.write_table(pyarrow.table({"aoi_id": ["g9_1"]}), ftw / "kenya" / "chips_kenya.parquet")
    with pytest.raises(DatasetError, match=r"chips_kenya\.parquet: not a readable table with aoi_id and split"):
        import_public("ftw", ftw, tmp_path / "out", ImportSettings())


def test_another_layout_is_an_error_with_the_expected_files(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(DatasetError, match=r"wanted s2_images, label_masks and chips_COUNTRY\.parquet"):
        import_public("ftw", tmp_path / "in", tmp_path / "out", ImportSettings())
