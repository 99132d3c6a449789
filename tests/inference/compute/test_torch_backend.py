from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from seg.errors import ConfigError
from seg.inference.compute.choose_backend import open_backend
from seg.inference.compute.torch_backend import TorchBackend
from seg.inference.settings import ComputeSettings
from seg.package.read import load_model, read_package


def test_the_interior_is_cropland_without_edges(with_boundary: Path) -> None:
    package = read_package(with_boundary)
    image = np.random.default_rng(0).standard_normal((2, 20, 30)).astype(np.float32)
    cropland, interior = (
        TorchBackend(with_boundary, package, ComputeSettings(device="cpu"), interior).start(image)()
        for interior in (False, True)
    )
    with torch.inference_mode():
        heads = load_model(with_boundary, package).heads(torch.from_numpy(image)[None])
    assert heads.boundary is not None
    np.testing.assert_allclose(cropland, heads.cropland.sigmoid()[0, 0], atol=1e-6)
    np.testing.assert_allclose(interior, cropland * (1 - heads.boundary.sigmoid()[0, 0].numpy()), atol=1e-6)


def test_temperature_and_bias_change_the_logits_of_cropland_and_leave_the_edges(with_boundary: Path) -> None:
    package = replace(read_package(with_boundary), temperature=2.5, bias=-0.8)
    image = np.random.default_rng(0).standard_normal((2, 20, 30)).astype(np.float32)
    with torch.inference_mode():
        heads = load_model(with_boundary, package).heads(torch.from_numpy(image)[None])
    assert heads.boundary is not None
    wanted = (heads.cropland / 2.5 - 0.8).sigmoid()[0, 0]
    edge = heads.boundary.sigmoid()[0, 0]
    for interior, probability in ((False, wanted), (True, wanted * (1 - edge))):
        found = TorchBackend(with_boundary, package, ComputeSettings(device="cpu"), interior).start(image)()
        np.testing.assert_allclose(found, probability, atol=1e-6)


def test_a_model_without_a_boundary_head_has_no_interior(package_folder: Path) -> None:
    with pytest.raises(ConfigError, match="no boundary head, which --interior needs"):
        open_backend(package_folder, read_package(package_folder), ComputeSettings(), interior=True)
