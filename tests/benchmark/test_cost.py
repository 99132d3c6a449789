import pytest
import torch
from torch import nn

from seg.benchmark.cost import Cost, measure_cost
from seg.models.layers import LayerStyle


@pytest.mark.parametrize(
    ("layer", "parameters", "macs", "values_moved"),
    [
        (nn.Conv2d(4, 6, 3, padding=1, bias=False), 216, 216 * 100, 400 + 216 + 600),
        (nn.Conv2d(4, 6, 3, stride=2, padding=1, bias=False), 216, 216 * 25, 400 + 216 + 150),
        (nn.Conv2d(4, 6, 3, padding=2, dilation=2, bias=False), 216, 216 * 100, 400 + 216 + 600),
        (nn.Conv2d(4, 6, 3, padding=1, groups=2), 108 + 6, 108 * 100, 400 + 114 + 600),
        (nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False), 36, 36 * 100, 400 + 36 + 400),
        (nn.ConvTranspose2d(4, 6, 4, stride=2, padding=1, bias=False), 384, 384 * 100, 400 + 384 + 2400),
    ],
)
def test_a_convolution_costs_what_is_counted_by_hand(
    layer: nn.Module, parameters: int, macs: int, values_moved: int
) -> None:
    cost = measure_cost(layer, (1, 4, 10, 10))
    assert (cost.parameters, cost.macs, cost.bytes_moved) == (parameters, macs, 4 * values_moved)
    assert cost.layers == (Cost(parameters, macs, 4 * values_moved),)
    assert cost.intensity == macs / (4 * values_moved)


def test_a_separable_convolution_writes_and_reads_the_map_between_its_halves() -> None:
    separable = LayerStyle(convolution="separable").conv(4, 6)
    cost = measure_cost(separable, (1, 4, 10, 10))
    assert [layer.macs for layer in cost.layers] == [36 * 100, 24 * 100]
    assert cost.macs == 60 * 100
    assert cost.bytes_moved == 4 * ((400 + 36 + 400) + (400 + 24 + 600))


def test_a_linear_layer_has_macs_and_a_norm_has_only_parameters() -> None:
    cost = measure_cost(nn.Sequential(nn.Linear(8, 3), nn.BatchNorm1d(3)), (5, 8))
    assert cost.parameters == 27 + 6
    assert cost.macs == 5 * 24
    assert cost.bytes_moved == 4 * (40 + 27 + 15)


def test_matrix_products_outside_layers_count_as_macs() -> None:
    class Square(nn.Module):
        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return values @ values

    cost = measure_cost(Square(), (6, 6))
    assert (cost.macs, cost.layers, cost.intensity) == (216, (), 0)


def test_measuring_does_not_change_the_network() -> None:
    network = nn.Conv2d(2, 2, 3)
    measure_cost(network, (1, 2, 8, 8))
    assert network.training
    assert network.weight.device.type == "cpu"
    assert not network._forward_hooks
