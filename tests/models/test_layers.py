import math
from typing import get_args

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from seg.errors import ConfigError
from seg.models.layers import (
    Convolution,
    LayerStyle,
    Norm,
    bilinear_kernel,
)


def test_bilinear_kernel_interpolates_as_torch_does() -> None:
    image = torch.rand(1, 1, 9, 7)
    doubled = F.conv_transpose2d(image, bilinear_kernel()[None, None], stride=2, padding=1)
    wanted = F.interpolate(image, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(doubled[..., 1:-1, 1:-1], wanted[..., 1:-1, 1:-1])


@pytest.mark.parametrize("convolution", get_args(Convolution))
@pytest.mark.parametrize("norm", get_args(Norm))
def test_upsample_doubles_height_and_width_and_draws_no_checkerboard_on_a_constant_input(
    convolution: str, norm: str
) -> None:
    upsample = LayerStyle(convolution=convolution, groups=2, norm=norm).upsample_norm_relu(6, 4).eval()
    with torch.inference_mode():
        out = upsample(torch.full((1, 6, 16, 16), 0.7))
    assert out.shape == (1, 4, 32, 32)
    inner = out[..., 2:-2, 2:-2]
    assert float((inner - inner.mean(dim=(2, 3), keepdim=True)).abs().max()) < 1e-5


# Not "separable": its pointwise half has PyTorch's default initialisation.
@pytest.mark.parametrize("convolution", ["standard", "grouped"])
def test_a_new_upsample_doubles_the_variance_of_its_input(convolution: str) -> None:
    torch.manual_seed(0)
    style = LayerStyle(convolution=convolution, groups=8, norm="none")
    smooth = torch.randn(1, 512, 1, 1).expand(-1, -1, 8, 8)
    with torch.inference_mode():
        inner = style.upsample(512, 512)(smooth)[..., 4, 4]
    assert float(inner.var()) == pytest.approx(2.0, rel=0.25)  # The ReLU that follows halves the mean square, to 1.


@pytest.mark.parametrize(
    ("convolution", "weights"),
    [("standard", 9 * 8 * 16), ("separable", 9 * 8 + 8 * 16), ("grouped", 9 * 8 * 16 // 4)],
)
def test_each_kind_of_convolution_has_its_number_of_weights(convolution: str, weights: int) -> None:
    layer = LayerStyle(convolution=convolution, groups=4).conv(8, 16)
    assert sum(weight.numel() for weight in layer.parameters()) == weights
    assert layer(torch.zeros(1, 8, 5, 7)).shape == (1, 16, 5, 7)


@pytest.mark.parametrize("convolution", get_args(Convolution))
def test_a_1x1_convolution_mixes_all_channels_whatever_the_kind(convolution: str) -> None:
    layer = LayerStyle(convolution=convolution).conv(8, 16, kernel=1)
    assert isinstance(layer, nn.Conv2d)
    assert layer.groups == 1


@pytest.mark.parametrize("convolution", get_args(Convolution))
def test_stride_and_dilation_reach_the_spatial_convolution(convolution: str) -> None:
    layer = LayerStyle(convolution=convolution).conv(8, 8, stride=2, dilation=3)
    assert layer(torch.zeros(1, 8, 20, 14)).shape == (1, 8, 10, 7)
    spatial = layer if isinstance(layer, nn.Conv2d) else layer[0]
    assert (spatial.stride, spatial.dilation) == ((2, 2), (3, 3))


def test_without_a_norm_there_is_a_bias() -> None:
    with_norm, without = (LayerStyle(norm=norm).conv_norm_relu(4, 4) for norm in ("batch", "none"))
    assert with_norm[0].bias is None
    assert without[0].bias is not None
    assert isinstance(without[1], nn.Identity)


@pytest.mark.parametrize(("channels", "groups"), [(64, 8), (12, 4), (7, 1)])
def test_group_norm_takes_groups_that_divide_the_channels(channels: int, groups: int) -> None:
    norm = LayerStyle(norm="group").normalize(channels)
    assert isinstance(norm, nn.GroupNorm)
    assert norm.num_groups == groups == math.gcd(channels, 8)


@pytest.mark.parametrize("build", ["conv", "upsample"])
def test_the_error_about_an_invalid_number_of_groups_lists_valid_ones(build: str) -> None:
    with pytest.raises(ConfigError, match=r"model\.model\.groups is 5, .* 12 to 18 channels; .* 1, 2, 3, 6$"):
        getattr(LayerStyle(convolution="grouped", groups=5), build)(12, 18)
