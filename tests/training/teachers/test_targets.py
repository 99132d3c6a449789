import math

import pytest
import torch
from torch import Tensor

from seg.errors import ConfigError
from seg.labels import CROPLAND, IGNORE, OTHER
from seg.training.teachers.targets import TargetConfig, Targets, kept_pixels, kept_shares, target_loss, targets_of_views

HARD, SOFT = TargetConfig(), TargetConfig(kind="soft", threshold=0.5)


def targets(probability: list[float], valid: list[bool] | None = None, threshold: float = 0.95) -> Targets:
    chance = torch.tensor(probability)
    known = torch.ones_like(chance, dtype=torch.bool) if valid is None else torch.tensor(valid)
    return Targets(chance, known, kept_pixels(chance, known, threshold))


def test_confident_pixels_of_both_classes_are_kept() -> None:
    found = targets([0.02, 0.05, 0.06, 0.5, 0.94, 0.95, 1.0])
    assert found.kept.tolist() == [True, True, False, False, False, True, True]
    assert found.labels.tolist() == [OTHER, OTHER, IGNORE, IGNORE, IGNORE, CROPLAND, CROPLAND]


def test_a_pixel_without_data_is_never_kept() -> None:
    assert targets([0.99, 0.01], valid=[False, True]).kept.tolist() == [False, True]


def test_targets_come_from_the_clean_image_of_each_pixel() -> None:
    probability = torch.tensor([[[[0.1, 0.2, 0.3, 0.4]], [[0.6, 0.7, 0.8, 0.9]]]])
    known = torch.tensor([[[[True, True, True, True]], [[True, True, False, True]]]])
    source = torch.tensor([[[[0, 1, 1, IGNORE]], [[1, 0, 0, 0]]]], dtype=torch.uint8)
    found = targets_of_views(probability, known, source, 0.5)
    torch.testing.assert_close(found.probability[0, :, 0, :3], torch.tensor([[0.1, 0.7, 0.8], [0.6, 0.2, 0.3]]))
    assert found.valid[0, :, 0].tolist() == [[True, True, False, False], [True, True, True, True]]
    assert torch.equal(found.kept, found.valid)


def test_the_loss_is_divided_by_all_valid_pixels() -> None:
    logits = torch.tensor([0.3, -0.2, 1.5, 4.0])
    found = targets([0.97, 0.01, 0.6, 0.99], valid=[True, True, True, False])
    wanted = (math.log1p(math.exp(-0.3)) + math.log1p(math.exp(-0.2))) / 3
    assert float(target_loss(logits, found, HARD)) == pytest.approx(wanted)


def test_without_a_kept_pixel_loss_and_gradient_are_0() -> None:
    logits = torch.tensor([0.3, -0.2], requires_grad=True)
    loss = target_loss(logits, targets([0.6, 0.4], valid=[True, False]), HARD)
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert logits.grad.tolist() == [0, 0]


def test_soft_targets_are_the_probabilities() -> None:
    logits, found = torch.tensor([0.3, -2.0]), targets([0.3, 0.9], threshold=0.5)
    wanted = torch.nn.functional.binary_cross_entropy_with_logits(logits, found.probability)
    torch.testing.assert_close(target_loss(logits, found, SOFT), wanted)


def test_a_temperature_softens_both_sides_and_keeps_the_size_of_the_gradient() -> None:
    def gradient(temperature: float) -> Tensor:
        logits = torch.tensor([0.02, -0.01], requires_grad=True)
        found = targets([0.52, 0.49], threshold=0.5)
        target_loss(logits, found, TargetConfig(kind="soft", threshold=0.5, temperature=temperature)).backward()
        assert logits.grad is not None
        return logits.grad

    # Near 0, the sigmoid is linear in the logit, so the temperature cancels out.
    torch.testing.assert_close(gradient(4.0), gradient(1.0), rtol=1e-2, atol=0)


def test_a_student_that_agrees_with_soft_targets_has_no_gradient() -> None:
    logits = torch.tensor([2.0, -1.0], requires_grad=True)
    found = targets(logits.detach().sigmoid().tolist(), threshold=0.5)
    target_loss(logits, found, TargetConfig(kind="soft", threshold=0.5, temperature=2.0)).backward()
    assert logits.grad is not None
    assert float(logits.grad.abs().max()) < 1e-6


def test_certain_teachers_give_finite_soft_targets() -> None:
    loss = target_loss(torch.tensor([5.0, -5.0]), targets([1.0, 0.0]), SOFT)
    assert bool(loss.isfinite())


def test_kept_pixels_are_counted_beside_the_labels() -> None:
    mask = torch.tensor([[[CROPLAND, OTHER, OTHER, IGNORE]]], dtype=torch.uint8)
    counts = kept_shares(targets([0.99, 0.98, 0.01, 0.5], valid=[True] * 4), mask)
    assert [int(count) for count in counts] == [2, 1, 4, 1, 3]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kind": "firm"}, "kind is firm; wanted one of hard, soft"),
        ({"threshold": 0.4}, r"threshold is 0\.4; wanted 0\.5 to 1"),
        ({"weight": -1.0}, "weight is -1"),
        ({"kind": "soft", "temperature": 0.0}, "temperature is 0"),
        ({"temperature": 2.0}, "hard targets have no temperature"),
        ({"share": 2.0}, "share is 2"),
    ],
)
def test_a_value_out_of_range_is_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        TargetConfig(**options)  # type: ignore[arg-type]
