from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rasterio import Affine

from seg.data.dataset.catalogue import read_catalogue
from seg.data.dataset.checks import check_scene
from seg.data.sources import importing
from seg.data.sources.importing import Imported, write_import
from seg.data.sources.legend import Legend, Meaning
from seg.data.sources.origin import Found, Origin, Pair
from seg.errors import DatasetError, RasterError
from seg.labels import CROPLAND, OTHER

ORIGIN = Origin("Fields", "https://example.org", "CC BY 4.0", "Nobody (2020)")
LEGEND = Legend((Meaning(1, "rest", OTHER), Meaning(2, "field", CROPLAND)))

WriteRaster = Callable[..., Path]


@pytest.fixture
def pairs(write_raster: WriteRaster, tmp_path: Path) -> list[Pair]:
    """Three pairs of image and mask outside the output folder; there is no official split."""
    made = []
    for name in "abc":
        image = write_raster(tmp_path / "in" / f"{name}.tif", np.full((3, 2, 2), 90, dtype=np.uint8))
        mask = write_raster(tmp_path / "in" / f"{name}_mask.tif", np.array([[1, 2], [2, 2]], dtype=np.uint8))
        made.append(Pair(image, mask, name, name))
    return made


def run(pairs: list[Pair], output: Path, copy: bool = False) -> Imported:
    return write_import(Found(pairs, LEGEND), ORIGIN, output, copy)


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_the_manifest_has_relative_paths_to_the_original_images(pairs: list[Pair], tmp_path: Path) -> None:
    run(pairs, tmp_path / "out")
    lines = (tmp_path / "out" / "manifest.csv").read_text().splitlines()
    assert lines[:2] == ["image,mask,fold", "../in/a.tif,masks/a.tif,0"]
    assert files(tmp_path / "out") == ["README.md", "manifest.csv", "masks/a.tif", "masks/b.tif", "masks/c.tif"]


def test_training_accepts_every_scene(pairs: list[Pair], tmp_path: Path) -> None:
    run(pairs, tmp_path / "out")
    grids = [check_scene(scene, [1, 2, 3]) for scene in read_catalogue(tmp_path / "out", 5)]
    assert [grid.path.name for grid in grids] == ["a.tif", "b.tif", "c.tif"]


def test_images_are_found_through_an_output_that_is_a_link(pairs: list[Pair], tmp_path: Path) -> None:
    (tmp_path / "disk" / "deep").mkdir(parents=True)
    (tmp_path / "out").symlink_to(tmp_path / "disk" / "deep")
    run(pairs, tmp_path / "out")
    assert len(read_catalogue(tmp_path / "out", 5)) == 3


def test_copies_make_the_dataset_independent_of_its_source(pairs: list[Pair], tmp_path: Path) -> None:
    (tmp_path / "in" / "a.tif.aux.xml").write_text("<PAMDataset/>")
    run(pairs, tmp_path / "out", copy=True)
    (tmp_path / "in").rename(tmp_path / "gone")
    assert [scene.image.name for scene in read_catalogue(tmp_path / "out", 5)] == ["a.tif", "b.tif", "c.tif"]
    assert "images/a.tif.aux.xml" in files(tmp_path / "out")


@pytest.mark.parametrize("copy", [False, True])
def test_a_second_import_into_the_folder_replaces_the_first(copy: bool, pairs: list[Pair], tmp_path: Path) -> None:
    run(pairs, tmp_path / "out", copy)
    run(pairs[:1], tmp_path / "out", copy)
    assert len(read_catalogue(tmp_path / "out", 5)) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


def test_the_readme_has_origin_licence_and_class_table(pairs: list[Pair], tmp_path: Path) -> None:
    run(pairs, tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text()
    assert all(part in text for part in (ORIGIN.home, ORIGIN.licence, ORIGIN.citation, "| 2 | field | cropland |"))


def test_counts_are_given_by_fold(pairs: list[Pair], tmp_path: Path) -> None:
    imported = run(pairs, tmp_path / "out")
    assert [(fold.parts, fold.labelled, fold.cropland_share) for fold in imported.folds] == [(1, 4, 0.75)] * 3


def test_if_only_one_part_of_an_official_split_exists_folds_are_assigned_in_turn(
    pairs: list[Pair], tmp_path: Path
) -> None:
    training = [Pair(pair.image, pair.mask, pair.name, pair.place, held_out=False) for pair in pairs]
    imported = run(training, tmp_path / "out")
    assert len(imported.folds) == 3
    assert imported.notes == ["only one part of the official split exists, so places were assigned to folds in turn"]


def test_interrupted_import_leaves_no_files(pairs: list[Pair], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(path: Path, legend: Legend) -> None:
        if path.name == "b_mask.tif":
            raise KeyboardInterrupt
        return real(path, legend)

    real = importing.read_labels
    monkeypatch.setattr(importing, "read_labels", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(pairs, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_an_output_with_other_files_is_refused_and_not_changed(pairs: list[Pair], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(DatasetError, match=r"holds notes\.txt, which is not part of this dataset"):
        run(pairs, tmp_path / "out")
    assert files(tmp_path / "out") == ["notes.txt"]


def test_source_folder_as_output_is_refused(pairs: list[Pair], tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="not part of this dataset"):
        run(pairs, tmp_path / "in")
    assert len(files(tmp_path / "in")) == 6


def test_mask_of_another_size_is_named_in_the_error(
    pairs: list[Pair], write_raster: WriteRaster, tmp_path: Path
) -> None:
    write_raster(pairs[1].mask, np.ones((2, 3), dtype=np.uint8))
    with pytest.raises(RasterError, match=r"b_mask\.tif: size is 3x2, but .*b\.tif has 2x2"):
        run(pairs, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_georeferenced_mask_fits_an_image_without_georeference(
    pairs: list[Pair], write_raster: WriteRaster, tmp_path: Path
) -> None:
    write_raster(pairs[0].image, np.full((3, 2, 2), 90, dtype=np.uint8), crs=None, transform=Affine.identity())
    run(pairs[:1], tmp_path / "out")
    [scene] = read_catalogue(tmp_path / "out", 5)
    assert check_scene(scene, [1]).crs is None


def test_damaged_mask_is_named_in_the_error(pairs: list[Pair], tmp_path: Path) -> None:
    pairs[0].mask.write_text("not a raster")
    with pytest.raises(RasterError, match=r"a_mask\.tif: not a readable raster"):
        run(pairs, tmp_path / "out")


def test_two_images_that_would_get_the_same_name_are_refused(pairs: list[Pair], tmp_path: Path) -> None:
    twin = Pair(pairs[1].image, pairs[1].mask, "a", "a")
    with pytest.raises(DatasetError, match=r"in/a\.tif and .*in/b\.tif would both be named a"):
        run([pairs[0], twin], tmp_path / "out")
