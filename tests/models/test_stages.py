import pytest
import torch

from seg.errors import ConfigError
from seg.models.build import build_model
from seg.models.config import ModelConfig
from seg.models.segmenter import Segmenter
from seg.models.stages import backbone_stages

SMALL = {"pyramid_channels": 8, "decoder_channels": (8, 8, 8)}
TINY = ModelConfig(encoder="tu-test_resnet", **SMALL)


def first_names(model: Segmenter) -> list[str]:
    names = {layer: name for name, layer in model.network.named_modules()}
    return [names[stage[0]] for stage in backbone_stages(model)]


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        (ModelConfig(encoder="dilated_tiny", **SMALL), [f"backbone.levels.{level}.0.0" for level in range(3)]),
        (TINY, ["conv1.0", "layer1.0.conv1", "layer2.0.conv1", "layer3.0.conv1", "layer4.0.conv1"]),
        (
            ModelConfig(encoder="tu-mobilenetv2_050", **SMALL),
            ["conv_stem", *(f"blocks.{n}.0.conv_pw" for n in (1, 2, 3, 5))],
        ),
        (ModelConfig(architecture="unet", encoder="resnet18"), ["conv1", *(f"layer{n}.0.conv1" for n in (1, 2, 3, 4))]),
        (
            ModelConfig(architecture="deeplabv3plus", encoder="resnet18", output_stride=16),
            ["conv1", *(f"layer{n}.0.conv1" for n in (1, 2, 3, 4))],
        ),
        (ModelConfig(architecture="segformer", encoder="mit_b0"), [f"patch_embed{n}.proj" for n in (1, 2, 3, 4)]),
    ],
    ids=lambda value: f"{value.architecture}-{value.encoder}" if isinstance(value, ModelConfig) else "",
)
def test_stages_come_from_the_shallowest_to_the_deepest(config: ModelConfig, wanted: list[str]) -> None:
    model = build_model(config, bands=4)
    found = first_names(model)
    assert len(found) == len(wanted)
    assert all(name.endswith(end) for name, end in zip(found, wanted, strict=True))
    encoder = [name for name, _ in model.network.named_parameters() if name.startswith(("backbone", "encoder"))]
    owned = [
        weight for stage in backbone_stages(model) for layer in stage for weight in layer.parameters(recurse=False)
    ]
    assert len(owned) == len(set(owned)) == len(encoder)


def test_finding_stages_changes_neither_network_nor_random_state() -> None:
    model = build_model(TINY, bands=2)
    model.network.decoder.eval()
    modes = [layer.training for layer in model.modules()]
    state, random = {name: value.clone() for name, value in model.state_dict().items()}, torch.get_rng_state()
    backbone_stages(model)
    assert [layer.training for layer in model.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert all(weight.grad is None for weight in model.parameters())


def test_a_frozen_backbone_is_refused() -> None:
    model = build_model(TINY, bands=2)
    model.network.backbone.requires_grad_(False)
    with pytest.raises(ConfigError, match="all parameters of the backbone are frozen"):
        backbone_stages(model)


def test_a_network_without_a_backbone_is_refused() -> None:
    model = build_model(TINY, bands=2)
    with pytest.raises(ConfigError, match="class Conv2d has no backbone"):
        backbone_stages(Segmenter(model.normalization, torch.nn.Conv2d(2, 1, 1), 1))
