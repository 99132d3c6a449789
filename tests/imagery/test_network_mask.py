import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from seg.errors import ConfigError
from seg.imagery import network_mask
from seg.imagery.recognition import open_product
from seg.imagery.scene import write_scene
from seg.imagery.settings import MaskSettings, SceneSettings
from seg.raster.grid import open_raster
from support.products import Safe, write_safe

NAMES = ("a.safetensors", "b.safetensors")
FAKE = """
def predict_from_array(image, patch_size, patch_overlap, no_data_value, destination_model_dir, model_version):
    assert min(image.shape[1:]) >= 64 and patch_overlap < patch_size and model_version == 4.0
    return (image[0] > 5000).astype("uint8")[None] * 3
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package in place of OmniCloudMask; it classifies pixels as cloud shadow if their red is above 5000."""
    folder = tmp_path / "site" / "omnicloudmask"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(FAKE)
    rows = ["file_name,version", *(f"{name},4" for name in NAMES), "old.pth,1"]
    (folder / "model_download_links.csv").write_text("\n".join(rows))
    monkeypatch.syspath_prepend(folder.parent)
    yield
    sys.modules.pop("omnicloudmask", None)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    folder = tmp_path / "weights"
    folder.mkdir()
    for name in NAMES:
        (folder / name).touch()
    return folder


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(("values", "hides"), [(None, True), ([3], True), ([1, 2], False)])
def test_classes_of_the_network_mask_the_scene(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch, values: list[int] | None, hides: bool
) -> None:
    monkeypatch.setattr(network_mask, "CORE", 32)
    monkeypatch.setattr(network_mask, "MARGIN", 8)
    product, stored = write_safe(tmp_path, Safe("L1C", bands=("B03", "B04", "B08"), size=(70, 90)))
    masking = MaskSettings("omnicloudmask", values, mask_weights=weights)
    write_scene(open_product(product), tmp_path / "x.vrt", SceneSettings(bands=["B03"]), masking)
    with open_raster(tmp_path / "x.vrt") as scene:
        valid = scene.read_masks(1) > 0
    # Pixels without data belong to no class, whatever their values.
    bright = (stored["B04"].astype(int) - 1000 > 5000) & (stored["B04"] > 0)
    np.testing.assert_array_equal(valid, ~(bright & hides))


def test_without_the_package_the_error_says_how_to_install_it(tmp_path: Path, weights: Path) -> None:
    with pytest.raises(ConfigError, match=r"is not installed; install it with pip install \.\[clouds\]"):
        network_mask.classify_clouds(tmp_path / "x.tif", tmp_path / "y.tif", weights)


@pytest.mark.usefixtures("package")
def test_missing_weights_are_named_in_the_error_and_not_downloaded(tmp_path: Path, weights: Path) -> None:
    (weights / NAMES[1]).unlink()
    for folder in (weights, None):
        with pytest.raises(ConfigError, match=r"wanted a folder with a\.safetensors, b\.safetensors; download"):
            network_mask.classify_clouds(tmp_path / "x.tif", tmp_path / "y.tif", folder)
