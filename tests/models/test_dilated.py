import pytest
import torch

from seg.errors import ConfigError
from seg.models.build import build_model
from seg.models.config import ModelConfig
from seg.models.dilated import VARIANTS, DilatedResNet, DilatedVariant
from seg.models.receptive_field import receptive_field_radius

WIDTHS = (32, 32, 16, 8, 8)


@pytest.mark.parametrize("name", list(VARIANTS))
@pytest.mark.parametrize("stride", [2, 4, 8, 16, 32])
def test_features_halve_from_level_to_level(name: str, stride: int) -> None:
    backbone = DilatedResNet(VARIANTS[name], bands=5, output_stride=stride).eval()
    deepest, finer = backbone(torch.randn(1, 5, 64, 96))
    assert deepest.shape == (1, backbone.channels[-1], 64 // stride, 96 // stride)
    sizes = [(level.shape[1], level.shape[2]) for level in finer]
    assert sizes == [(width, 128 * 2**step // stride) for step, width in enumerate(backbone.skip_channels)]


@pytest.mark.parametrize("stride", [2, 4, 8, 16, 32])
def test_the_backbone_fits_into_a_whole_network(stride: int) -> None:
    widths = WIDTHS[: stride.bit_length() - 1]
    model = build_model(ModelConfig(encoder="dilated_tiny", output_stride=stride, decoder_channels=widths), bands=3)
    model.train()(torch.randn(1, 3, 13, 21)).mean().backward()
    with torch.inference_mode():
        assert model.eval()(torch.randn(1, 3, 13, 21)).shape == (1, 1, 13, 21)


def test_dilation_rates_leave_no_holes() -> None:
    for variant in VARIANTS.values():
        backbone = DilatedResNet(DilatedVariant(1, variant.rates), bands=1, output_stride=2).eval()
        image = torch.zeros(1, 1, 2, 256)
        image[..., 128] = torch.nan
        reached = backbone(image)[0][0, 0, 0].isnan().nonzero().flatten()
        assert reached.tolist() == list(range(int(reached.min()), int(reached.max()) + 1))


def test_a_large_rate_without_smaller_rates_leaves_holes() -> None:
    backbone = DilatedResNet(DilatedVariant(1, (4, 4)), bands=1, output_stride=2).eval()
    backbone.levels[0][1] = torch.nn.Identity()
    image = torch.zeros(1, 1, 2, 256)
    image[..., 128] = torch.nan
    reached = backbone(image)[0][0, 0, 0].isnan().nonzero().flatten()
    assert len(reached) < int(reached.max()) - int(reached.min()) + 1


def test_the_receptive_field_of_the_demo_network_is_a_few_chips() -> None:
    config = ModelConfig(
        encoder="dilated_tiny", output_stride=4, pyramid_rates=(1, 2), pyramid_channels=48, decoder_channels=(32, 32)
    )
    radius = receptive_field_radius(build_model(config, bands=4), bands=4)
    assert 59 < 2 * radius + 1 < 200


def test_an_invalid_output_stride_is_refused() -> None:
    with pytest.raises(ConfigError, match="output_stride is 12"):
        build_model(ModelConfig(encoder="dilated_tiny", output_stride=12), bands=3)
