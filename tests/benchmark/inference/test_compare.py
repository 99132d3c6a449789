import itertools
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import rasterio
import torch
from torch import nn

from seg.benchmark.inference import compare as inference
from seg.benchmark.inference.compare import InferenceRow, PeerFigures, measure_inference, text_of
from seg.benchmark.inference.engine import EngineRun
from seg.benchmark.inference.packages import write_pointwise
from seg.benchmark.inference.peers import (
    MapScene,
    Peer,
    PeerRun,
    installed_peers,
    map_with_monai,
    map_with_terratorch,
    map_with_torchgeo,
)
from seg.benchmark.settings import InferenceSettings
from seg.benchmark.subjects import write_scene
from seg.errors import ConfigError


def run_of(seconds: float, peak_mib: float = 500.0) -> EngineRun:
    return EngineRun(
        "openvino cpu 32", seconds, peak_mib, blocks=4, cut="1024, halo 32", redundancy=1.25, shape=(1056, 1056)
    )


PEERS = {"monai": PeerFigures(PeerRun(10.0, 2345.0), seam_percent=17)}
ROW = InferenceRow("small", 8.0, (run_of(4.0), run_of(5.0, 700.0), run_of(10.0)), (2.0,), (1.0,), 1, PEERS)


def test_shares_of_the_row_are_computed_from_median_times() -> None:
    assert ROW.speed == 8 / 5
    assert ROW.of_forward == pytest.approx(0.8)
    assert ROW.of_computing == pytest.approx(1.0)
    assert ROW.of_copying == pytest.approx(0.2)
    assert ROW.peak_mib == 700


def test_the_report_names_limits_and_peers() -> None:
    text = text_of(InferenceSettings(), [ROW])
    assert "small: 4 blocks of 1024, halo 32, 1.25 computed pixels per pixel" in text
    assert "0.80 (1.00 if halo pixels count)" in text
    monai = next(line for line in text.splitlines() if "monai" in line)
    assert "0.8" in monai  # Mpx/s
    assert "2.00" in monai
    assert "2,345" in monai
    assert "17" in monai
    assert "openvino cpu 32, random weights" in text


def test_a_small_scene_is_measured_with_both_models(monkeypatch: pytest.MonkeyPatch, random_package: Path) -> None:
    monkeypatch.setattr(inference, "write_random", lambda folder, _: shutil.copytree(random_package, folder))
    # Figures are measured in this process, since starting a process for each figure takes most of a minute.
    monkeypatch.setattr(inference, "in_new_process", lambda function, *arguments: function(*arguments))
    monkeypatch.setattr("seg.benchmark.inference.engine.FORWARD_SECONDS", 0.0)
    monkeypatch.setattr(inference, "SEAM_SIDE", 256)
    settings = InferenceSettings(side=256, repeats=1, model="dilated_tiny_4", block_size=128, threads=1)
    rows = measure_inference(settings)
    assert [row.name for row in rows] == ["dilated_tiny_4", "1x1 convolution"]
    assert rows[1].seam_percent == 0
    assert all(len(row.runs) == len(row.forward) == len(row.copying) == 1 for row in rows)
    assert rows[0].plain()["of_copying"] == rows[0].of_copying


def test_an_unknown_model_is_refused_and_so_are_peers_if_none_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="wanted some of"):
        measure_inference(InferenceSettings(model="giant"))
    monkeypatch.setattr("seg.benchmark.inference.peers.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="none is installed"):
        measure_inference(InferenceSettings(peers=True))


def test_the_installed_peers_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seg.benchmark.inference.peers.find_spec", lambda name: name if name == "monai" else None)
    assert [peer.name for peer in installed_peers()] == ["monai"]


def fake_module(name: str, **members: object) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(members)
    return module


def sliding_window(
    image: torch.Tensor, size: tuple[int, int], batch: int, network: nn.Module, overlap: float
) -> torch.Tensor:
    assert (size, batch, overlap) == ((512, 512), 1, 0.25)
    logits: torch.Tensor = network(image)
    return logits


def tiled(network: nn.Module, image: torch.Tensor, crop: int, stride: int, batch_size: int) -> torch.Tensor:
    assert (crop, stride, batch_size) == (512, 384, 1)
    logits: torch.Tensor = network(image)
    return logits


class FakeRasterDataset(torch.utils.data.Dataset[dict[str, object]]):
    def __init__(self, paths: list[Path]) -> None:
        [self.path] = paths

    def __getitem__(self, place: tuple[slice, slice, slice]) -> dict[str, object]:
        with rasterio.open(self.path) as dataset:
            x, y, _ = place
            window = dataset.window(x.start, y.start, x.stop, y.stop).round_offsets().round_lengths()
            pixels = dataset.read(window=window, boundless=True, out_dtype="float32")
        return {"image": torch.from_numpy(pixels), "bounds": place}


class FakeGridSampler(torch.utils.data.Sampler[tuple[slice, slice, slice]]):
    """Tiles from the lower left corner; as in TorchGeo, the last tiles reach beyond the scene."""

    def __init__(self, dataset: FakeRasterDataset, size: int, stride: int) -> None:
        with rasterio.open(dataset.path) as raster:
            self.bounds, pixel = raster.bounds, raster.res[0]
            self.counts = [1 + max(0, -(-(length - size) // stride)) for length in raster.shape]
        self.size, self.stride = size * pixel, stride * pixel

    def __iter__(self) -> Iterator[tuple[slice, slice, slice]]:
        for row, column in itertools.product(*map(range, self.counts)):
            x, y = self.bounds.left + column * self.stride, self.bounds.bottom + row * self.stride
            yield slice(x, x + self.size), slice(y, y + self.size), slice(0, 1)


def stack(samples: list[dict[str, object]]) -> dict[str, object]:
    return {"image": torch.stack([sample["image"] for sample in samples]), "bounds": [s["bounds"] for s in samples]}


@pytest.mark.parametrize("maps", [map_with_monai, map_with_terratorch, map_with_torchgeo])
def test_a_peer_maps_the_whole_scene_with_the_weights_of_the_package(
    maps: MapScene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (
        fake_module("monai"),
        fake_module("monai.inferers", sliding_window_inference=sliding_window),
        fake_module("terratorch"),
        fake_module("terratorch.tasks"),
        fake_module("terratorch.tasks.tiled_inference", tiled_inference=tiled),
        fake_module("torchgeo"),
        fake_module("torchgeo.datasets", RasterDataset=FakeRasterDataset, stack_samples=stack),
        fake_module("torchgeo.samplers", GridGeoSampler=FakeGridSampler),
    ):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    scene, output = tmp_path / "scene.tif", tmp_path / "map.tif"
    write_scene(scene, tmp_path / "mask.tif", 1000)
    write_pointwise(tmp_path / "model")
    network = nn.Conv2d(4, 1, kernel_size=1)
    monkeypatch.setattr("seg.benchmark.inference.peers.load_model", lambda folder, package: network)
    run = Peer("one", maps).run(tmp_path / "model", scene, output)
    assert run.seconds > 0
    assert run.peak_mib > 50
    with rasterio.open(scene) as dataset, torch.inference_mode():
        wanted = network(torch.from_numpy(dataset.read(out_dtype="float32"))[None])[0, 0].sigmoid() * 100
    with rasterio.open(output) as dataset:
        np.testing.assert_allclose(dataset.read(1), wanted.round().numpy(), atol=1)
