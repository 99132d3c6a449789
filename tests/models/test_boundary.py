"""A network with a boundary head learns to separate touching parcels."""

import numpy as np
import pytest
import torch
from scipy.ndimage import label

from seg.labels import CROPLAND, OTHER
from seg.losses.config import LossConfig
from seg.losses.mixture import CroplandLoss
from seg.models.build import build_model
from seg.models.config import ModelConfig
from seg.models.segmenter import Heads, Segmenter

SMALL = ModelConfig(
    encoder="dilated_tiny", output_stride=4, pyramid_rates=(1,), pyramid_channels=16, decoder_channels=(16, 16),
    dropout=0.0, boundary=True,
)  # fmt: skip


def parcels(seed: int) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Image, mask and number of fields of a pattern of fields and paths; the image blurs the paths of one pixel."""
    random = np.random.default_rng(seed)
    mask = torch.full((48, 48), CROPLAND, dtype=torch.uint8)
    rows, columns = (8 + random.integers(-2, 3) + np.array([0, 14, 28]) for _ in range(2))
    mask[rows] = OTHER
    mask[:, columns] = OTHER
    image = torch.nn.functional.avg_pool2d(mask[None, None].float(), 3, stride=1, padding=1)
    return image + 0.1 * torch.from_numpy(random.standard_normal((1, 1, 48, 48))).float(), mask[None], 16


def trained(config: ModelConfig, loss: LossConfig) -> Segmenter:
    torch.manual_seed(0)
    model = build_model(config, bands=1).train()
    criterion, optimizer = CroplandLoss(loss), torch.optim.AdamW(model.parameters(), lr=5e-3)
    for step in range(60):
        image, mask, _ = parcels(step)
        heads = model.heads(image)
        optimizer.zero_grad()
        criterion(heads.cropland, mask, heads.boundary).backward()
        optimizer.step()
    return model.eval()


def test_touching_parcels_are_separate_in_the_interior() -> None:
    model = trained(SMALL, LossConfig(boundary=1.0))
    counts = []
    for seed in range(1000, 1005):
        image, _, wanted = parcels(seed)
        with torch.inference_mode():
            interior = model.heads(image).interior_probability()[0, 0] > 0.5
        sizes = np.bincount(label(interior.numpy())[0].ravel())[1:]
        counts.append((int((sizes >= 4).sum()), wanted))
    assert all(abs(found - wanted) <= 1 for found, wanted in counts), counts


def test_the_cropland_logit_is_the_same_with_or_without_asking_for_the_boundary() -> None:
    model = build_model(SMALL, bands=2).eval()
    image = torch.randn(1, 2, 9, 13)
    with torch.inference_mode():
        heads = model.heads(image)
        assert torch.equal(model(image), heads.cropland)
    assert heads.boundary is not None
    assert heads.boundary.shape == (1, 1, 9, 13)


def test_without_a_boundary_the_interior_is_the_cropland() -> None:
    logits = torch.randn(1, 1, 3, 3)
    assert torch.equal(Heads(logits, None).interior_probability(), logits.sigmoid())


@pytest.mark.parametrize("architecture", ["unet", "deeplabv3plus"])
def test_a_baseline_can_have_a_boundary_too(architecture: str) -> None:
    model = build_model(ModelConfig(architecture=architecture, encoder="resnet18", boundary=True), bands=3).eval()
    with torch.inference_mode():
        heads = model.heads(torch.randn(1, 3, 20, 31))
    assert heads.boundary is not None
    assert heads.cropland.shape == heads.boundary.shape == (1, 1, 20, 31)
