from pathlib import Path

import onnxruntime
import pytest
import torch

from seg.models.build import build_model
from seg.package.read import read_package
from support.commands import assert_mistake, run_command
from support.networks import TINY_NETWORK


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    network = build_model(TINY_NETWORK, bands=2)
    network.normalization.fill([1.0, 2.0], [3.0, 4.0])
    content = {
        "state_dict": {f"model.{name}": value for name, value in network.state_dict().items()},
        "hyper_parameters": {"bands": 2, "model": TINY_NETWORK.arguments(), "threshold": 0.5},
        "CroplandDataModule": {
            "bands": [1, 2],
            "image_bands": 2,
            "band_names": ["red", "nir"],
            "nodata": None,
            "pixel_size_m": None,
        },
        "metrics": {"val/iou": 0.8},
    }
    torch.save(content, tmp_path / "best.ckpt")
    return tmp_path / "best.ckpt"


def test_a_checkpoint_becomes_a_package(checkpoint: Path, tmp_path: Path) -> None:
    output = tmp_path / "models" / "new"
    status, out, _ = run_command("export", f"--checkpoint={checkpoint}", f"--output={output}", "--threshold=0.3")
    assert status == 0
    assert "2 bands" in out
    assert read_package(output).threshold == 0.3


def test_onnx_file_is_removed_when_the_weights_are_replaced(checkpoint: Path, tmp_path: Path) -> None:
    output = tmp_path / "new"
    status, out, _ = run_command("export", f"--checkpoint={checkpoint}", f"--output={output}", "--onnx")
    assert status == 0
    assert "new/model.onnx" in out
    session = onnxruntime.InferenceSession(output / "model.onnx")
    assert session.get_modelmeta().custom_metadata_map["weights_sha256"] == read_package(output).weights_sha256
    assert sorted(path.name for path in output.iterdir()) == ["model.json", "model.onnx", "model.safetensors"]
    run_command("export", f"--checkpoint={checkpoint}", f"--output={output}")
    assert not (output / "model.onnx").exists()


def test_temperature_bias_and_threshold_are_printed(checkpoint: Path, tmp_path: Path) -> None:
    words = [f"--checkpoint={checkpoint}", f"--output={tmp_path / 'new'}"]
    _, out, _ = run_command("export", *words)
    assert "threshold 0.5, temperature 1, bias 0 (not calibrated)" in out
    calibration = {"temperature": 1.5, "bias": -0.25, "threshold": 0.4, "f1_threshold": 0.3}
    calibration |= {"ece_before": 0.1, "ece_after": 0.02}
    torch.save(torch.load(checkpoint, weights_only=True) | {"calibration": calibration}, checkpoint)
    for option, threshold in ((None, 0.4), ("--threshold=f1", 0.3), ("--threshold=0.7", 0.7)):
        _, out, _ = run_command("export", *words, *filter(None, [option]))
        assert (
            f"threshold {threshold}, temperature 1.5, bias -0.25 (calibration error 0.100 before, 0.020 after)" in out
        )
        assert read_package(tmp_path / "new").threshold == threshold


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--checkpoint=none.ckpt", "--output=models/x"], ["none.ckpt", "no such file"]),
        (["--checkpoint=text.ckpt", "--output=models/x"], ["text.ckpt", "from scripts/train.py"]),
        (["--checkpoint=best.ckpt", "--output=text.ckpt/x"], ["text.ckpt/x", "cannot be written"]),
        (["--checkpoint=best.ckpt", "--output=x", "--threshold=2"], ["threshold is 2"]),
        (
            ["--checkpoint=best.ckpt", "--output=x", "--threshold=area"],
            ["best.ckpt", "no threshold for area"],
        ),
        (["--checkpoint=odd.ckpt", "--output=x"], ["odd.ckpt", "threshold 'high'", "wanted a finite number"]),
        (["--checkpoint=best.ckpt"], ["output"]),
    ],
)
def test_a_mistake_is_reported_in_one_line_with_exit_status_2(
    checkpoint: Path, words: list[str], named: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(checkpoint.parent)
    Path("text.ckpt").write_text("just text")
    torch.save(torch.load("best.ckpt", weights_only=True) | {"calibration": {"threshold": "high"}}, "odd.ckpt")
    assert_mistake(run_command("export", *words), *named)
