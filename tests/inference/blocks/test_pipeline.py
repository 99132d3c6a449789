import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.io import DatasetReader

from seg.errors import RasterError
from seg.inference.compute.predictor import Predictor
from seg.inference.planning.plan import Plan
from seg.inference.reading import BlockReader
from seg.inference.scene import predict_scene
from seg.inference.settings import PredictionSettings
from seg.raster.chips import Chip
from seg.raster.windows import Block
from seg.raster.writing.block_store import BlockPixels, BlockStore, partial_folder

MakeScene = Callable[..., Path]
MakePredictor = Callable[..., Predictor]

SETTINGS = PredictionSettings(block_size=64, halo=16)


def silent(plan: Plan, done: int) -> None:
    """Report nothing."""


def counting(predictor: Predictor, before: Callable[[int], None]) -> Predictor:
    """The predictor, which calls `before` with the number of each image before it computes the image."""
    plain, begun = predictor.start, [0]

    def start(image: np.ndarray) -> Callable[[], np.ndarray]:
        before(begun[0])
        begun[0] += 1
        return plain(image)

    predictor.start = start  # type: ignore[method-assign]
    return predictor


def test_an_interrupt_leaves_the_finished_blocks_and_no_thread(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    scene, output, threads = make_scene(150, 200), tmp_path / "map.tif", threading.active_count()

    def interrupt(number: int) -> None:
        if number == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_scene(scene, output, counting(make_predictor(), interrupt), SETTINGS, silent)
    assert len(list(partial_folder(output).glob("*.npy"))) == 6
    assert threading.active_count() == threads
    maps = predict_scene(scene, output, make_predictor(), SETTINGS, silent)
    whole = predict_scene(scene, tmp_path / "whole.tif", make_predictor(), SETTINGS, silent)
    assert maps.probability.read_bytes() == whole.probability.read_bytes()


def test_a_block_that_cannot_be_written_ends_the_run_at_once(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(store: BlockStore, name: str, pixels: BlockPixels) -> None:
        raise RasterError("no space left")

    monkeypatch.setattr(BlockStore, "write", full)
    begun: list[int] = []
    predictor = counting(make_predictor(), begun.append)
    with pytest.raises(RasterError, match="no space left"):
        predict_scene(make_scene(300, 300), tmp_path / "map.tif", predictor, SETTINGS, silent)
    assert len(begun) == 2


def test_a_block_that_cannot_be_read_ends_the_run_and_keeps_the_blocks_before(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    scene = make_scene(320, 320, tiled=True, blockxsize=64, blockysize=64, compress="deflate")
    content = scene.read_bytes()
    scene.write_bytes(content[: len(content) * 3 // 4])
    settings = PredictionSettings(block_size=64, halo=0)
    with pytest.raises(RasterError, match=r"scene\.tif: pixels at row .* cannot be read"):
        predict_scene(scene, tmp_path / "map.tif", make_predictor(), settings, silent)
    assert len(list(partial_folder(tmp_path / "map.tif").glob("*.npy"))) > 5


def test_computing_waits_for_a_slow_disk(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, written, ahead = BlockStore.write, [0], []

    def slow(store: BlockStore, name: str, pixels: BlockPixels) -> None:
        time.sleep(0.02)
        plain(store, name, pixels)
        written[0] += 1

    monkeypatch.setattr(BlockStore, "write", slow)
    predictor = counting(make_predictor(), lambda number: ahead.append(number - written[0]))
    predict_scene(make_scene(200, 200), tmp_path / "map.tif", predictor, SETTINGS, silent)
    assert max(ahead) <= 1
    assert written == [16]


def test_maps_do_not_depend_on_the_number_of_started_blocks(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    scene, made = make_scene(150, 200, nodata=0), []
    with rasterio.open(scene, "r+") as dataset:
        dataset.write(np.zeros((3, 90, 90), np.uint16), window=((0, 90), (0, 90)))
    for ahead in (0, 1, 3):
        predictor = make_predictor()
        predictor.members[0].backend.ahead = ahead
        made.append(predict_scene(scene, tmp_path / f"{ahead}.tif", predictor, SETTINGS, silent))
    assert len({maps.classes.read_bytes() for maps in made}) == 1
    assert len({maps.probability.read_bytes() for maps in made}) == 1


def test_blocks_of_another_backend_are_not_resumed(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    def interrupt(number: int) -> None:
        if number == 2:
            raise KeyboardInterrupt

    scene, output = make_scene(150, 200), tmp_path / "map.tif"
    with pytest.raises(KeyboardInterrupt):
        predict_scene(scene, output, counting(make_predictor(), interrupt), SETTINGS, silent)
    other = make_predictor()
    other.members[0].backend.name = "torch cuda 16"
    with pytest.raises(RasterError, match="another backend"):
        predict_scene(scene, output, other, SETTINGS, silent)


def test_tiled_scenes_are_read_by_two_threads_and_striped_scenes_by_one_thread(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, threads = BlockReader.read, set[int]()

    def read(reader: BlockReader, dataset: DatasetReader, block: Block) -> Chip:
        threads.add(threading.get_ident())
        time.sleep(0.002)
        return plain(reader, dataset, block)

    monkeypatch.setattr(BlockReader, "read", read)
    made = []
    for name, layout in (("tiled", {"tiled": True, "blockxsize": 64, "blockysize": 64}), ("striped", {})):
        threads.clear()
        scene = make_scene(200, 200, **layout)
        made.append(predict_scene(scene, tmp_path / f"{name}.tif", make_predictor(), SETTINGS, silent))
        assert len(threads) == (2 if layout else 1)
    with rasterio.open(made[0].probability) as one, rasterio.open(made[1].probability) as other:
        np.testing.assert_array_equal(one.read(), other.read())
