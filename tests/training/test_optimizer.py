import math
from dataclasses import replace

import lightning as L
import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader

from seg.errors import ConfigError
from seg.models.build import build_model
from seg.models.config import ModelConfig
from seg.training.optimizer import OptimizerConfig, build_optimizer, parameter_groups
from support.training import quiet_trainer

NETWORKS = [
    ModelConfig(),
    ModelConfig(norm="group"),
    ModelConfig(norm="none", convolution="separable"),
    ModelConfig(architecture="segformer", encoder="mit_b0"),
]


def names(model: nn.Module) -> tuple[set[str], set[str]]:
    """Names of the parameters that have weight decay, and of those that do not."""
    by_weight = {weight: name for name, weight in model.named_parameters()}
    decayed, others = parameter_groups(model, weight_decay=0.1)
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    return {by_weight[weight] for weight in decayed["params"]}, {by_weight[weight] for weight in others["params"]}


@pytest.mark.parametrize("config", NETWORKS, ids=lambda config: f"{config.architecture}-{config.norm}")
def test_only_weights_of_convolutions_and_linear_layers_decay(config: ModelConfig) -> None:
    model = build_model(config, bands=4)
    decayed, others = names(model)
    wanted = {
        f"{path}.weight"
        for path, layer in model.named_modules()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
    }
    norms = [
        path for path, layer in model.named_modules() if isinstance(layer, _BatchNorm | nn.GroupNorm | nn.LayerNorm)
    ]
    assert decayed == wanted
    assert others == {name for name, _ in model.named_parameters()} - wanted
    assert bool(norms) == (config.norm != "none")
    assert {f"{path}.{part}" for path in norms for part in ("weight", "bias")} <= others


@pytest.mark.parametrize("config", NETWORKS[:2], ids=lambda config: config.norm)
def test_the_groups_keep_the_order_of_earlier_checkpoints(config: ModelConfig) -> None:
    model = build_model(config, bands=4)
    decayed, others = (group["params"] for group in parameter_groups(model, weight_decay=0.1))
    assert list(map(id, decayed)) == [id(weight) for weight in model.parameters() if weight.ndim > 1]
    assert list(map(id, others)) == [id(weight) for weight in model.parameters() if weight.ndim <= 1]


def test_a_norm_over_maps_and_a_bias_of_two_dimensions_do_not_decay() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.LayerNorm([2, 3, 3])
            self.position_bias = nn.Parameter(torch.zeros(2, 3))
            self.mix = nn.Linear(2, 3)
            self.same_mix = self.mix

    decayed, others = names(Odd())
    assert decayed == {"mix.weight"}
    assert others == {"norm.weight", "norm.bias", "position_bias", "mix.bias"}


def stepped(config: OptimizerConfig, steps: int) -> list[float]:
    """Values of a weight that starts at 1 and has a constant gradient of 1."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.ones_(model.weight)
    optimizer = build_optimizer(model, config)
    places = []
    for _ in range(steps):
        optimizer.zero_grad()
        model.weight.sum().backward()
        optimizer.step()
        places.append(model.weight.item())
    return places


@pytest.mark.parametrize(
    ("nesterov", "moves"),
    [
        (False, [0.1, 0.15, 0.175]),  # v = 0.5 v + 1; w -= 0.1 v
        (True, [0.15, 0.175, 0.1875]),  # w -= 0.1 (1 + 0.5 v)
    ],
)
def test_sgd_moves_with_momentum(nesterov: bool, moves: list[float]) -> None:
    config = OptimizerConfig(name="sgd", learning_rate=0.1, weight_decay=0.0, momentum=0.5, nesterov=nesterov)
    wanted = [1 - sum(moves[: step + 1]) for step in range(3)]
    assert stepped(config, 3) == pytest.approx(wanted)


def test_adamw_decouples_the_decay_from_the_gradient() -> None:
    config = OptimizerConfig(learning_rate=0.1, weight_decay=0.5)
    assert stepped(config, 1) == pytest.approx([1 - 0.1 * 0.5 - 0.1], abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "adam"}, r"name is 'adam'; wanted one of adamw, sgd"),
        ({"momentum": 1.0}, r"momentum is 1\.0; wanted 0 to below 1"),
        ({"momentum": -0.1}, r"momentum is -0\.1; wanted 0 to below 1"),
        ({"name": "sgd", "momentum": 0.0, "nesterov": True}, r"nesterov is true with name=sgd, momentum=0\.0; wanted"),
        ({"nesterov": True}, r"nesterov is true with name=adamw"),
        ({"learning_rate": math.nan}, "learning_rate is nan"),
        ({"learning_rate": 0.0}, r"learning_rate is 0\.0; wanted above 0"),
        ({"weight_decay": -1.0}, r"weight_decay is -1\.0; wanted 0 or more"),
        ({"weight_decay": math.inf}, "weight_decay is inf"),
    ],
)
def test_optimizer_settings_out_of_range_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=rf"model\.optimizer\.{message}"):
        replace(OptimizerConfig(), **arguments)


class Slope(L.LightningModule):
    """Task with constant gradients: 3 for one weight and 4 for the other."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Linear(2, 1, bias=False)
        nn.init.zeros_(self.model.weight)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return (self.model.weight * torch.tensor([3.0, 4.0])).sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return build_optimizer(self.model, OptimizerConfig(name="sgd", learning_rate=1, momentum=0, weight_decay=0))


@pytest.mark.parametrize(
    ("clip", "moved"), [(None, [-3.0, -4.0]), (2.5, [-1.5, -2.0]), (10.0, [-3.0, -4.0]), ("value", [-2.0, -2.0])]
)
def test_the_trainer_clips_gradients(clip: float | str | None, moved: list[float]) -> None:
    options = {"gradient_clip_val": clip}
    if clip == "value":
        options = {"gradient_clip_val": 2.0, "gradient_clip_algorithm": "value"}
    task = Slope()
    quiet_trainer(max_steps=1, **options).fit(task, DataLoader(torch.zeros(1, 1)))
    assert task.model.weight[0].tolist() == pytest.approx(moved)
