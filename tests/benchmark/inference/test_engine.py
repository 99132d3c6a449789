from pathlib import Path

import pytest
import rasterio

from seg.benchmark.inference import engine
from seg.benchmark.inference.engine import (
    forward_speed,
    peak_memory_mib,
    plain_copy,
    run_engine,
)
from seg.benchmark.inference.packages import write_pointwise
from seg.benchmark.subjects import write_scene
from seg.inference.settings import ComputeSettings, PredictionSettings

COMPUTE = ComputeSettings(backend="onnx", threads=1)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("engine")
    write_pointwise(folder / "model")
    write_scene(folder / "scene.tif", folder / "mask.tif", 300)
    return folder


def test_a_run_reports_its_blocks_and_writes_the_maps(place: Path) -> None:
    settings = PredictionSettings(block_size=128, halo=16)
    run = run_engine(place / "model", [place / "scene.tif"] * 2, place / "map.tif", settings, COMPUTE)
    assert (run.blocks, run.cut, run.shape) == (9, "128, halo 16", (160, 160))
    assert run.redundancy == pytest.approx(((144 + 160 + 60) / 300) ** 2)
    assert 0 < run.seconds < 60
    assert 50 < run.peak_mib <= peak_memory_mib()
    with rasterio.open(place / "map.tif") as dataset:
        assert dataset.shape == (300, 300)


def test_plain_copies_have_the_content_of_the_maps(place: Path) -> None:
    maps = [place / "one.tif", place / "one_probability.tif"]
    run_engine(place / "model", [place / "scene.tif"], maps[0], PredictionSettings(), COMPUTE)
    assert plain_copy(place / "scene.tif", maps, place) > 0
    for number, path in enumerate(maps):
        with rasterio.open(path) as one, rasterio.open(place / f"copy_{number}.tif") as other:
            assert (one.read() == other.read()).all()
            assert one.profile["compress"] == other.profile["compress"]
            assert other.overviews(1) == []


def test_the_forward_pass_alone_is_timed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "FORWARD_SECONDS", 0.0)
    assert forward_speed(place / "model", (64, 96), PredictionSettings(), COMPUTE) > 0
