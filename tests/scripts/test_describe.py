import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from seg.models.build import build_model
from seg.models.config import ModelConfig
from seg.package.checkpoint import Checkpoint
from seg.package.write import write_package
from support.commands import assert_mistake, run_command
from support.project import SCRIPTS

TINY = {"encoder": "dilated_tiny", "output_stride": 2, "pyramid_rates": [1], "decoder_channels": [8]}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(json.dumps({"model": {"model": TINY}}))
    return path


def test_text_and_json_agree(config: Path) -> None:
    _, text, _ = run_command("describe", f"--config={config}", "--bands=3", "--size=64")
    status, out, _ = run_command("describe", f"--config={config}", "--bands=3", "--size=64", "--json")
    found = json.loads(out)
    assert status == 0
    assert f"{found['parameters']:,}" in text
    assert f"{found['receptive_field_radius']} pixels on each side" in text
    assert f"{found['weights_bytes'] / 1e6:.2f} MB" in text
    assert f"{found['checkpoint']['bytes']['total'] / 1e6:.2f} MB (after" in text
    assert found["macs_per_pixel"] == found["macs"] / 64**2
    head = next(layer for layer in found["layers"] if layer["name"] == "network.head")
    assert head["macs"] == 8 * 64**2
    assert "| head " in text


def test_a_model_package_is_described_with_a_checkpoint_of_its_training(tmp_path: Path) -> None:
    model = build_model(ModelConfig.from_arguments(TINY), bands=2)
    data = {"bands": [1, 2], "image_bands": 2, "band_names": ["", ""], "nodata": None, "pixel_size_m": None}
    task = {"bands": 2, "model": TINY, "threshold": 0.5}
    write_package(Checkpoint(Path("x"), model.state_dict(), task, data, {}), tmp_path / "model")
    weights = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    torch.save({"state_dict": weights}, tmp_path / "last.ckpt")
    status, out, _ = run_command("describe", f"--model={tmp_path}/model", f"--checkpoint={tmp_path}/last.ckpt")
    assert status == 0
    assert "2 bands" in out
    assert f"({tmp_path}/last.ckpt)" in out
    assert "effective field" in out


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ([], ["either --config", "--model"]),
        (["--config=tiny.yaml", "--model=models/x"], ["either --config"]),
        (["--config=none.yaml"], ["none.yaml", "No such file"]),
        (["--model=models/x"], ["models/x", "model package"]),
        (["--config=tiny.yaml", "--bands=0"], ["bands is 0"]),
        (["--config=tiny.yaml", "--size=0"], ["size is 0"]),
        (["--config=tiny.yaml", "--size=40000"], ["size is 40000", "at most 4096"]),
        (["--config=tiny.yaml", "--checkpoint=none.ckpt"], ["none.ckpt", "no such file"]),
    ],
)
def test_a_mistake_is_reported_in_one_line_with_exit_status_2(
    config: Path, words: list[str], named: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(config.parent)
    assert_mistake(run_command("describe", *words), *named)


def test_the_script_runs_and_shadows_no_standard_module() -> None:
    command = [sys.executable, SCRIPTS / "describe.py", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "--config" in shown.stdout
    code = f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); import inspect; print(inspect.signature(print))"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
