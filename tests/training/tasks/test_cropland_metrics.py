import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from seg.labels import CROPLAND, IGNORE, OTHER
from seg.training.tasks.cropland import binary_metrics

masks = hnp.arrays(np.uint8, (4, 5, 6), elements=st.sampled_from([OTHER, CROPLAND, IGNORE]))
probabilities = hnp.arrays(np.float32, (4, 5, 6), elements=st.floats(0, 1, width=32))


def expected_scores(probability: np.ndarray, mask: np.ndarray, threshold: float = 0.5) -> dict[str, float]:
    pairs = [(p > threshold, m) for p, m in zip(probability.ravel(), mask.ravel(), strict=True) if m != IGNORE]
    tp = sum(1 for mapped, label in pairs if mapped and label == CROPLAND)
    fp = sum(1 for mapped, label in pairs if mapped and label == OTHER)
    fn = sum(1 for mapped, label in pairs if not mapped and label == CROPLAND)
    return {
        "iou": tp / max(tp + fp + fn, 1),
        "f1": 2 * tp / max(2 * tp + fp + fn, 1),
        "precision": tp / max(tp + fp, 1),
        "recall": tp / max(tp + fn, 1),
    }


@settings(max_examples=50, deadline=None)
@given(probabilities, masks)
def test_scores_equal_counting_by_hand_over_labelled_pixels(probability: np.ndarray, mask: np.ndarray) -> None:
    metrics = binary_metrics()
    metrics.update(torch.from_numpy(probability), torch.from_numpy(mask))
    assert {k: v.item() for k, v in metrics.compute().items()} == pytest.approx(expected_scores(probability, mask))


def test_chips_of_different_sizes_score_the_same_as_the_whole_scene() -> None:
    rng = np.random.default_rng(0)
    probability, mask = rng.random((1, 1, 20, 30), np.float32), rng.choice([0, 1, 255], (1, 1, 20, 30))
    metrics = binary_metrics()
    for columns in (slice(0, 7), slice(7, 8), slice(8, 30)):
        metrics.update(torch.from_numpy(probability[..., columns]), torch.from_numpy(mask[..., columns]))
    assert {k: v.item() for k, v in metrics.compute().items()} == pytest.approx(expected_scores(probability, mask))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_masks_may_be_uint8_or_int64(dtype: torch.dtype) -> None:
    metrics = binary_metrics()
    metrics.update(
        torch.tensor([[0.9, 0.9, 0.1, 0.9]]), torch.tensor([[CROPLAND, OTHER, CROPLAND, IGNORE]], dtype=dtype)
    )
    assert metrics.compute()["iou"].item() == pytest.approx(1 / 3)


def test_pixels_are_mapped_above_the_threshold() -> None:
    metrics = binary_metrics(threshold=0.8)
    metrics.update(torch.tensor([[0.7, 0.9]]), torch.tensor([[OTHER, CROPLAND]]))
    assert metrics.compute()["iou"].item() == 1


@pytest.mark.parametrize("label", [OTHER, IGNORE])
def test_mask_without_cropland_scores_zero_not_nan(label: int) -> None:
    metrics = binary_metrics()
    metrics.update(torch.zeros(1, 1, 4, 4), torch.full((1, 1, 4, 4), label, dtype=torch.uint8))
    assert {k: v.item() for k, v in metrics.compute().items()} == {"iou": 0, "f1": 0, "precision": 0, "recall": 0}


def test_stages_have_separate_counts_under_their_prefix() -> None:
    metrics = binary_metrics()
    val, test = metrics.clone(prefix="val/"), metrics.clone(prefix="test/")
    val.update(torch.ones(1, 4), torch.ones(1, 4, dtype=torch.uint8))
    test.update(torch.zeros(1, 4), torch.ones(1, 4, dtype=torch.uint8))
    assert val.compute()["val/iou"].item() == 1
    assert test.compute()["test/iou"].item() == 0
