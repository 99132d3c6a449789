import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest
import rasterio
import torch
from torch import nn

from seg.benchmark.inference import compare as inference
from seg.benchmark.inference.compare import InferenceRow, measure_inference
from seg.benchmark.inference.engine import EngineRun
from seg.benchmark.inference.peers import (
    Peer,
    installed_peers,
    run_monai,
    run_terratorch,
)
from seg.benchmark.inference.report import text_of
from seg.benchmark.settings import InferenceSettings
from seg.benchmark.subjects import write_scene
from seg.errors import ConfigError


def run_of(seconds: float, peak_mib: float = 500.0) -> EngineRun:
    return EngineRun(seconds, peak_mib, blocks=4, block_size=1024, halo=32, redundancy=1.25, shape=(1056, 1056))


ROW = InferenceRow("small", 8.0, (run_of(4.0), run_of(5.0, 700.0), run_of(10.0)), (2.0,), (1.0,), 1, {"monai": 10.0})


def test_shares_use_medians_with_and_without_halos() -> None:
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


def test_a_small_scene_is_measured_with_both_models(monkeypatch: pytest.MonkeyPatch, random_package: Path) -> None:
    monkeypatch.setattr(inference, "write_random", lambda folder, _: shutil.copytree(random_package, folder))
    # In this process, since starting a process for each figure takes most of a minute.
    monkeypatch.setattr(inference, "in_new_process", lambda function, *arguments: function(*arguments))
    monkeypatch.setattr("seg.benchmark.inference.engine.FORWARD_SECONDS", 0.0)
    monkeypatch.setattr(inference, "SEAM_SIDE", 256)
    settings = InferenceSettings(side=256, repeats=1, model="dilated_tiny_4", block_size=128, threads=1)
    rows = measure_inference(settings)
    assert [row.name for row in rows] == ["dilated_tiny_4", "1x1 convolution"]
    assert rows[1].seam_percent == 0
    assert all(len(row.runs) == len(row.forward) == len(row.copying) == 1 for row in rows)
    assert rows[0].plain()["of_copying"] == rows[0].of_copying


def test_an_unknown_model_or_no_peer_is_refused_before_anything_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="wanted some of"):
        measure_inference(InferenceSettings(model="giant"))
    monkeypatch.setattr("seg.benchmark.inference.peers.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="neither is installed"):
        measure_inference(InferenceSettings(peers=True))


def test_the_installed_peers_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seg.benchmark.inference.peers.find_spec", lambda name: name if name == "monai" else None)
    assert [peer.name for peer in installed_peers()] == ["monai"]


def fake_module(name: str, **members: object) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(members)
    return module


@pytest.mark.parametrize("name", ["monai", "terratorch"])
def test_a_peer_maps_the_scene_with_the_weights_of_the_package(
    name: str, random_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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

    for module in (
        fake_module("monai"),
        fake_module("monai.inferers", sliding_window_inference=sliding_window),
        fake_module("terratorch"),
        fake_module("terratorch.tasks"),
        fake_module("terratorch.tasks.tiled_inference", tiled_inference=tiled),
    ):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    write_scene(tmp_path / "scene.tif", tmp_path / "mask.tif", 64)
    peer = Peer(name, {"monai": run_monai, "terratorch": run_terratorch}[name])
    assert peer.run(random_package, tmp_path / "scene.tif", tmp_path / "map.tif") > 0
    with rasterio.open(tmp_path / "map.tif") as dataset:
        assert (dataset.count, dataset.shape, set(dataset.read().ravel().tolist()) <= {0, 1}) == (1, (64, 64), True)
