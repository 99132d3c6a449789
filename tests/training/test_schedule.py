import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from seg.errors import ConfigError
from seg.training.schedule import RunSchedule, ScheduleConfig


@pytest.mark.parametrize(
    ("schedule", "at"),
    [
        (ScheduleConfig(), {0: 1, 0.25: (1 + math.sqrt(0.5)) / 2, 0.5: 0.5, 1: 0, 1.5: 0}),
        (ScheduleConfig(name="poly", power=2), {0: 1, 0.25: 0.5625, 0.5: 0.25, 1: 0, 1.5: 0}),
        (
            ScheduleConfig(name="step", milestones=(0.3, 0.7), gamma=0.5),
            {0: 1, 0.29: 1, 3 / 10: 0.5, 0.69: 0.5, 7 / 10: 0.25, 1: 0.25, 2: 0.25},
        ),
        (
            ScheduleConfig(name="one_cycle", warm_share=0.2, start_divisor=4, end_divisor=10),
            {0: 0.25, 0.1: 0.625, 0.2: 1, 0.6: 0.5125, 1: 0.025, 3: 0.025},
        ),
        (ScheduleConfig(name="constant"), {0: 1, 0.5: 1, 1: 1}),
    ],
)
def test_the_share_of_the_rate_follows_its_formula(schedule: ScheduleConfig, at: dict[float, float]) -> None:
    assert {progress: schedule.factor(progress) for progress in at} == pytest.approx(at)


def test_poly_and_one_cycle_equal_pytorch() -> None:
    steps = 2000
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    poly = torch.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=steps, power=0.9)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        poly.step()
    wanted = [ScheduleConfig(name="poly").factor(step / steps) for step in range(steps)]
    assert found == pytest.approx(wanted, abs=1e-6)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=steps, cycle_momentum=False)
    found = []
    for step in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step < steps - 1:
            cycle.step()
    wanted = [ScheduleConfig(name="one_cycle").factor(step / steps) for step in range(steps)]
    assert found == pytest.approx(wanted, abs=3 / steps)  # PyTorch's schedule ends with the last step, not after it


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "cosin"}, "name is cosin; wanted one of cosine, poly, step, one_cycle, constant"),
        ({"power": 0.0}, "power is 0.0; wanted above 0"),
        ({"milestones": (0.5, 0.5)}, r"milestones is \(0.5, 0.5\); wanted rising shares"),
        ({"milestones": (30.0,)}, "milestones is .*below 1"),
        ({"milestones": (0.0, 0.5)}, "milestones is .*above 0"),
        ({"gamma": 0.0}, "gamma is 0.0; wanted above 0 and at most 1"),
        ({"gamma": 2.0}, "gamma is 2.0; wanted above 0 and at most 1"),
        ({"warm_share": 1.0}, "warm_share is 1.0; wanted above 0 and below 1"),
        ({"start_divisor": 0.5}, "start_divisor is 0.5; wanted 1 or more"),
        ({"end_divisor": math.nan}, "end_divisor is nan; wanted 1 or more"),
    ],
)
def test_schedule_settings_out_of_range_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=rf"model\.schedule\.{message}"):
        replace(ScheduleConfig(), **arguments)


def test_a_step_schedule_may_have_no_milestone() -> None:
    assert ScheduleConfig(name="step", milestones=()).factor(0.9) == 1


def test_each_group_has_its_own_rate_even_if_added_or_changed_later() -> None:
    layers = [nn.Linear(1, 1) for _ in range(3)]
    optimizer = torch.optim.SGD(
        [{"params": layers[0].parameters(), "lr": 0.1}, {"params": layers[1].parameters()}], 1.0
    )
    schedule = RunSchedule(optimizer, lambda step: 0.5**step)

    def rates() -> list[float]:
        optimizer.step()
        schedule.step()
        return [group["lr"] for group in optimizer.param_groups]

    assert rates() == [0.05, 0.5]
    optimizer.param_groups[1]["initial_lr"] = 0.2
    optimizer.add_param_group({"params": layers[2].parameters(), "lr": 0.4})
    assert rates() == pytest.approx([0.025, 0.05, 0.1])
    assert rates() == pytest.approx([0.0125, 0.025, 0.05])


def test_factors_of_callbacks_multiply_the_scheduled_rate_of_each_group() -> None:
    layers = [nn.Linear(1, 1) for _ in range(2)]
    optimizer = torch.optim.SGD([{"params": layer.parameters(), "lr": 0.1} for layer in layers])
    schedule = RunSchedule(optimizer, lambda step: 0.5**step)
    schedule.factors["first"] = lambda step, group, index: step + 3
    schedule.factors["second"] = lambda step, group, index: 0.1 if index else 1.0
    schedule.refresh()
    assert [group["lr"] for group in optimizer.param_groups] == [0.1 * 3, 0.1 * 3 * 0.1]
    optimizer.step()
    schedule.step()
    assert [group["lr"] for group in optimizer.param_groups] == [0.1 * 0.5 * 4, 0.1 * 0.5 * 4 * 0.1]


def test_a_checkpoint_holds_the_step_but_no_factor() -> None:
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
    schedule = RunSchedule(optimizer, lambda step: 0.5**step)
    schedule.factors["first"] = lambda step, group, index: 2.0
    optimizer.step()
    schedule.step()
    state = schedule.state_dict()
    assert state["last_epoch"] == 1
    assert "factors" not in state
    again = RunSchedule(optimizer, lambda step: 0.5**step)
    again.load_state_dict(state)
    again.refresh()
    assert optimizer.param_groups[0]["lr"] == 0.05
