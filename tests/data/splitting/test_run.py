import csv
import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from rasterio import Affine

from seg.data.datamodule import CroplandDataModule
from seg.data.dataset.catalogue import Scene, read_catalogue
from seg.data.dataset.checks import check_scene, count_labels
from seg.data.samples.scenes import read_sample
from seg.data.settings import SplitRule
from seg.data.splitting.run import split_dataset
from seg.errors import DatasetError
from seg.labels import IGNORE
from seg.raster.chips import Reading
from seg.raster.grid import read_grid

MakeDataset = Callable[..., Path]
WriteRaster = Callable[..., Path]
Move = Callable[[Path, str, Affine], None]
BLOCKS = SplitRule(by="blocks", folds=3, block_size_m=160, guard_m=20)


def folds_of(root: Path) -> dict[str, int]:
    return {scene.image.name: scene.fold for scene in read_catalogue(root, 99)}


def footprint(scene: Scene) -> shapely.Polygon:
    grid = read_grid(scene.image)
    first, last = grid.transform @ (0, 0), grid.transform @ (grid.width, grid.height)
    return shapely.box(first[0], last[1], last[0], first[1])


def least_distance(root: Path) -> float:
    """Smallest distance between scenes of two folds, in metres."""
    places = [(scene.fold, footprint(scene)) for scene in read_catalogue(root, 99)]
    pairs = itertools.combinations(places, 2)
    return min(one.distance(other) for (fold, one), (another, other) in pairs if fold != another)


def test_folds_have_equally_many_scenes_with_their_masks(apart: Path) -> None:
    summaries = split_dataset(apart, apart, SplitRule())
    assert [fold.parts for fold in summaries] == [2] * 5
    for scene in read_catalogue(apart, 5):
        assert scene.image.name == scene.mask.name
    labels = [count_labels(scene) for scene in read_catalogue(apart, 5)]
    assert sum(fold.labelled for fold in summaries) == sum(count.other + count.cropland for count in labels)
    assert sum(fold.cropland for fold in summaries) == sum(count.cropland for count in labels)


@pytest.mark.parametrize("rule", [SplitRule(), SplitRule(stratify=True), BLOCKS], ids=["scene", "stratified", "blocks"])
def test_the_same_seed_writes_the_same_files(apart: Path, tmp_path: Path, rule: SplitRule) -> None:
    texts = []
    for name in ("one", "two"):
        split_dataset(apart, tmp_path / name, rule)
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        texts.append({path.relative_to(tmp_path / name): path.read_text() for path in files})
    assert texts[0] == texts[1]


def test_another_seed_gives_another_split(apart: Path, tmp_path: Path) -> None:
    for seed in range(2):
        split_dataset(apart, tmp_path / str(seed), SplitRule(seed=seed))
    assert folds_of(tmp_path / "0") != folds_of(tmp_path / "1")


def test_folds_of_an_older_manifest_are_ignored(apart: Path, tmp_path: Path) -> None:
    split_dataset(apart, tmp_path / "out", SplitRule())
    split_dataset(apart, apart, SplitRule(seed=5, folds=7))
    split_dataset(apart, apart, SplitRule(), replace=True)
    assert folds_of(apart) == folds_of(tmp_path / "out")


def test_scenes_that_overlap_or_are_too_near_share_a_fold(apart: Path, move: Move) -> None:
    move(apart, "scene_7.tif", Affine(10, 0, 500_050, 0, -10, 5_000_050))
    move(apart, "scene_8.tif", Affine(10, 0, 500_000, 0, -10, 4_999_830))
    split_dataset(apart, apart, SplitRule(folds=4))
    folds = folds_of(apart)
    assert folds["scene_0.tif"] == folds["scene_7.tif"] == folds["scene_8.tif"]
    assert least_distance(apart) >= 100


def test_scenes_without_a_crs_are_separate_places(apart: Path, write_raster: WriteRaster) -> None:
    for number in range(10):
        for folder in ("images", "masks"):
            path = apart / folder / f"scene_{number}.tif"
            with rasterio.open(path) as dataset:
                pixels, nodata = dataset.read(), dataset.nodata
            write_raster(path, pixels, crs=None, transform=Affine.identity(), nodata=nodata)
    assert [fold.parts for fold in split_dataset(apart, apart, SplitRule())] == [2] * 5


def test_too_few_places_are_an_error_that_counts_them(make_dataset: MakeDataset, tmp_path: Path) -> None:
    root = make_dataset(tmp_path / "data")
    with pytest.raises(DatasetError, match=r"has 5 scenes in 1 place at least 100 m apart, too few to fill 5 folds"):
        split_dataset(root, root, SplitRule())
    assert not (root / "manifest.csv").exists()
    split_dataset(root, root, SplitRule(guard_m=0))


