import pytest
import torch
from torch import Tensor, nn

from seg.places.norms import mix_in


def network() -> nn.Sequential:
    """Two norms with a ReLU between them; statistics of training are mean 1, variance 4."""
    layers = nn.Sequential(nn.BatchNorm2d(2), nn.ReLU(), nn.BatchNorm2d(2)).eval()
    for norm in (layers[0], layers[2]):
        norm.running_mean.fill_(1)
        norm.running_var.fill_(4)
    return layers


def batches() -> list[tuple[Tensor, Tensor]]:
    """Two images of which half of the columns is valid; the others hold a value that must not count."""
    torch.manual_seed(0)
    images = [torch.randn(1, 2, 4, 6) * 3 + 5 for _ in range(2)]
    valid = torch.zeros(1, 4, 6, dtype=torch.bool)
    valid[..., :3] = True
    for image in images:
        image[..., 3:] = 1e6
    return [(image, valid) for image in images]


def valid_values(sample: list[tuple[Tensor, Tensor]]) -> Tensor:
    return torch.cat([image.movedim(1, -1)[valid] for image, valid in sample]).double()


def test_statistics_are_those_of_the_valid_pixels_of_all_batches() -> None:
    layers = network()
    mix_in(layers, batches(), mix=1.0)
    values = valid_values(batches())
    torch.testing.assert_close(layers[0].running_mean.double(), values.mean(dim=0))
    torch.testing.assert_close(layers[0].running_var.double(), values.var(dim=0, correction=0))


@pytest.mark.parametrize("mix", [0.0, 0.25])
def test_statistics_are_mixed_with_those_of_training(mix: float) -> None:
    layers = network()
    mix_in(layers, batches(), mix)
    values = valid_values(batches())
    torch.testing.assert_close(layers[0].running_mean.double(), (1 - mix) + mix * values.mean(dim=0))
    torch.testing.assert_close(layers[0].running_var.double(), (1 - mix) * 4 + mix * values.var(dim=0, correction=0))


def test_a_later_norm_measures_the_output_of_the_mixed_norms_before_it() -> None:
    [first, _] = batches()
    layers = network()
    mix_in(layers, [first], mix=0.5)
    passed = torch.relu(layers[0](first[0])).movedim(1, -1)[first[1]].double()
    torch.testing.assert_close(layers[2].running_mean.double(), 0.5 + 0.5 * passed.mean(dim=0))


def test_movement_is_the_distance_to_the_new_place_for_any_mix() -> None:
    moved = [mix_in(network(), batches(), mix)[0] for mix in (0.1, 0.9)]
    assert moved[0] == moved[1]
    expected = ((valid_values(batches()).mean(dim=0) - 1).abs() / 4.00001**0.5).mean()
    assert moved[0].mean == pytest.approx(float(expected))
    assert moved[0].layer == "0"


def test_a_sample_without_a_valid_cell_changes_nothing() -> None:
    layers = network()
    nothing = [(image, torch.zeros_like(valid)) for image, valid in batches()]
    assert mix_in(layers, nothing, mix=1.0) == []
    assert layers[0].running_mean.tolist() == [1, 1]
    assert layers[0].running_var.tolist() == [4, 4]


def test_hooks_are_removed() -> None:
    layers = network()
    mix_in(layers, batches(), mix=1.0)
    before = layers[0].running_mean.clone()
    layers(torch.randn(1, 2, 4, 4))
    assert torch.equal(layers[0].running_mean, before)
