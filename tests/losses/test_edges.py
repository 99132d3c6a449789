import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from seg.errors import ConfigError
from seg.labels import CROPLAND, IGNORE, OTHER
from seg.losses.config import LossConfig
from seg.losses.edges import boundary_mask, edge_weights
from seg.losses.mixture import CroplandLoss
from support.loss_references import brute_force_weights, only

masks = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=7), elements=st.sampled_from([0, 1, 255]))


def brute_force(mask: np.ndarray, width: int) -> np.ndarray:
    edges = np.zeros_like(mask)
    for row, column in np.ndindex(*mask.shape):
        top, left = max(row - width, 0), max(column - width, 0)
        near = set(mask[top : row + width + 1, left : column + width + 1].ravel().tolist())
        edge = {CROPLAND, OTHER} <= near
        unknown = mask[row, column] == IGNORE or (IGNORE in near and not edge)
        edges[row, column] = IGNORE if unknown else edge
    return edges


@settings(deadline=None, max_examples=60)
@given(masks, st.integers(1, 3))
def test_boundary_pixels_have_both_classes_nearby(mask: np.ndarray, width: int) -> None:
    found = boundary_mask(torch.from_numpy(mask)[None], width)
    assert found.dtype == torch.uint8
    np.testing.assert_array_equal(found[0].numpy(), brute_force(mask, width))


def test_the_loss_of_the_boundary_is_added_with_its_weight() -> None:
    logits, boundary = torch.randn(2, 1, 1, 6, 6)
    mask = torch.randint(0, 2, (1, 6, 6), dtype=torch.uint8)
    plain = CroplandLoss(LossConfig())(logits, mask)
    edges = CroplandLoss(LossConfig())(boundary, boundary_mask(mask, 1))
    both = CroplandLoss(LossConfig(boundary=0.5))(logits, mask, boundary)
    assert both.item() == pytest.approx(plain.item() + 0.5 * edges.item())


@pytest.mark.parametrize("value", [OTHER, CROPLAND, IGNORE])
def test_masks_without_any_edge_give_finite_gradients(value: int) -> None:
    logits = torch.randn(2, 1, 1, 5, 5, requires_grad=True)
    mask = torch.full((1, 5, 5), value, dtype=torch.uint8)
    CroplandLoss(LossConfig(boundary=1.0))(logits[0], mask, logits[1]).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("arguments", [{"boundary": -1.0}, {"boundary": math.nan}, {"boundary_width": 0}])
def test_an_invalid_boundary_is_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="a weight of 0 or more and a width of at least 1"):
        CroplandLoss(LossConfig(**arguments))


@settings(deadline=None, max_examples=60)
@given(masks, st.sampled_from([0.3, 0.7, 1.2, 3.0]))
def test_the_weight_of_a_pixel_follows_its_distance_to_an_edge(mask: np.ndarray, sigma: float) -> None:
    found = edge_weights(torch.from_numpy(mask)[None], 3.0, sigma)
    np.testing.assert_allclose(found.numpy(), brute_force_weights(mask[None], 3.0, sigma), rtol=1e-5)


def test_an_ignored_pixel_is_not_an_edge() -> None:
    mask = torch.full((1, 9, 9), CROPLAND, dtype=torch.uint8)
    mask[:, 4:] = IGNORE
    assert (edge_weights(mask, 10.0, 2.0) == 1).all()
    mask[:, 5:] = OTHER  # an ignored row separates the classes, so there is no edge
    assert (edge_weights(mask, 10.0, 2.0) == 1).all()


def test_a_heavier_edge_gets_a_larger_gradient_and_the_inside_an_unchanged_one() -> None:
    mask = torch.full((1, 1, 40), CROPLAND, dtype=torch.uint8)
    mask[..., 20:] = OTHER
    logits = torch.zeros(1, 1, 1, 40, requires_grad=True)
    config = only("boundary_bce", edge_weight=4.0, edge_sigma=2.0)
    (weighted,) = torch.autograd.grad(CroplandLoss(config)(logits, mask), logits)
    (plain,) = torch.autograd.grad(CroplandLoss(only("bce"))(logits, mask), logits)
    ratio = (weighted / plain)[0, 0, 0]
    assert ratio[[19, 20]].tolist() == pytest.approx([5, 5])
    assert ratio[[0, 39]].tolist() == pytest.approx([1, 1])
