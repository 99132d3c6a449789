import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from seg.data.dataset.catalogue import Scene
from seg.data.sample import Example, Sample, SampleKey
from seg.data.samples.scenes import SceneDataset
from seg.errors import RasterError
from seg.labels import IGNORE
from seg.raster.chips import Reading

WriteRaster = Callable[..., Path]
READING = Reading(bands=[2, 1], fill=[7.5, 3.5], nodata=99)


@pytest.fixture
def scenes(write_raster: WriteRaster, tmp_path: Path) -> list[Scene]:
    """Two scenes of different sizes with band values 10 and 20.

    The first scene has pixels with the nodata value of the file, and pixels with the nodata value of the option.
    """
    scenes = []
    for number, (height, width) in enumerate([(4, 6), (5, 3)]):
        image = np.ones((2, height, width), dtype=np.uint8) * np.array([10, 20], dtype=np.uint8)[:, None, None]
        if number == 0:
            image[0, 0, 0] = 0
            image[1, 3, 5] = 99
        name = f"{number}.tif"
        path = write_raster(tmp_path / "images" / name, image, nodata=0)
        mask = write_raster(tmp_path / "masks" / name, np.ones((height, width), dtype=np.uint8))
        scenes.append(Scene(path, mask, 0))
    return scenes


def shifted(sample: Sample, random: np.random.Generator) -> Sample:
    return Sample(sample.image + np.float32(random.random()), sample.mask, sample.valid)


def same(first: Example, second: Example) -> bool:
    return torch.equal(first["image"], second["image"]) and torch.equal(first["mask"], second["mask"])


def test_an_example_has_the_size_of_its_scene(scenes: list[Scene]) -> None:
    dataset = SceneDataset(scenes, READING)
    assert [tuple(dataset[index]["image"].shape) for index in range(len(dataset))] == [(2, 4, 6), (2, 5, 3)]


def test_image_mask_and_name_have_the_documented_types(scenes: list[Scene]) -> None:
    example = SceneDataset(scenes, READING)[1]
    assert (example["image"].dtype, example["mask"].dtype, example["name"]) == (torch.float32, torch.uint8, "1.tif")


def test_bands_have_the_requested_order(scenes: list[Scene]) -> None:
    assert SceneDataset(scenes, READING)[1]["image"][:, 0, 0].tolist() == [20, 10]


def test_labels_of_invalid_pixels_are_ignored(scenes: list[Scene]) -> None:
    expected = torch.ones(4, 6, dtype=torch.uint8)
    expected[0, 0] = expected[3, 5] = IGNORE
    assert torch.equal(SceneDataset(scenes, READING)[0]["mask"], expected)


def test_invalid_pixels_hold_the_fill_value_of_their_band(scenes: list[Scene]) -> None:
    image = SceneDataset(scenes, READING)[0]["image"]
    assert [image[:, 0, 0].tolist(), image[:, 3, 5].tolist()] == [[7.5, 3.5], [7.5, 3.5]]


def test_invalid_pixels_hold_the_fill_value_also_after_augmentation(scenes: list[Scene]) -> None:
    image = SceneDataset(scenes, READING, augment=shifted)[0]["image"]
    assert image[:, 0, 0].tolist() == [7.5, 3.5]
    assert image[1, 1, 1] > 10


def test_a_bare_index_means_the_first_epoch(scenes: list[Scene]) -> None:
    dataset = SceneDataset(scenes, READING, shifted)
    assert same(dataset[1], dataset[SampleKey(0, 1)])


def test_random_choices_depend_only_on_seed_epoch_and_index(scenes: list[Scene]) -> None:
    keys = [SampleKey(epoch, index) for epoch in range(3) for index in range(2)]
    forth, back = (SceneDataset(scenes, READING, shifted, seed=4) for _ in range(2))
    examples = {key: forth[key] for key in keys}
    assert all(same(back[key], examples[key]) for key in reversed(keys))


@pytest.mark.parametrize(("seed", "epoch"), [(4, 1), (5, 0)], ids=["epoch", "seed"])
def test_another_seed_or_epoch_gives_another_example(scenes: list[Scene], seed: int, epoch: int) -> None:
    first = SceneDataset(scenes, READING, shifted, seed=4)[SampleKey(0, 1)]
    assert not same(SceneDataset(scenes, READING, shifted, seed=seed)[SampleKey(epoch, 1)], first)


def test_unknown_labels_are_refused(write_raster: WriteRaster, scenes: list[Scene]) -> None:
    write_raster(scenes[1].mask, np.full((5, 3), 7, dtype=np.uint8))
    with pytest.raises(RasterError, match=r"1\.tif: holds the values 7, wanted 0"):
        _ = SceneDataset(scenes, READING)[1]


def test_nodata_of_the_mask_is_ignored(write_raster: WriteRaster, scenes: list[Scene]) -> None:
    write_raster(scenes[1].mask, np.full((5, 3), -1, dtype=np.int16), nodata=-1)
    assert (SceneDataset(scenes, READING)[1]["mask"] == IGNORE).all()


def test_no_file_stays_open_over_many_epochs(scenes: list[Scene]) -> None:
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("open files cannot be counted here")
    dataset = SceneDataset(scenes, READING, shifted)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  Path.iterdir would count its own handle
    for epoch in range(20):
        _ = dataset[SampleKey(epoch, 0)]
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
