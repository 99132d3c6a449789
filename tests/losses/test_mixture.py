import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from seg.errors import ConfigError
from seg.labels import CROPLAND, IGNORE, OTHER
from seg.losses.config import TERMS, LossConfig
from seg.losses.mixture import CroplandLoss
from support.loss_references import only

SHAPE = (2, 3, 4)
DTYPES = [torch.float32, torch.float16, torch.bfloat16]
BCE, DICE = LossConfig(bce=1, dice=0), LossConfig(bce=0, dice=1)

logits_of_any_size = arrays(np.float32, SHAPE, elements=st.floats(-50, 50, width=32))
masks = arrays(np.uint8, SHAPE, elements=st.sampled_from([OTHER, CROPLAND, IGNORE]))


def loss_of(logits: Tensor, mask: Tensor, config: LossConfig = LossConfig()) -> Tensor:
    loss: Tensor = CroplandLoss(config)(logits[:, None], mask)
    return loss


def expected(logits: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    """Cross-entropy and soft Dice by their formulas, in float64, over labelled pixels."""
    known = mask != IGNORE
    z, target = logits[known].astype(np.float64), (mask[known] == CROPLAND).astype(np.float64)
    if not target.size:
        return 0.0, 0.0
    bce = float(np.mean(np.logaddexp(0, z) - z * target))
    probability = 1 / (1 + np.exp(-z))
    dice = 1 - 2 * (probability * target).sum() / (probability.sum() + target.sum()) if target.any() else 0.0
    return bce, float(dice)


@settings(deadline=None, max_examples=40)
@given(logits_of_any_size, masks)
def test_cross_entropy_and_dice_equal_their_formulas_over_labelled_pixels(logits: np.ndarray, mask: np.ndarray) -> None:
    tensors = torch.from_numpy(logits), torch.from_numpy(mask)
    found = [loss_of(*tensors, config).item() for config in (BCE, DICE)]
    assert found == pytest.approx(expected(logits, mask), rel=1e-4, abs=1e-5)


@settings(deadline=None, max_examples=40)
@given(logits_of_any_size, masks, st.sampled_from(DTYPES))
def test_the_loss_depends_only_on_labelled_pixels(logits: np.ndarray, mask: np.ndarray, dtype: torch.dtype) -> None:
    z, labels = torch.from_numpy(logits).to(dtype), torch.from_numpy(mask)
    known = labels != IGNORE
    if not known.any():
        return
    alone = loss_of(z[known][None, None], labels[known][None, None])
    assert loss_of(z, labels).item() == pytest.approx(alone.item(), rel=1e-4, abs=1e-5)


@settings(deadline=None, max_examples=40)
@given(logits_of_any_size, masks, st.sampled_from(DTYPES))
def test_ignored_pixels_get_no_gradient(logits: np.ndarray, mask: np.ndarray, dtype: torch.dtype) -> None:
    z = torch.from_numpy(logits).to(dtype).requires_grad_()
    labels = torch.from_numpy(mask)
    loss_of(z, labels).backward()
    assert z.grad is not None
    assert (z.grad[labels == IGNORE] == 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [OTHER, CROPLAND, IGNORE])
@pytest.mark.parametrize("size", [0.0, 30.0, 60_000.0])
def test_masks_of_one_value_give_a_finite_loss_and_finite_gradients(
    dtype: torch.dtype, value: int, size: float
) -> None:
    z = torch.tensor([[[-size, size, 0.0]]]).to(dtype).requires_grad_()
    loss = loss_of(z, torch.full((1, 1, 3), value, dtype=torch.uint8))
    loss.backward()
    assert z.grad is not None
    assert loss.isfinite()
    assert z.grad.isfinite().all()


def test_a_mask_without_any_label_gives_no_loss_and_no_gradient() -> None:
    z = torch.randn(1, 4, 4, requires_grad=True)
    loss = loss_of(z, torch.full((1, 4, 4), IGNORE, dtype=torch.uint8))
    loss.backward()
    assert loss.item() == 0
    assert z.grad is not None
    assert (z.grad == 0).all()


def test_a_large_chip_in_float16_does_not_overflow() -> None:
    z, mask = torch.full((1, 512, 512), 3.0, dtype=torch.float16), torch.ones(1, 512, 512, dtype=torch.uint8)
    sigmoid = 1 / (1 + math.exp(-3))
    assert loss_of(z, mask).item() == pytest.approx(-math.log(sigmoid) + 1 - 2 * sigmoid / (1 + sigmoid), rel=1e-3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_loss_is_a_single_float32_in_every_precision(dtype: torch.dtype) -> None:
    loss = loss_of(torch.zeros(1, 3, 3, dtype=dtype), torch.ones(1, 3, 3, dtype=torch.uint8))
    assert (loss.dtype, loss.shape) == (torch.float32, ())


def test_the_weights_mix_the_two_losses() -> None:
    z, mask = torch.randn(1, 6, 6), torch.randint(0, 2, (1, 6, 6), dtype=torch.uint8)
    mixed = loss_of(z, mask, LossConfig(bce=0.25, dice=3.0))
    assert mixed.item() == pytest.approx(0.25 * loss_of(z, mask, BCE).item() + 3 * loss_of(z, mask, DICE).item())


def test_any_of_the_losses_can_be_mixed() -> None:
    torch.manual_seed(0)
    z, mask = torch.randn(1, 6, 6), torch.randint(0, 2, (1, 6, 6), dtype=torch.uint8)
    weights = {name: 0.1 * (number + 1) for number, name in enumerate(TERMS)}
    alone = {name: loss_of(z, mask, only(name)).item() for name in TERMS}
    mixed = loss_of(z, mask, LossConfig(**weights)).item()
    assert mixed == pytest.approx(sum(weights[name] * alone[name] for name in TERMS))


def test_a_weight_may_change_between_two_batches() -> None:
    torch.manual_seed(0)
    z, mask = torch.randn(1, 1, 6, 6), torch.randint(0, 2, (1, 6, 6), dtype=torch.uint8)
    criterion = CroplandLoss(LossConfig(dice=0))
    before = criterion(z, mask).item()
    assert criterion.terms.keys() == {"bce"}
    criterion.weights["lovasz"] = 0.5
    after = criterion(z, mask).item()
    assert criterion.terms.keys() == {"bce", "lovasz"}
    assert after == pytest.approx(before + 0.5 * criterion.terms["lovasz"].item())
    assert criterion.config.lovasz == 0


@pytest.mark.parametrize("name", TERMS)
def test_a_loss_without_weight_is_not_computed(name: str) -> None:
    def refuse(*_: Tensor) -> Tensor:
        raise AssertionError

    criterion = CroplandLoss(LossConfig(**(dict.fromkeys(TERMS, 1.0) | {name: 0.0})))
    criterion._losses[name] = refuse
    z, mask = torch.randn(1, 1, 3, 3), torch.ones(1, 3, 3, dtype=torch.uint8)
    criterion(z, mask)
    assert criterion.terms.keys() == set(TERMS) - {name}
    criterion.weights[name] = 1.0
    with pytest.raises(AssertionError):
        criterion(z, mask)


def test_the_terms_of_a_batch_hold_no_graph_and_are_kept_in_no_checkpoint() -> None:
    criterion = CroplandLoss(LossConfig(lovasz=1.0, boundary=1.0))
    z = torch.randn(2, 1, 1, 5, 5, requires_grad=True)
    criterion(z[0], torch.ones(1, 5, 5, dtype=torch.uint8), z[1])
    assert criterion.terms.keys() == {"bce", "dice", "lovasz", "boundary"}
    assert not any(value.requires_grad for value in criterion.terms.values())
    assert not criterion.state_dict()
    assert copy.deepcopy(criterion).terms.keys() == criterion.terms.keys()


def test_weights_that_are_all_0_for_a_while_give_no_gradient() -> None:
    criterion = CroplandLoss(LossConfig())
    criterion.weights.update(dict.fromkeys(TERMS, 0.0))
    z = torch.randn(1, 1, 3, 3, requires_grad=True)
    loss = criterion(z, torch.ones(1, 3, 3, dtype=torch.uint8))
    loss.backward()
    assert loss.item() == 0
    assert z.grad is not None
    assert (z.grad == 0).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pos_weight", 0.0),
        ("pos_weight", math.inf),
        ("label_smoothing", -0.1),
        ("label_smoothing", 1.0),
        ("focal_gamma", -1.0),
        ("focal_gamma", math.nan),
        ("focal_alpha", 0.0),
        ("focal_alpha", 1.0),
        ("tversky_alpha", -0.1),
        ("tversky_beta", math.nan),
        ("edge_weight", -1.0),
        ("edge_sigma", 0.0),
        ("edge_sigma", 101.0),
    ],
)
def test_a_parameter_out_of_range_is_refused_by_its_name(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"model\.loss\.{name} is {value}; wanted "):
        CroplandLoss(LossConfig(**{name: value}))


def test_a_tversky_loss_without_any_cost_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"tversky_beta is 0; wanted above 0 where tversky_alpha is 0"):
        CroplandLoss(LossConfig(tversky_alpha=0, tversky_beta=0))


@pytest.mark.parametrize(("bce", "dice"), [(-0.1, 1), (1, -0.1), (0, 0), (math.nan, 1), (1, math.nan)])
def test_invalid_weights_of_losses_are_refused(bce: float, dice: float) -> None:
    with pytest.raises(ConfigError, match="wanted none below 0 and at least one above 0"):
        CroplandLoss(LossConfig(bce=bce, dice=dice))
