import http
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.env import get_gdal_config
from rasterio.io import DatasetReader

from seg.errors import RasterError
from seg.imagery.readers.loose import loose_files
from seg.imagery.scene import write_scene
from seg.inference.blocks.pipeline import reading_order, run_blocks
from seg.inference.compute.predictor import Predictor
from seg.inference.planning.fitting import fit_scene
from seg.inference.planning.plan import Plan, plan_scene
from seg.inference.reading import BlockReader
from seg.inference.scene import predict_scene
from seg.inference.settings import PredictionSettings
from seg.raster.chips import Chip
from seg.raster.windows import Block
from seg.raster.writing.block_store import open_store, partial_folder
from support.range_server import RangeServer, range_server

MakeScene = Callable[..., Path]
MakePredictor = Callable[..., Predictor]

CUT = PredictionSettings(block_size=96, halo=24)


def silent(plan: Plan, done: int) -> None:
    """Report nothing."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RangeServer]:
    with range_server(tmp_path) as running:
        yield running


@pytest.fixture
def scene(make_scene: MakeScene, tmp_path: Path) -> Path:
    """A Cloud Optimized GeoTIFF with overviews and 49 tiles, about 3 MB."""
    plain, path = make_scene(850, 850, "plain.tif"), tmp_path / "scene.tif"
    rasterio.shutil.copy(plain, path, driver="COG", blocksize=128, compress="deflate")
    return path


def bytes_of_tiles(path: Path, rows: range, columns: range) -> int:
    """Size of tiles of the full resolution in the file, in bytes."""
    names = [f"BLOCK_SIZE_{column}_{row}" for row in rows for column in columns]
    with rasterio.open(path) as dataset:
        return sum(int(dataset.get_tag_item(name, "TIFF", bidx=1)) for name in names)


def test_a_scene_on_a_server_is_fetched_once(
    scene: Path, server: RangeServer, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    there = predict_scene(Path(f"{server.url}/scene.tif"), tmp_path / "there.tif", make_predictor(), CUT, silent)
    assert server.sent <= 1.2 * bytes_of_tiles(scene, range(7), range(7))
    here = predict_scene(scene, tmp_path / "here.tif", make_predictor(), CUT, silent)
    for remote, local in ((there.classes, here.classes), (there.probability, here.probability)):
        with rasterio.open(remote) as first, rasterio.open(local) as second:
            np.testing.assert_array_equal(first.read(), second.read())


def test_tiles_of_a_scene_whose_files_are_on_a_server_are_fetched_once(
    scene: Path, server: RangeServer, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    write_scene(loose_files([Path(f"{server.url}/scene.tif")]), tmp_path / "scene.vrt")
    server.behave()
    predict_scene(tmp_path / "scene.vrt", tmp_path / "map.tif", make_predictor(), CUT, silent)
    assert server.sent <= 1.2 * bytes_of_tiles(scene, range(7), range(7))


@pytest.mark.campaign
def test_without_the_cache_halos_are_fetched_again(
    scene: Path, server: RangeServer, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    with rasterio.Env(GDAL_CACHEMAX=2**20):  # an option of the user, which must not be changed
        predict_scene(Path(f"{server.url}/scene.tif"), tmp_path / "map.tif", make_predictor(), CUT, silent)
    assert server.sent > 1.5 * bytes_of_tiles(scene, range(7), range(7))


@pytest.mark.parametrize("asked", [None, pytest.param("64", marks=pytest.mark.campaign)])
def test_the_plan_sets_the_cache_for_a_remote_scene_unless_the_user_did(
    scene: Path,
    server: RangeServer,
    make_predictor: MakePredictor,
    monkeypatch: pytest.MonkeyPatch,
    asked: str | None,
) -> None:
    monkeypatch.delenv("GDAL_CACHEMAX", raising=False)
    if asked is not None:
        monkeypatch.setenv("GDAL_CACHEMAX", asked)
    caches: list[tuple[int, object]] = []

    def note(plan: Plan, done: int) -> None:
        caches.append((plan.cache, get_gdal_config("GDAL_CACHEMAX")))

    before, output = get_gdal_config("GDAL_CACHEMAX"), scene.with_name("map.tif")
    predict_scene(Path(f"{server.url}/scene.tif"), output, make_predictor(), CUT, note)
    assert all(found == (before if asked else planned) for planned, found in caches)
    assert before not in {planned for planned, _ in caches}


def test_only_tiles_of_the_area_are_fetched(
    scene: Path, server: RangeServer, make_predictor: MakePredictor, tmp_path: Path
) -> None:
    # Rows and columns 400 to 560 lie in one block of 192, which reads 360 to 600 with its halo: tiles 2 to 4.
    area = f"{500_000 + 4000},{5_400_000 - 5600},{500_000 + 5600},{5_400_000 - 4000}"
    settings = PredictionSettings(block_size=192, halo=24, area=area)
    predict_scene(Path(f"{server.url}/scene.tif"), tmp_path / "map.tif", make_predictor(), settings, silent)
    assert server.sent <= 1.2 * bytes_of_tiles(scene, range(2, 5), range(2, 5))


def test_a_run_resumes_with_a_remote_scene_unless_the_scene_was_replaced(
    scene: Path, server: RangeServer, make_predictor: MakePredictor, make_scene: MakeScene, tmp_path: Path
) -> None:
    def stop(plan: Plan, done: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    address, output = Path(f"{server.url}/scene.tif?sig=1"), tmp_path / "map.tif"
    with pytest.raises(KeyboardInterrupt):
        predict_scene(address, output, make_predictor(), CUT, stop)
    assert len(list(partial_folder(output).glob("*.npy"))) == 3
    begun: list[int] = []

    def stop_again(plan: Plan, done: int) -> None:
        begun.append(done)
        stop(plan, done)

    with pytest.raises(KeyboardInterrupt):
        predict_scene(Path(f"{server.url}/scene.tif?sig=2"), output, make_predictor(), CUT, stop_again)
    assert begun == [3]
    rasterio.shutil.copy(make_scene(850, 850, "o.tif", nodata=7), scene, driver="COG", blocksize=256, compress="lzw")
    with pytest.raises(RasterError, match="another scene version"):
        predict_scene(Path(f"{server.url}/scene.tif?sig=3"), output, make_predictor(), CUT, silent)


@pytest.mark.parametrize(("kind", "after"), [("address", 12), ("address", 15), ("mosaic", 2), ("mosaic", 4)])
def test_a_server_failure_ends_the_run(
    scene: Path, server: RangeServer, make_predictor: MakePredictor, kind: str, after: int
) -> None:
    address, output = Path(f"{server.url}/scene.tif"), scene.with_name("map.tif")
    if kind == "mosaic":
        address = scene.with_name("mosaic.vrt")
        rasterio.shutil.copy(f"/vsicurl/{server.url}/scene.tif", address, driver="VRT")
    server.behave(status=http.HTTPStatus.BAD_GATEWAY, after=after)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GDAL_HTTP_MAX_RETRY", "0")
        patch.setenv("GDAL_NUM_THREADS", "ALL_CPUS")
        with pytest.raises(RasterError, match=r"pixels at row .* cannot be read"):
            predict_scene(address, output, make_predictor(), CUT, silent)
    assert not output.exists()


def test_a_scene_wider_than_the_cache_is_read_in_strips(make_scene: MakeScene, make_predictor: MakePredictor) -> None:
    settings = PredictionSettings(block_size=64, halo=16)
    fitted = fit_scene(make_scene(600, 1000), make_predictor(), settings)
    remote = replace(fitted, grid=replace(fitted.grid, path=Path("https://host/scene.tif")))
    plan = plan_scene(remote, make_predictor(), settings)
    assert plan.cache > 0
    assert list(reading_order(plan)) == list(plan.blocks)
    column = (64 + 32 + 1024) * 512 * (3 * 2 + 1)
    narrow = list(reading_order(replace(plan, cache=6 * column)))
    assert sorted(narrow, key=lambda block: (block.row, block.column)) == list(plan.blocks)
    assert [block.column for block in narrow[:8]] == [0, 1, 2, 3, 0, 1, 2, 3]


def test_blocks_are_read_in_the_order_of_the_plan(
    make_scene: MakeScene, make_predictor: MakePredictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor, settings = make_predictor(), PredictionSettings(block_size=64, halo=16)
    fitted = fit_scene(make_scene(200, 700, tiled=True, blockxsize=64, blockysize=64), predictor, settings)
    column = (64 + 32 + 1024) * 512 * (3 * 2 + 1)
    plan = replace(plan_scene(fitted, predictor, settings), cache=6 * column)  # strips of four columns
    plain, read = BlockReader.read, []

    def note(reader: BlockReader, dataset: DatasetReader, block: Block) -> Chip:
        read.append(block)
        return plain(reader, dataset, block)

    monkeypatch.setattr(BlockReader, "read", note)
    with open_store(tmp_path / "map.tif", plan.record) as store:
        run_blocks(plan, predictor, store, silent)
    ordered = reading_order(plan)
    assert [block.column for block in ordered[:8]] == [0, 1, 2, 3, 0, 1, 2, 3]
    first = read[0]  # one of the largest blocks comes first
    assert read == [first, *(block for block in ordered if block != first)]


def test_the_order_of_a_local_file_is_unchanged(
    make_scene: MakeScene, make_predictor: MakePredictor, planned: Callable[..., Plan]
) -> None:
    plan = planned(make_scene(600, 1000), make_predictor(), CUT)
    assert plan.cache == 0
    assert reading_order(plan) is plan.blocks
