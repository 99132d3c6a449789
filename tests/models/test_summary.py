import pytest
import torch
from torch import Tensor, nn

from seg.models.build import build_model
from seg.models.config import ModelConfig
from seg.models.receptive_field import Layer, chain_reach, receptive_field_radius
from seg.models.segmenter import BandNormalization, Segmenter
from seg.models.summary import LayerSummary, summarize_layers, traced_reaches


def by_name(layers: list[LayerSummary]) -> dict[str, LayerSummary]:
    return {layer.name: layer for layer in layers}


def chain(*layers: nn.Module, stride: int) -> Segmenter:
    return Segmenter(BandNormalization(1), nn.Sequential(*layers), stride)


@pytest.mark.campaign
def test_the_receptive_fields_of_resnet18_follow_the_formula() -> None:
    model = build_model(
        ModelConfig(encoder="resnet18", output_stride=32, decoder_channels=(8, 8, 8, 8, 8)), bands=3
    ).eval()
    reaches = traced_reaches(model, bands=3)
    layers = [Layer(7, 2, 3), Layer(3, 2, 1)]
    stages = [[Layer(3, 1 if stage == 1 else 2, 1), *[Layer(3, 1, 1)] * 3] for stage in range(1, 5)]
    for number in range(1, 5):
        layers += stages[number - 1]
        wanted = chain_reach(layers, length=512)
        assert reaches[f"network.backbone.encoder.layer{number}.1.conv2"] == (wanted.size, wanted.stride)
    assert reaches["network.backbone.encoder.layer4.1.conv2"] == (435, 32)


@pytest.mark.parametrize("kernel", [2, 4])
def test_layers_of_one_chain_are_traced_each_in_input_pixels(kernel: int) -> None:
    down = nn.Conv2d(1, 2, kernel, stride=2, padding=kernel // 2 - 1)
    dilated = nn.Conv2d(2, 2, 3, padding=3, dilation=3)
    up = nn.ConvTranspose2d(2, 1, 2, stride=2)
    reaches = traced_reaches(chain(down, dilated, up, stride=2).eval(), bands=1)
    assert reaches["network.0"] == (kernel, 2)
    assert reaches["network.1"] == (kernel + 2 * 6, 2)
    assert reaches["network.2"] == (kernel + 2 * 6, 1)


def test_the_size_of_the_receptive_field_agrees_with_the_radius() -> None:
    model = build_model(ModelConfig(encoder="dilated_tiny", output_stride=4, decoder_channels=(8, 8)), bands=2).eval()
    radius = receptive_field_radius(model, bands=2)
    size, stride = traced_reaches(model, bands=2)[""]
    assert radius is not None
    assert size is not None
    assert radius + 1 <= size <= 2 * radius + 1
    assert stride == 1


def test_layers_are_bounded_before_a_global_pool_and_unbounded_after_it() -> None:
    config = ModelConfig(encoder="dilated_tiny", output_stride=4, decoder_channels=(8, 8), context="global")
    reaches = traced_reaches(build_model(config, bands=1).eval(), bands=1)
    assert reaches["network.backbone.dilated"][0] == 127
    assert reaches["network.pyramid"][0] is None
    assert reaches["network.head"][0] is None


def test_operations_and_parameters_are_those_of_the_layers() -> None:
    model = chain(nn.Conv2d(1, 6, 3, padding=1), nn.ConvTranspose2d(6, 4, 4, 2, 1, groups=2), stride=1)
    layers = by_name(summarize_layers(model.train(), bands=1, size=10))
    assert (layers["network.0"].macs, layers["network.0"].parameters) == (9 * 6 * 100, 9 * 6 + 6)
    # Each of the 10x10 input pixels is multiplied by a 4x4 kernel for half of the output channels.
    assert (layers["network.1"].macs, layers["network.1"].shape) == (16 * 6 * 2 * 100, (1, 4, 20, 20))
    assert layers[""].macs == sum(layer.macs for layer in layers.values() if layer.leaf)
    assert layers[""].parameters == sum(weight.numel() for weight in model.parameters())
    assert model.training


def test_outputs_other_than_feature_maps_have_no_receptive_field() -> None:
    class Tokens(nn.Module):
        """A linear layer over the bands of each pixel, with pixels as tokens like in a transformer."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 1)

        def forward(self, image: Tensor) -> Tensor:
            return self.layer(image.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(-1, 1, *image.shape[-2:])

    layers = summarize_layers(Segmenter(BandNormalization(3), Tokens(), stride=2), 3, 64)
    [linear] = [layer for layer in layers if layer.kind == "Linear"]
    assert linear.stride == 0
    assert linear.macs == 3 * 64 * 64


def test_tracing_leaves_no_hook_behind() -> None:
    model = build_model(ModelConfig(encoder="dilated_tiny", output_stride=2, decoder_channels=(8,)), bands=1).eval()
    traced_reaches(model, bands=1)
    assert not any(module._forward_hooks for module in model.modules())
    assert torch.isfinite(model(torch.zeros(1, 1, 4, 4))).all()
