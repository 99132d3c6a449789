from typing import get_args

import pytest
import torch
from torch import nn

from seg.models.layers import LayerStyle
from seg.models.pyramid import AtrousPyramid, Context, WindowedContext


@pytest.mark.parametrize("rates", [(1,), (1, 2, 5)])
@pytest.mark.parametrize("context", get_args(Context))
@pytest.mark.parametrize("bottleneck", [None, 3])
def test_pyramid_keeps_height_and_width(rates: tuple[int, ...], context: str, bottleneck: int | None) -> None:
    pyramid = AtrousPyramid(6, 4, rates, context=context, bottleneck=bottleneck)
    assert pyramid(torch.randn(2, 6, 11, 13)).shape == (2, 4, 11, 13)


def reach(pyramid: AtrousPyramid) -> tuple[int, int, int, int]:
    """First and last row and column that a NaN in the middle of 21x21 cells affects."""
    image = torch.zeros(1, 1, 21, 21)
    image[..., 10, 10] = torch.nan
    rows, columns = pyramid.eval()(image)[0, 0].isnan().nonzero(as_tuple=True)
    return int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())


def test_the_largest_rate_bounds_the_pyramid() -> None:
    assert reach(AtrousPyramid(1, 2, (1, 3))) == (7, 13, 7, 13)


def test_windowed_context_reaches_half_of_its_window() -> None:
    assert reach(AtrousPyramid(1, 2, (1,), context="windowed", context_window=9)) == (6, 14, 6, 14)


def test_global_context_reaches_everywhere() -> None:
    assert reach(AtrousPyramid(1, 2, (1,), context="global")) == (0, 20, 0, 20)


def test_windowed_context_is_the_mean_of_existing_cells() -> None:
    context = WindowedContext(1, 1, window=3, style=LayerStyle(norm="none"))
    nn.init.ones_(context.mix[0].weight)
    nn.init.zeros_(context.mix[0].bias)
    means = context(torch.arange(6.0).reshape(1, 1, 2, 3))
    torch.testing.assert_close(means[0, 0], torch.tensor([[2.0, 2.5, 3.0], [2.0, 2.5, 3.0]]))


@pytest.mark.parametrize("context", get_args(Context))
def test_one_cell_can_be_trained_on_without_a_norm_behind_the_pool(context: str) -> None:
    pyramid = AtrousPyramid(4, 4, (1,), context=context).train()
    pyramid(torch.randn(1, 4, 2, 2)).mean().backward()
    pooled = [module for name, module in pyramid.named_modules() if context == "global" and "branches.2" in name]
    assert not any(isinstance(module, nn.BatchNorm2d) for module in pooled)


def test_a_bottleneck_reduces_the_channels_of_the_dilated_convolutions() -> None:
    pyramid = AtrousPyramid(32, 8, (1, 2), bottleneck=4)
    widths = {module.in_channels for branch in pyramid.branches for module in branch if isinstance(module, nn.Conv2d)}
    assert widths == {4}


def test_dropout_does_not_affect_evaluation() -> None:
    pyramid = AtrousPyramid(4, 4, (1,), dropout=0.9).eval()
    image = torch.randn(1, 4, 5, 5)
    assert torch.equal(pyramid(image), pyramid(image))
