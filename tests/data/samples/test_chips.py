import os
import pickle
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio import Affine

from seg.data.augmentation.mixing import MixingConfig
from seg.data.augmentation.pipeline import Augmentation, AugmentationConfig
from seg.data.dataset.catalogue import Scene
from seg.data.sample import SampleKey
from seg.data.samples.chips import ChipConfig, GridChips, RandomChips
from seg.data.samples.open_rasters import OpenRasters
from seg.errors import ConfigError
from seg.labels import CROPLAND, IGNORE
from seg.raster.chips import Reading
from seg.raster.grid import Grid
from support.samples import grids_of

WriteRaster = Callable[..., Path]
READING = Reading(bands=[1, 2], fill=[5.0, 6.0])
SCENE = Scene(Path("image.tif"), Path("mask.tif"), 0)
GRID = Grid(SCENE.image, 1, 1, 1, None, Affine.identity(), None, "uint8")
KEYS = [SampleKey(epoch, index) for epoch in range(2) for index in range(30)]


@pytest.fixture
def scene(write_raster: WriteRaster, tmp_path: Path) -> Callable[..., Scene]:
    """Function `scene(mask, weight=1)`: band 1 of its image is the row and band 2 the column of each pixel, from 1."""

    def make(mask: np.ndarray, weight: float = 1.0) -> Scene:
        name = f"{len(list(tmp_path.rglob('*.tif')))}.tif"
        image = (np.indices(mask.shape) + 1).astype(np.uint16)
        paths = write_raster(tmp_path / "images" / name, image, nodata=0), write_raster(tmp_path / "masks" / name, mask)
        return Scene(*paths, 0, weight)

    return make


def test_a_chip_has_the_pixels_of_its_window(scene: Callable[..., Scene]) -> None:
    mask = np.random.default_rng(0).integers(0, 2, (40, 50)).astype(np.uint8)
    chips = RandomChips(grids_of(scene(mask)), ChipConfig(size=8), READING)
    places = set()
    for key in KEYS:
        chip = chips[key]
        top, left = int(chip["image"][0, 0, 0]) - 1, int(chip["image"][1, 0, 0]) - 1
        np.testing.assert_array_equal(chip["mask"], mask[top : top + 8, left : left + 8])
        assert chip["image"].shape == (2, 8, 8)
        places.add((top, left))
    assert len(places) > 50


def test_uniform_chips_reach_every_pixel(scene: Callable[..., Scene]) -> None:
    chips = RandomChips(grids_of(scene(np.zeros((9, 12), np.uint8))), ChipConfig(size=4), READING)
    corners = {tuple(chips[SampleKey(0, index)]["image"][:, 0, 0].int().tolist()) for index in range(400)}
    assert corners == {(row, column) for row in range(1, 7) for column in range(1, 10)}


def test_a_scene_smaller_than_a_chip_is_padded_and_the_padding_ignored(scene: Callable[..., Scene]) -> None:
    chip = RandomChips(grids_of(scene(np.ones((3, 5), np.uint8))), ChipConfig(size=8), READING)[0]
    assert (chip["mask"][:3, :5] == CROPLAND).all()
    assert (chip["mask"] == IGNORE).sum() == 64 - 15
    assert chip["image"][:, 7, 7].tolist() == [5.0, 6.0]


def test_the_share_of_chips_with_cropland_is_as_configured(scene: Callable[..., Scene]) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[:16, :16] = CROPLAND
    grids = grids_of(scene(mask))

    def share(config: ChipConfig) -> float:
        chips = RandomChips(grids, config, READING, seed=2)
        return float(np.mean([(chips[key]["mask"] == CROPLAND).any() for key in KEYS]))

    assert share(ChipConfig(size=4, sampling="uniform")) < 0.25
    assert share(ChipConfig(size=4, sampling="cropland", cropland_share=1, tries=200)) == 1
    assert 0.35 < share(ChipConfig(size=4, sampling="cropland", cropland_share=0.5, tries=200)) < 0.75


def test_chips_without_any_label_are_drawn_again(scene: Callable[..., Scene]) -> None:
    mask = np.full((64, 64), IGNORE, np.uint8)
    mask[:24, :24] = 0
    chips = RandomChips(grids_of(scene(mask)), ChipConfig(size=4, tries=200), READING)
    assert all((chips[key]["mask"] != IGNORE).any() for key in KEYS)


def test_weights_decide_which_scenes_are_drawn(scene: Callable[..., Scene]) -> None:
    grids = grids_of(scene(np.zeros((20, 20), np.uint8)), scene(np.ones((20, 20), np.uint8), weight=9))

    def share(sampling: str) -> float:
        chips = RandomChips(grids, ChipConfig(size=4, sampling=sampling), READING)  # type: ignore[arg-type]
        return float(np.mean([int(chips[SampleKey(0, index)]["mask"][0, 0]) for index in range(200)]))

    assert 0.4 < share("uniform") < 0.6
    assert 0.84 < share("weight") < 0.96


