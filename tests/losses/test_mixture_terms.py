"""Each loss equals its formula, and ignored pixels have no effect."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from seg.labels import CROPLAND, IGNORE, OTHER
from seg.losses.config import TERMS, LossConfig
from seg.losses.mixture import CroplandLoss
from support.loss_references import jaccard_loss, only, only_unusual, reference

SHAPE = (2, 3, 5)
DTYPES = [torch.float32, torch.float16, torch.bfloat16]
WITHOUT_PLACE = [name for name in TERMS if name != "boundary_bce"]
"""Losses that do not depend on the neighbours of a pixel."""

logits_of_any_size = arrays(np.float32, SHAPE, elements=st.floats(-30, 30, width=32))
masks = arrays(np.uint8, SHAPE, elements=st.sampled_from([OTHER, CROPLAND, IGNORE]))
every_term = pytest.mark.parametrize("name", TERMS)


def loss_of(logits: Tensor, mask: Tensor, config: LossConfig) -> Tensor:
    loss: Tensor = CroplandLoss(config)(logits[:, None], mask)
    return loss


def gradient_of(logits: Tensor, mask: Tensor, config: LossConfig) -> Tensor:
    z = logits.clone().requires_grad_()
    loss_of(z, mask, config).backward()
    assert z.grad is not None
    return z.grad


@every_term
@settings(deadline=None, max_examples=25)
@given(logits=logits_of_any_size, mask=masks)
def test_a_loss_equals_its_formula(name: str, logits: np.ndarray, mask: np.ndarray) -> None:
    found = loss_of(torch.from_numpy(logits), torch.from_numpy(mask), only_unusual(name)).item()
    assert found == pytest.approx(reference(name, logits, mask), rel=2e-4, abs=2e-5)


@every_term
def test_a_gradient_is_the_slope_of_the_formula(name: str) -> None:
    random = np.random.default_rng(3)
    logits, mask = random.normal(size=SHAPE), random.choice([OTHER, CROPLAND, IGNORE], SHAPE).astype(np.uint8)
    found = gradient_of(torch.from_numpy(logits).float(), torch.from_numpy(mask), only_unusual(name)).numpy()
    step = 1e-5
    for place in np.ndindex(*SHAPE):
        up, down = logits.copy(), logits.copy()
        up[place] += step
        down[place] -= step
        slope = (reference(name, up, mask) - reference(name, down, mask)) / (2 * step)
        assert found[place] == pytest.approx(slope, rel=1e-3, abs=1e-5)


@every_term
@settings(deadline=None, max_examples=20)
@given(logits=logits_of_any_size, mask=masks, others=logits_of_any_size, dtype=st.sampled_from(DTYPES))
def test_logits_at_ignored_pixels_change_neither_the_loss_nor_a_gradient(
    name: str, logits: np.ndarray, mask: np.ndarray, others: np.ndarray, dtype: torch.dtype
) -> None:
    labels, z = torch.from_numpy(mask), torch.from_numpy(logits).to(dtype)
    ignored = labels == IGNORE
    changed = torch.where(ignored, 1000 * torch.from_numpy(others), z).to(dtype)
    config = only_unusual(name)
    assert loss_of(changed, labels, config).item() == loss_of(z, labels, config).item()
    gradients = gradient_of(changed, labels, config)
    assert (gradients[ignored] == 0).all()
    assert torch.equal(gradients, gradient_of(z, labels, config))


@pytest.mark.parametrize("name", WITHOUT_PLACE)
@settings(deadline=None, max_examples=20)
@given(logits=logits_of_any_size, mask=masks)
def test_a_loss_depends_only_on_labelled_pixels(name: str, logits: np.ndarray, mask: np.ndarray) -> None:
    z, labels = torch.from_numpy(logits), torch.from_numpy(mask)
    known = labels != IGNORE
    if not known.any():
        return
    config = only_unusual(name)
    alone = loss_of(z[known][None, None], labels[known][None, None], config)
    assert loss_of(z, labels, config).item() == pytest.approx(alone.item(), rel=1e-4, abs=1e-5)


@every_term
def test_padding_does_not_change_the_loss(name: str) -> None:
    torch.manual_seed(0)
    z, labels = torch.randn(1, 6, 7), torch.randint(0, 2, (1, 6, 7), dtype=torch.uint8)
    padded = torch.nn.functional.pad(z, (0, 4, 0, 3), value=9.0)
    mask = torch.nn.functional.pad(labels, (0, 4, 0, 3), value=IGNORE)
    # Beside padding, only places where both classes are visible count as edges.
    config = only_unusual(name)
    assert loss_of(padded, mask, config).item() == pytest.approx(loss_of(z, labels, config).item(), rel=1e-5)


@every_term
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [OTHER, CROPLAND, IGNORE])
@pytest.mark.parametrize("size", [0.0, 30.0, 1e4])
def test_masks_of_one_value_give_a_finite_loss_and_finite_gradients(
    name: str, dtype: torch.dtype, value: int, size: float
) -> None:
    mask = torch.full((1, 1, 3), value, dtype=torch.uint8)
    for config in (only_unusual(name), only(name, focal_gamma=0.5)):
        z = torch.tensor([[[-size, size, 0.0]]]).to(dtype).requires_grad_()
        loss = loss_of(z, mask, config)
        loss.backward()
        assert z.grad is not None
        assert loss.isfinite()
        assert z.grad.isfinite().all()
        if value == IGNORE:
            assert loss.item() == 0
            assert (z.grad == 0).all()


@every_term
@pytest.mark.parametrize("sign", [-1, 1])
def test_extreme_logits_give_finite_gradients(name: str, sign: int) -> None:
    mask = torch.tensor([[[OTHER, CROPLAND, IGNORE]]], dtype=torch.uint8)
    for config in (only_unusual(name), only(name, focal_gamma=0.5)):
        assert gradient_of(torch.full((1, 1, 3), sign * 1e4), mask, config).isfinite().all()


@every_term
def test_under_autocast_a_loss_is_computed_in_float32(name: str) -> None:
    torch.manual_seed(0)
    z, mask = torch.randn(1, 16, 16).bfloat16(), torch.randint(0, 2, (1, 16, 16), dtype=torch.uint8)
    outside = loss_of(z, mask, only_unusual(name))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = loss_of(z, mask, only_unusual(name))
    assert inside.dtype == torch.float32
    assert inside.item() == outside.item()


@settings(deadline=None, max_examples=25)
@given(logits=logits_of_any_size, mask=masks)
def test_tversky_with_halves_is_dice(logits: np.ndarray, mask: np.ndarray) -> None:
    tensors = torch.from_numpy(logits), torch.from_numpy(mask)
    tversky = loss_of(*tensors, only("tversky", tversky_alpha=0.5, tversky_beta=0.5))
    assert tversky.item() == pytest.approx(loss_of(*tensors, only("dice")).item(), abs=1e-6)


def test_tversky_alpha_is_the_cost_of_commission() -> None:
    mask = torch.tensor([[[CROPLAND, CROPLAND, OTHER, OTHER]]], dtype=torch.uint8)
    too_much, too_little = torch.tensor([[[[99.0, 99, 99, -99]]], [[[99.0, -99, -99, -99]]]])
    config = only("tversky", tversky_alpha=0.2, tversky_beta=0.8)
    assert loss_of(too_much, mask, config).item() == pytest.approx(1 - 2 / (2 + 0.2))
    assert loss_of(too_little, mask, config).item() == pytest.approx(1 - 1 / (1 + 0.8))


@settings(deadline=None, max_examples=25)
@given(logits=logits_of_any_size, mask=masks)
def test_focal_with_a_gamma_of_0_is_cross_entropy(logits: np.ndarray, mask: np.ndarray) -> None:
    tensors = torch.from_numpy(logits), torch.from_numpy(mask)
    focal = loss_of(*tensors, only("focal", focal_gamma=0.0))
    # PyTorch computes the cross-entropy of a certain pixel as the difference of two large numbers.
    assert focal.item() == pytest.approx(loss_of(*tensors, only("bce")).item(), rel=1e-5, abs=1e-5)


def test_focal_reduces_easy_pixels_as_in_the_paper() -> None:
    """With gamma 2, a pixel of probability 0.9 has a hundredth of its cross-entropy, one of 0.968 a thousandth."""
    mask = torch.tensor([[[CROPLAND]]], dtype=torch.uint8)
    for probability, times in ((0.9, 100), (0.968, 1000)):
        z = torch.tensor([[[math.log(probability / (1 - probability))]]])
        ratio = loss_of(z, mask, only("bce")).item() / loss_of(z, mask, only("focal")).item()
        assert ratio == pytest.approx(times, rel=0.03)


@settings(deadline=None, max_examples=40)
@given(mask=masks, wrong=arrays(np.bool_, SHAPE))
def test_the_lovasz_hinge_is_the_jaccard_loss_where_errors_are_0_or_1(mask: np.ndarray, wrong: np.ndarray) -> None:
    """A right pixel at the margin has an error of 0; a wrong pixel has an error of 1 at logit 0 and 2 at the margin."""
    side = np.where(mask == CROPLAND, 1.0, -1.0)
    known = mask != IGNORE
    wanted = jaccard_loss(wrong[known].astype(float), (mask[known] == CROPLAND).astype(float))
    for wrong_logit, error in ((0.0, 1), (-1.0, 2)):
        z = torch.from_numpy(np.where(wrong, wrong_logit, 1.0) * side).float()
        found = loss_of(z, torch.from_numpy(mask), only("lovasz")).item()
        assert found == pytest.approx(error * wanted, abs=1e-5)


def test_without_smoothing_or_weight_cross_entropy_is_that_of_pytorch() -> None:
    torch.manual_seed(0)
    z, mask = torch.randn(1, 8, 8), torch.randint(0, 2, (1, 8, 8), dtype=torch.uint8)
    wanted = torch.nn.functional.binary_cross_entropy_with_logits(z, mask.float())
    assert loss_of(z, mask, only("bce")).item() == pytest.approx(wanted.item(), rel=1e-6)


def test_smoothed_labels_are_reached_by_an_intermediate_probability() -> None:
    z = torch.tensor([[[math.log(0.9 / 0.1)]]])
    mask = torch.tensor([[[CROPLAND]]], dtype=torch.uint8)
    assert gradient_of(z, mask, only("bce", label_smoothing=0.2)).item() == pytest.approx(0, abs=1e-6)
