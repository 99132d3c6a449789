from collections.abc import Sequence
from types import SimpleNamespace

import lightning as L
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, default_collate

from seg.labels import CROPLAND, IGNORE, OTHER
from seg.losses.config import LossConfig
from seg.training.accumulation import REFERENCE_PIXELS, GroupScaling, batch_weight
from seg.training.tasks.cropland import CroplandTask
from support.training import quiet_trainer
from support.warm_runs import SIDES, Example, example, new_task

CROSS_ENTROPY = LossConfig(bce=1.0, dice=0.0)
STANDSTILL = 1e-60
"""Learning rate of almost 0: the weights do not change, so all groups have the same network."""


class Gradients(L.Callback):
    """Record the gradient of each optimiser step."""

    def __init__(self) -> None:
        self.seen: list[list[Tensor]] = []

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        trainer.optimizers[0].register_step_post_hook(lambda *_: self.seen.append(gradients(pl_module)))


def gradients(module: nn.Module) -> list[Tensor]:
    return [weight.grad.clone() for weight in module.parameters() if weight.grad is not None]


def joint_gradient(task: CroplandTask, group: Sequence[Example], by_scene: bool = False) -> list[Tensor]:
    """Gradient of a single loss over all labelled pixels of a group, or of the mean over the losses of its scenes."""
    task.train().zero_grad()
    sums, counts = [], []
    for one in group:
        labelled, logits = one["mask"] != IGNORE, task(one["image"][None])[0, 0]
        target = (one["mask"] == CROPLAND).float()
        sums.append(F.binary_cross_entropy_with_logits(logits[labelled], target[labelled], reduction="sum"))
        counts.append(labelled.sum())
    loss = torch.stack([total / count for total, count in zip(sums, counts, strict=True)]).mean()
    (loss if by_scene else torch.stack(sums).sum() / torch.stack(counts).sum()).backward()
    return gradients(task)


def batch_gradient(task: CroplandTask, batch: dict[str, Tensor]) -> list[Tensor]:
    task.train().zero_grad()
    task.loss(task(batch["image"]), batch["mask"]).backward()
    return gradients(task)


def trained_gradients(task: CroplandTask, examples: Sequence[Example], **options: object) -> list[list[Tensor]]:
    noted = Gradients()
    loader = DataLoader(list(examples), batch_size=1)
    quiet_trainer([noted], max_epochs=1, **options).fit(task, loader, loader)
    return noted.seen