def test_a_chip_depends_only_on_seed_epoch_and_index(scene: Callable[..., Scene]) -> None:
    grids = grids_of(scene(np.ones((40, 50), np.uint8)))
    forth, back = (RandomChips(grids, ChipConfig(size=8), READING, seed=3) for _ in range(2))
    chips = {key: forth[key]["image"] for key in KEYS}
    back = pickle.loads(pickle.dumps(back))
    assert all(torch.equal(back[key]["image"], chips[key]) for key in reversed(KEYS))
    other = RandomChips(grids, ChipConfig(size=8), READING, seed=4)
    assert not all(torch.equal(other[key]["image"], chips[key]) for key in KEYS)


MIXINGS = [MixingConfig(cut_mix=1), MixingConfig(mosaic=1), MixingConfig(cut_mix=0.3, mosaic=0.3)]
FLIPS = Augmentation(AugmentationConfig(scale=0.5, rotation=20), [1.0, 1.0], [0.0, 0.0])


@pytest.fixture
def painted(write_raster: WriteRaster, tmp_path: Path) -> dict[Scene, Grid]:
    """Three scenes: band 1 is the label plus 1, or 0 for no data; band 2 is the number of the scene."""
    scenes = []
    for number, shape in enumerate([(40, 50), (30, 64), (5, 33)], start=1):
        random = np.random.default_rng(number)
        mask = random.choice(np.array([0, CROPLAND, IGNORE], np.uint8), shape)
        image = np.stack([mask.astype(np.uint16) + 1, np.full(shape, number, np.uint16)])
        image[:, random.random(shape) < 0.2] = 0
        paths = [tmp_path / kind / f"{number}.tif" for kind in ("images", "masks")]
        scenes.append(Scene(write_raster(paths[0], image, nodata=0), write_raster(paths[1], mask), 0))
    return grids_of(*scenes)


@pytest.mark.parametrize("mixing", MIXINGS)
@pytest.mark.parametrize("augment", [None, FLIPS])
def test_mask_and_validity_follow_the_mixed_pixels(
    painted: dict[Scene, Grid], mixing: MixingConfig, augment: Augmentation | None
) -> None:
    chips = RandomChips(painted, ChipConfig(size=12), READING, augment, mixing=mixing)
    met = set()
    for key in KEYS:
        image, mask = (chips[key][part].numpy() for part in ("image", "mask"))
        filled = (image == np.float32(READING.fill)[:, None, None]).all(axis=0)
        pure = np.isin(image[0], [1, CROPLAND + 1]) & np.isin(image[1], [1, 2, 3])
        assert image.shape == (2, 12, 12)
        assert (mask[filled] == IGNORE).all()
        if augment is None:  # augmentation may blend neighbouring values
            assert (pure | filled | (image[0] == IGNORE + 1)).all()
        np.testing.assert_array_equal(image[0][pure] - 1, mask[pure])
        met.add(len(np.unique(image[1][pure])))
    assert max(met) >= 2


def test_unmixed_chips_do_not_depend_on_the_mixing_settings(painted: dict[Scene, Grid]) -> None:
    def images(mixing: MixingConfig) -> list[bytes]:
        chips = RandomChips(painted, ChipConfig(size=12), READING, FLIPS, mixing=mixing)
        return [chips[SampleKey(0, index)]["image"].numpy().tobytes() for index in range(200)]

    plain = images(MixingConfig())
    for mixing, share in ((MixingConfig(cut_mix=0.3), 0.3), (MixingConfig(cut_mix=0.2, mosaic=0.3), 0.5)):
        changed = np.mean([one != other for one, other in zip(plain, images(mixing), strict=True)])
        assert share - 0.12 < changed < share + 0.08


def test_one_chip_is_read_without_mixing_two_for_cut_mix_and_four_for_a_mosaic(
    painted: dict[Scene, Grid], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    monkeypatch.setattr("seg.data.samples.chips.watched", lambda name: read.append(name) or nullcontext())
    for mixing, times in ((MixingConfig(), 1), (MixingConfig(cut_mix=1), 2), (MixingConfig(mosaic=1), 4)):
        read.clear()
        RandomChips(painted, ChipConfig(size=12, tries=1), READING, mixing=mixing)[0]
        assert len(read) == 2 * times  # mask and image


@pytest.mark.parametrize("mixing", MIXINGS)
def test_a_mixed_chip_depends_only_on_seed_epoch_and_index(painted: dict[Scene, Grid], mixing: MixingConfig) -> None:
    forth, back = (RandomChips(painted, ChipConfig(size=12), READING, FLIPS, 3, mixing=mixing) for _ in range(2))
    chips = {key: forth[key] for key in KEYS}
    back = pickle.loads(pickle.dumps(back))
    for key in reversed(KEYS):
        assert all(torch.equal(back[key][part], chips[key][part]) for part in ("image", "mask"))
    other = RandomChips(painted, ChipConfig(size=12), READING, FLIPS, 4, mixing=mixing)
    assert not any(torch.equal(other[key]["image"], chips[key]["image"]) for key in KEYS)


@pytest.mark.parametrize(
    ("name", "value"), [("size", 0), ("per_epoch", 0), ("tries", 0), ("halo", -1), ("cropland_share", 1.5)]
)
def test_a_setting_out_of_range_is_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"data\.chips\.{name} is {value}; wanted"):
        ChipConfig(**{name: value})  # type: ignore[arg-type]


