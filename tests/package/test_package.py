import copy
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from seg.errors import ClaimError, ConfigError, PackageError, WriteError
from seg.files import claimed
from seg.models.build import build_model
from seg.models.config import ModelConfig
from seg.package.checkpoint import Checkpoint
from seg.package.description import DESCRIPTION, WEIGHTS
from seg.package.read import load_model, read_package
from seg.package.write import add_onnx, write_package
from support.networks import TINY_NETWORK


def checkpoint_of(model: torch.nn.Module, bands: int = 2) -> Checkpoint:
    return Checkpoint(
        path=Path("best.ckpt"),
        weights=model.state_dict(),
        task={"bands": bands, "model": TINY_NETWORK.arguments(), "threshold": 0.4},
        data={"bands": [3, 1], "image_bands": 4, "band_names": ["red", "nir"], "nodata": 0.0, "pixel_size_m": 10.0},
        metrics={"val/iou": 0.9},
    )


@pytest.fixture(scope="module")
def trained() -> torch.nn.Module:
    model = build_model(TINY_NETWORK, bands=2).eval()
    model.normalization.fill([10.0, 20.0], [1.0, 2.0])
    return model


@pytest.fixture
def folder(trained: torch.nn.Module, tmp_path: Path) -> Path:
    write_package(checkpoint_of(trained), tmp_path / "model")
    return tmp_path / "model"


def test_a_package_gives_the_same_logits_as_the_trained_model(trained: torch.nn.Module, folder: Path) -> None:
    image = torch.randn(1, 2, 30, 40) + 10
    loaded = load_model(folder, read_package(folder))
    with torch.inference_mode():
        assert torch.equal(loaded(image), trained(image))


def test_the_description_holds_all_that_inference_needs(folder: Path) -> None:
    package = read_package(folder)
    assert (package.band_names, package.mean, package.std) == (("red", "nir"), (10.0, 20.0), (1.0, 2.0))
    assert (package.bands, package.image_bands, package.nodata) == ((3, 1), 4, 0.0)
    assert (package.pixel_size_m, package.threshold, package.stride) == (10.0, 0.4, 2)
    assert package.receptive_field > 30
    assert package.metrics == {"val/iou": 0.9}
    assert {"cropland-seg", "torch", "lightning"} <= package.versions.keys()


def test_the_description_keeps_scales_and_offsets(trained: torch.nn.Module, folder: Path) -> None:
    assert (read_package(folder).scales, read_package(folder).offsets) == (None, None)
    checkpoint = checkpoint_of(trained)
    stated = replace(checkpoint, data={**checkpoint.data, "scales": [0.5, 0.5], "offsets": [-0.1, 0.0]})
    write_package(stated, folder)
    assert (read_package(folder).scales, read_package(folder).offsets) == ((0.5, 0.5), (-0.1, 0.0))


def test_the_threshold_can_be_set_at_export(trained: torch.nn.Module, tmp_path: Path) -> None:
    assert write_package(checkpoint_of(trained), tmp_path / "model", threshold=0.7).threshold == 0.7


def test_a_package_holds_only_the_description_and_the_weights(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [DESCRIPTION, WEIGHTS]


def test_a_package_can_be_replaced(trained: torch.nn.Module, folder: Path) -> None:
    write_package(checkpoint_of(trained), folder, threshold=0.6)
    assert read_package(folder).threshold == 0.6


@pytest.mark.parametrize("name", [DESCRIPTION, WEIGHTS])
def test_a_missing_file_is_named_in_the_error(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(PackageError, match=f"{name}: no such file"):
        read_package(folder)


def test_changed_weights_are_refused(folder: Path) -> None:
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (folder / WEIGHTS).write_bytes(content)
    with pytest.raises(PackageError, match=r"model\.safetensors: is not the file"):
        read_package(folder)


@pytest.mark.parametrize("content", ["", "[1, 2]", "{}", '{"format": 3, "labels": {}}', "\x00"])
def test_a_damaged_description_is_refused_in_one_line(folder: Path, content: str) -> None:
    (folder / DESCRIPTION).write_text(content)
    with pytest.raises(PackageError, match=r"model\.json: not a description"):
        read_package(folder)


@pytest.mark.parametrize("other", [2, 99])
def test_another_format_is_named_in_the_error(folder: Path, other: int) -> None:
    path = folder / DESCRIPTION
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": other, "bands": None}))
    with pytest.raises(PackageError, match=f"has format {other}, this version reads 3 and 4"):
        read_package(folder)


def test_weights_of_another_architecture_are_refused(folder: Path) -> None:
    path = folder / DESCRIPTION
    description = json.loads(path.read_text())
    description["architecture"]["arguments"]["pyramid_channels"] = 16
    path.write_text(json.dumps(description))
    with pytest.raises(PackageError, match="do not fit the stated architecture"):
        load_model(folder, read_package(folder))


def test_edited_statistics_are_refused(folder: Path) -> None:
    path = folder / DESCRIPTION
    path.write_text(json.dumps(json.loads(path.read_text()) | {"mean": [11.0, 20.0]}))
    with pytest.raises(PackageError, match="statistics differ from those in the weights"):
        load_model(folder, read_package(folder))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("architecture", None),
        ("architecture", {"name": "segmenter", "arguments": []}),
        ("bands", [9, 1]),
        ("bands", [1.5, 2]),
        ("bands", "12"),
        ("band_names", ["red", 7]),
        ("image_bands", True),
        ("mean", [1.0]),
        ("mean", [math.nan, 1.0]),
        ("std", [0.0, 1.0]),
        ("nodata", []),
        ("pixel_size_m", "x"),
        ("pixel_size_m", 0),
        ("pixel_size_m", 1e308),
        ("temperature", 0),
        ("bias", math.inf),
        ("threshold", 7),
        ("stride", 0),
        ("stride", 1.5),
        ("receptive_field", -1),
        ("metrics", {"val/iou": "high"}),
        ("versions", ["torch"]),
        ("weights_sha256", "../../x"),
        ("onnx_sha256", 5),
    ],
)
def test_a_value_of_a_wrong_type_or_range_is_named_in_the_error(folder: Path, name: str, value: object) -> None:
    path = folder / DESCRIPTION
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    with pytest.raises(PackageError, match=rf"model\.json: not a description of a model package \(.*{name}"):
        read_package(folder)