def assert_close(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> None:
    assert len(found) == len(wanted) > 10
    assert max(float(one.abs().max()) for one in wanted) > 1e-3  # otherwise the comparison would be trivial
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


SCENES = [example(*side, index) for index, side in enumerate(SIDES)]


@pytest.mark.parametrize("length", [1, 2, 3, 4, 7, 9])
def test_the_gradient_of_a_group_equals_that_of_all_its_pixels_even_in_a_short_group(length: int) -> None:
    task = new_task(CROSS_ENTROPY, STANDSTILL)
    found = trained_gradients(task, SCENES, accumulate_grad_batches=length)
    groups = [SCENES[start : start + length] for start in range(0, len(SCENES), length)]
    assert len(found) == len(groups)
    for one, group in zip(found, groups, strict=True):
        assert_close(one, joint_gradient(task, group))


def test_by_scene_every_scene_has_the_same_weight() -> None:
    task = new_task(CROSS_ENTROPY, STANDSTILL, accumulation="scene")
    found = trained_gradients(task, SCENES, accumulate_grad_batches=4)
    for one, group in zip(found, (SCENES[:4], SCENES[4:]), strict=True):
        assert_close(one, joint_gradient(task, group, by_scene=True))


def test_by_scene_a_batch_weighs_its_number_of_labelled_images() -> None:
    masks = torch.full((4, 3, 3), IGNORE, dtype=torch.uint8)
    masks[0], masks[2, 1, 1] = CROPLAND, OTHER
    assert float(batch_weight(masks, "scene")) == 2


def test_by_scene_a_batch_of_two_images_weighs_twice_a_batch_of_one() -> None:
    batches = [default_collate([example(12, 16, index) for index in indexes]) for indexes in ((1, 2), (3,))]
    task, noted = new_task(CROSS_ENTROPY, STANDSTILL, accumulation="scene"), Gradients()
    loader = DataLoader(batches, batch_size=None)
    quiet_trainer([noted], max_epochs=1, accumulate_grad_batches=2, limit_val_batches=0).fit(task, loader, loader)
    of_pair, of_single = (batch_gradient(task, batch) for batch in batches)
    assert_close(noted.seen[0], [(2 * one + other) / 3 for one, other in zip(of_pair, of_single, strict=True)])


def test_gradients_are_scaled_before_clipping() -> None:
    task = new_task(CROSS_ENTROPY, STANDSTILL)
    found = trained_gradients(task, SCENES, accumulate_grad_batches=4, gradient_clip_val=0.01)
    for one, group in zip(found, (SCENES[:4], SCENES[4:]), strict=True):
        joint_gradient(task, group)
        norm = nn.utils.clip_grad_norm_(task.parameters(), 0.01)
        assert norm > 0.02
        assert_scaled(one, gradients(task))


def assert_scaled(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> None:
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-7, rtol=1e-4)


def test_a_step_of_one_batch_has_exactly_the_gradient_of_the_unweighted_loss() -> None:
    task = new_task(rate=STANDSTILL)
    (found,) = trained_gradients(task, SCENES[:1], accumulate_grad_batches=1)
    task.train().zero_grad()
    one = SCENES[0]
    task.loss(task(one["image"][None]), one["mask"][None]).backward()
    assert all(torch.equal(a, b) for a, b in zip(found, gradients(task), strict=True))


def test_a_group_without_a_labelled_pixel_gives_no_nan() -> None:
    blank = [{**one, "mask": torch.full_like(one["mask"], IGNORE)} for one in SCENES[:3]]
    task = new_task()
    found = trained_gradients(task, blank, accumulate_grad_batches=2)
    assert all(not gradient.any() for group in found for gradient in group)
    assert all(weight.isfinite().all() for weight in task.parameters())


def test_a_scene_without_a_labelled_pixel_does_not_count() -> None:
    blank = {**SCENES[5], "mask": torch.full_like(SCENES[5]["mask"], IGNORE)}
    for by in ("area", "scene"):
        task = new_task(CROSS_ENTROPY, STANDSTILL, accumulation=by)
        (found,) = trained_gradients(task, [SCENES[0], blank, SCENES[1]], accumulate_grad_batches=3)
        assert_close(found, joint_gradient(task, SCENES[:2], by_scene=by == "scene"))


def test_the_logged_loss_is_unweighted() -> None:
    task = new_task(CROSS_ENTROPY, STANDSTILL)
    trainer = quiet_trainer(max_epochs=1, accumulate_grad_batches=3)
    loader = DataLoader(SCENES, batch_size=1)
    trainer.fit(task, loader, loader)
    plain = [task.loss(task.train()(one["image"][None]), one["mask"][None]).detach() for one in SCENES]
    assert float(trainer.callback_metrics["train/loss"]) == pytest.approx(float(torch.stack(plain).mean()), rel=1e-4)


def test_processes_share_one_group() -> None:
    """Simulate DDP in one process: gradients are averaged over processes, and so are the weights of the batches."""
    weight, halves = nn.Parameter(torch.tensor(0.5)), (SCENES[:3], SCENES[3:])
    scalings, sums = [GroupScaling("area"), GroupScaling("area")], []
    for scaling, half in zip(scalings, halves, strict=True):
        weight.grad = None
        for one in half:
            labelled = one["mask"] != IGNORE
            loss = (weight * one["image"][0])[labelled].square().mean()
            (scaling.weighted(loss, one["mask"][None], length=3) / 3).backward()
        sums.append(weight.grad)
    totals: list[Tensor] = []
    for scaling in scalings:  # the first round collects the weights of each process
        scaling.finish([], lambda total: totals.append(total) or total)
    weight.grad = torch.stack(sums).mean()
    last = GroupScaling("area")
    last.weighted(torch.zeros(()), SCENES[0]["mask"][None], 1)
    last.finish([weight], lambda _: torch.stack(totals).mean())
    found, weight.grad = weight.grad, None
    pixels = torch.cat([one["image"][0][one["mask"] != IGNORE] for one in SCENES])
    (weight * pixels).square().mean().backward()
    torch.testing.assert_close(found, weight.grad)


def test_weights_of_large_scenes_stay_within_the_range_of_float16() -> None:
    mask = torch.zeros(1, 1, 1, dtype=torch.uint8).expand(1, 4096, 4096)
    assert float(batch_weight(mask, "area")) == 4096**2 / REFERENCE_PIXELS == 256


def test_the_weights_of_an_unfinished_group_are_discarded() -> None:
    scaling, weight = GroupScaling("scene"), SimpleNamespace(grad=torch.tensor(6.0))
    mask = torch.zeros(1, 2, 2, dtype=torch.uint8)
    scaling.weighted(torch.ones(()), mask, 1)
    scaling.begin()
    for _ in range(3):
        scaling.weighted(torch.ones(()), mask, 1)
    scaling.finish([weight], lambda total: total)
    assert float(weight.grad) == 2


def test_the_gradient_of_a_group_is_the_same_under_a_scaler() -> None:
    layer, images = nn.Conv2d(1, 1, 1), torch.randn(3, 1, 1, 8, 8)
    masks = torch.full((3, 1, 8, 8), OTHER, dtype=torch.uint8)
    masks[0, :, :4], masks[1, :, 2:] = CROPLAND, IGNORE
    gradients = []
    for scaler in (torch.amp.GradScaler("cpu", enabled=False), torch.amp.GradScaler("cpu", init_scale=2.0**12)):
        layer.zero_grad()
        optimizer, group = torch.optim.SGD(layer.parameters(), lr=0.0), GroupScaling("area")
        for image, mask in zip(images, masks, strict=True):
            loss = layer(image).square().mean()
            scaler.scale(group.weighted(loss, mask, 3) / 3).backward()
        # Lightning's order: unscale, then the task's hook, then clipping, then the step.
        scaler.unscale_(optimizer)
        group.finish(layer.parameters(), lambda number: number)
        gradients.append([parameter.grad.clone() for parameter in layer.parameters()])
        scaler.step(optimizer)
    for plain, scaled in zip(*gradients, strict=True):
        assert torch.allclose(plain, scaled, rtol=1e-6)
        assert plain.abs().max() > 0