def test_a_halo_that_leaves_no_core_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.chips\.halo is 4; wanted less than half of data\.chips\.size, 8"):
        ChipConfig(size=8, halo=4)


def rasters(write_raster: WriteRaster, folder: Path, count: int) -> list[Path]:
    return [write_raster(folder / f"{number}.tif", np.full((2, 2), number, np.uint8)) for number in range(count)]


def test_open_rasters_are_kept_up_to_a_limit(write_raster: WriteRaster, tmp_path: Path) -> None:
    paths, opened = rasters(write_raster, tmp_path, 4), OpenRasters(most=2)
    first = opened[paths[0]]
    assert opened[paths[0]] is first
    for path in paths:
        assert int(opened[path].read(1)[0, 0]) == int(path.stem)
    assert first.closed
    last = opened[paths[3]]
    assert opened[paths[2]]
    assert not last.closed


def test_open_rasters_are_pickled_without_handles(write_raster: WriteRaster, tmp_path: Path) -> None:
    [path], opened = rasters(write_raster, tmp_path, 1), OpenRasters(most=7)
    assert opened[path]
    copied = pickle.loads(pickle.dumps(opened))
    assert (copied.most, copied[path] is not opened[path]) == (7, True)


def test_a_forked_process_opens_its_own_rasters(
    write_raster: WriteRaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [path], opened = rasters(write_raster, tmp_path, 1), OpenRasters()
    parents = opened[path]
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert opened[path] is not parents
    assert not parents.closed


def test_closing_chips_does_not_close_the_environment_of_the_caller(scene: Callable[..., Scene]) -> None:
    chips = RandomChips(grids_of(scene(np.zeros((9, 12), np.uint8))), ChipConfig(size=4), READING)
    _ = chips[0]
    with rasterio.Env():
        with chips._rasters:  # Its end closes the rasters.
            pass
        assert rasterio.env.hasenv()


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 40), st.integers(0, 19))
def test_chips_cover_each_pixel_once_at_any_size(height: int, width: int, size: int, halo: int) -> None:
    halo = min(halo, (size - 1) // 2)
    counted = np.zeros((height, width), dtype=int)
    grid = replace(GRID, height=height, width=width)
    for _, block in GridChips({SCENE: grid}, size, Reading([1], [0.0]), halo).chips:
        counted[block.core.toslices()] += 1
        (top, bottom), (left, right) = block.core.toranges()
        (first, last), (west, east) = block.read.toranges()
        assert (last - first, east - west) == (min(size, height), min(size, width))
        assert 0 <= first <= max(top - halo, 0)
        assert 0 <= west <= max(left - halo, 0)
        assert min(bottom + halo, height) <= last <= height
        assert min(right + halo, width) <= east <= width
    assert (counted == 1).all()


@settings(deadline=None, max_examples=10)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(3, 12), st.booleans())
def test_all_chips_together_have_the_labels_of_the_scene(
    tmp_path_factory: pytest.TempPathFactory,
    write_raster: Callable[..., Path],
    height: int,
    width: int,
    size: int,
    with_halo: bool,
) -> None:
    folder = tmp_path_factory.mktemp("scene")
    labels = np.random.default_rng(0).choice(np.array([0, 1, IGNORE], np.uint8), (height, width))
    scene = Scene(write_raster(folder / "i.tif", labels + np.uint8(1)), write_raster(folder / "m.tif", labels), 0)
    dataset = GridChips(grids_of(scene), size, Reading([1], [0.0]), halo=int(with_halo))
    seen = torch.cat([dataset[index]["mask"].flatten() for index in range(len(dataset))])
    assert [int((seen == value).sum()) for value in (0, 1)] == [int((labels == value).sum()) for value in (0, 1)]


def test_pixels_around_a_core_keep_their_values_but_not_their_labels(
    tmp_path: Path, write_raster: Callable[..., Path]
) -> None:
    scene = Scene(
        write_raster(tmp_path / "i.tif", np.full((5, 5), 9, np.uint8)),
        write_raster(tmp_path / "m.tif", np.ones((5, 5), np.uint8)),
        0,
    )
    last = GridChips(grids_of(scene), 4, Reading([1], [0.0]))[3]
    assert (last["image"] == 9).all()
    assert (last["mask"] != IGNORE).nonzero().tolist() == [[3, 3]]