@pytest.mark.parametrize("rule", [SplitRule(guard_m=20), replace(BLOCKS, folds=5, block_size_m=900)])
def test_blocks_of_the_size_that_an_error_advises_fill_all_folds(large: Path, rule: SplitRule) -> None:
    with pytest.raises(DatasetError, match=r"--block-size-m=\d+") as problem:
        split_dataset(large, large, rule)
    [advised] = re.findall(r"--block-size-m=([\d.]+)", str(problem.value))
    folds = split_dataset(large, large, replace(rule, by="blocks", block_size_m=float(advised)))
    assert all(fold.parts for fold in folds)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.campaign) for seed in range(1, 6))])
def test_blocks_of_different_folds_are_a_guard_apart_even_between_scenes(
    large: Path, tmp_path: Path, seed: int
) -> None:
    rule = SplitRule(by="blocks", folds=4, seed=seed, block_size_m=160, guard_m=20)
    split_dataset(large, tmp_path / "out", rule)
    assert least_distance(tmp_path / "out") >= 20


def test_each_labelled_pixel_is_in_one_block_or_in_the_guard(large: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    summaries = split_dataset(large, out, BLOCKS)
    scenes = {scene.image.stem: scene for scene in read_catalogue(large, 5)}
    seen = {stem: np.zeros((read_grid(scene.image).height, 90), dtype=int) for stem, scene in scenes.items()}
    for block in read_catalogue(out, 3):
        source, grid = scenes[block.image.stem[:7]], read_grid(block.image)
        place = ~read_grid(source.image).transform @ (grid.transform.c, grid.transform.f)
        left, top = (round(value) for value in place)
        rows, columns = slice(top, top + grid.height), slice(left, left + grid.width)
        seen[source.image.stem][rows, columns] += 1
        whole, part = (read_sample(scene, Reading([1, 2, 3], [0, 0, 0])) for scene in (source, block))
        np.testing.assert_array_equal(part.image, whole.image[:, rows, columns])
        np.testing.assert_array_equal(part.mask, whole.mask[rows, columns])
        np.testing.assert_array_equal(part.valid, whole.valid[rows, columns])
    assert all(raster.max() == 1 for raster in seen.values())
    labelled = sum(fold.labelled for fold in summaries)
    assert 0.6 * (100 * 90 + 40 * 40 - 2) < labelled < 100 * 90 + 40 * 40 - 2


def test_blocks_are_read_by_training_as_scenes(large: Path, tmp_path: Path) -> None:
    split_dataset(large, tmp_path / "out", BLOCKS)
    data = CroplandDataModule(root=tmp_path / "out", folds=3)
    data.setup("fit")
    assert len(data.scenes) > 20
    assert max(max(grid.height, grid.width) for grid in data.grids) <= 24
    for scene in data.scenes:
        check_scene(scene, [1, 2, 3])


def test_blocks_without_labels_are_left_out(large: Path, tmp_path: Path, write_raster: WriteRaster) -> None:
    mask = np.full((100, 90), IGNORE, dtype=np.uint8)
    mask[::16, :48] = 1
    mask[1::16, :48] = 0
    write_raster(large / "masks" / "scene_0.tif", mask)
    for folder in ("images", "masks"):
        (large / folder / "scene_1.tif").unlink()
    split_dataset(large, tmp_path / "out", BLOCKS)
    blocks = read_catalogue(tmp_path / "out", 3)
    assert {block.image.stem[-4:] for block in blocks} == {"c000", "c001", "c002"}


def test_scenes_with_the_same_name_get_separate_blocks(large: Path, tmp_path: Path) -> None:
    rows = [("image", "mask", "fold"), ("images/scene_0.tif", "masks/scene_0.tif", 0)]
    for folder in ("images", "masks"):
        (large / "more" / folder).mkdir(parents=True)
        (large / folder / "scene_1.tif").rename(large / "more" / folder / "scene_0.tif")
    rows.append(("more/images/scene_0.tif", "more/masks/scene_0.tif", 1))
    with (large / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    split_dataset(large, tmp_path / "out", BLOCKS)
    stems = {scene.image.stem.split("_r")[0] for scene in read_catalogue(tmp_path / "out", 3)}
    assert stems == {"scene_0-0", "scene_0-1"}


def test_too_few_blocks_are_an_error_that_counts_them(large: Path) -> None:
    with pytest.raises(DatasetError, match="has 1 block of 2000 m with labels, too few to fill 5 folds"):
        split_dataset(large, large, SplitRule(by="blocks"))
    assert sorted(path.name for path in large.iterdir()) == ["images", "masks"]


def test_scenes_without_a_mask_are_refused(apart: Path) -> None:
    names = sorted(path.name for path in (apart / "images").iterdir())
    rows = [f"images/{name},{f'masks/{name}' if number else ''}," for number, name in enumerate(names)]
    (apart / "manifest.csv").write_text(
        "\n".join(["image,mask,fold", *(f"{row}{number % 5}" for number, row in enumerate(rows))])
    )
    with pytest.raises(DatasetError, match="its manifest lists 1 scene without a mask, but a split needs masks"):
        split_dataset(apart, apart, SplitRule(), replace=True)