@pytest.mark.parametrize(
    ("name", "value"),
    [("encoder", ["a"]), ("decoder_channels", ["x"]), ("dropout", "much"), ("boundary", 1), ("output_stride", 8.5)],
)
def test_an_argument_of_a_wrong_type_is_named_in_the_error(folder: Path, name: str, value: object) -> None:
    path = folder / DESCRIPTION
    description = json.loads(path.read_text())
    description["architecture"]["arguments"][name] = value
    path.write_text(json.dumps(description))
    with pytest.raises(PackageError, match=rf"model\.model\.{name} is "):
        load_model(folder, read_package(folder))


class Killed(BaseException):
    """Simulates that the process is killed at a rename."""


@pytest.fixture(scope="module")
def exported(trained: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package with an ONNX file; tests must not change it."""
    folder = tmp_path_factory.mktemp("models") / "exported"
    write_package(checkpoint_of(trained), folder)
    add_onnx(folder)
    return folder


@pytest.mark.parametrize("moment", [1, 2, 3])
def test_a_killed_export_leaves_the_old_or_the_new_package_whole(
    trained: torch.nn.Module, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    folder = Path(shutil.copytree(exported, tmp_path / "model"))
    changed = copy.deepcopy(trained)
    with torch.no_grad():
        next(changed.parameters()).add_(1)
    renames, rename = [], Path.replace

    def killed(self: Path, target: Path) -> Path:
        renames.append(target)
        if len(renames) == moment:
            raise Killed
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        patch.setattr(Path, "unlink", lambda self, missing_ok=False: None)  # a killed process removes nothing
        with pytest.raises(Killed):
            write_package(checkpoint_of(changed), folder)
    found, image = load_model(folder, read_package(folder)), torch.randn(1, 2, 30, 40) + 10
    with torch.inference_mode():
        assert torch.equal(found(image), (changed if moment == 3 else trained)(image))
    write_package(checkpoint_of(changed), folder)
    assert {path.name for path in folder.iterdir()} == {DESCRIPTION, WEIGHTS}
    with torch.inference_mode():
        assert torch.equal(load_model(folder, read_package(folder))(image), changed(image))


@pytest.mark.parametrize("content", ['{"name": "a web page"}', "[]", "not JSON"])
def test_a_description_of_another_program_is_not_replaced(
    trained: torch.nn.Module, tmp_path: Path, content: str
) -> None:
    (tmp_path / DESCRIPTION).write_text(content)
    with pytest.raises(PackageError, match="is not a model package's description, so it is not replaced"):
        write_package(checkpoint_of(trained), tmp_path)
    assert (tmp_path / DESCRIPTION).read_text() == content


def test_an_export_into_a_package_in_use_is_refused(trained: torch.nn.Module, folder: Path) -> None:
    with claimed(folder), pytest.raises(ClaimError, match="another process uses this folder"):
        write_package(checkpoint_of(trained), folder)


def test_an_unbounded_network_has_no_receptive_field_in_its_package(tmp_path: Path) -> None:
    config = ModelConfig(encoder="tu-mobilenetv3_small_050", pyramid_channels=8, decoder_channels=(8, 8, 8))
    model = build_model(config, bands=2)
    model.normalization.fill([0.0, 0.0], [1.0, 1.0])
    pooled = replace(checkpoint_of(model), task={"bands": 2, "model": config.arguments(), "threshold": 0.5})
    write_package(pooled, tmp_path / "model")
    assert read_package(tmp_path / "model").receptive_field is None


def test_a_failed_onnx_export_is_reported_and_the_package_is_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ConfigError("this network does not run as ONNX")

    monkeypatch.setattr("seg.models.onnx_export.export_onnx", refuse)
    with pytest.raises(PackageError, match=r"model: this network does not run as ONNX; leave --onnx and --qgis out"):
        add_onnx(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["model.json", "model.safetensors"]


def test_a_folder_that_cannot_be_created_is_named_in_the_error(trained: torch.nn.Module, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WriteError, match=r"file/model: cannot be written"):
        write_package(checkpoint_of(trained), tmp_path / "file" / "model")


def test_statistics_come_from_the_weights(folder: Path) -> None:
    package = read_package(folder)
    model = load_model(folder, package)
    np.testing.assert_allclose(model.normalization.mean.numpy(), package.mean)
    shutil.rmtree(folder)


def test_loading_a_package_downloads_no_weights(folder: Path) -> None:
    content = json.loads((folder / "model.json").read_text())
    content["architecture"]["arguments"]["encoder_weights"] = "nowhere.pth"
    (folder / "model.json").write_text(json.dumps(content))
    load_model(folder, read_package(folder))
