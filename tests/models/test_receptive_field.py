from dataclasses import replace
from typing import Any

import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from seg.models.build import build_model
from seg.models.config import ModelConfig
from seg.models.receptive_field import (
    Layer,
    chain_reach,
    effective_radius,
    receptive_field_radius,
    unseen_context,
)
from seg.models.segmenter import BandNormalization, Segmenter

CONV, POOL = Layer(3, padding=1), Layer(2, stride=2)
OVERLAPPING, HALVE, FIVE = Layer(3, stride=2), Layer(3, stride=2, padding=1), Layer(5, padding=2)
STEM = [Layer(7, stride=2, padding=3), HALVE]

VGG16 = [*[CONV] * 2, POOL, *[CONV] * 2, POOL, *([*[CONV] * 3, POOL] * 3)]
ALEXNET = [Layer(11, 4), OVERLAPPING, FIVE, OVERLAPPING, *[CONV] * 3, OVERLAPPING]
# The longest path through each inception module is its 5x5 convolution.
GOOGLENET = [*STEM, CONV, HALVE, *[FIVE] * 2, HALVE, *[FIVE] * 5, HALVE, *[FIVE] * 2, Layer(7)]
RESNET18 = [*STEM, *[CONV] * 4, *([HALVE, *[CONV] * 3] * 3)]
MOBILENET = [HALVE, CONV, HALVE, CONV, HALVE, CONV, HALVE, *[CONV] * 5, HALVE, CONV]
CONTEXT = [*[Layer(3, padding=rate, dilation=rate) for rate in (1, 1, 2, 4, 8, 16, 1)], Layer(1)]
WAVENET = [Layer(2, dilation=2**power) for power in range(10)]


def slim_resnet(*units: int) -> list[Layer]:
    """The 3x3 convolutions of the bottlenecks; in TF-slim, the last unit of a block has the stride."""
    *strided, last = units
    return [*STEM, *[layer for count in strided for layer in (*[CONV] * (count - 1), HALVE)], *[CONV] * last]


# Distill: Araujo et al. 2019, https://doi.org/10.23915/distill.00021, with the table of its library
# google-research/receptive_field. FCN: Long et al. 2015, https://doi.org/10.1109/CVPR.2015.7298965, table 1, on
# networks whose fully connected layers are convolutions.
PUBLISHED = [
    pytest.param(VGG16, 212, 32, id="VGG-16 pool5, Distill"),
    pytest.param(ALEXNET, 195, 32, id="AlexNet pool5, R-CNN, Girshick et al. 2014, and Distill"),
    pytest.param([*ALEXNET, Layer(6)], 355, 32, id="FCN-AlexNet"),
    pytest.param([*VGG16, Layer(7)], 404, 32, id="FCN-VGG16"),
    pytest.param(GOOGLENET, 907, 32, id="FCN-GoogLeNet"),
    pytest.param(MOBILENET, 315, 32, id="MobileNet v1, Distill"),
    pytest.param(slim_resnet(3, 4, 6, 3), 483, 32, id="slim ResNet-50, Distill"),
    pytest.param(slim_resnet(3, 4, 23, 3), 1027, 32, id="slim ResNet-101, Distill"),
    pytest.param(slim_resnet(3, 8, 36, 3), 1507, 32, id="slim ResNet-152, Distill"),
    pytest.param(slim_resnet(3, 24, 36, 3), 1763, 32, id="slim ResNet-200, Distill's table"),
    pytest.param(RESNET18, 435, 32, id="torchvision ResNet-18, traced below too"),
    pytest.param(CONTEXT, 67, 1, id="basic context module, Yu and Koltun 2016"),
    pytest.param(WAVENET, 1024, 1, id="WaveNet block, van den Oord et al. 2016"),
]


@pytest.mark.parametrize(("layers", "size", "stride"), PUBLISHED)
def test_published_receptive_fields_and_strides_are_reproduced(layers: list[Layer], size: int, stride: int) -> None:
    reach = chain_reach(layers, length=4096)
    assert (reach.size, reach.stride) == (size, stride)


def test_the_context_module_grows_layer_by_layer_as_published() -> None:
    sizes = [chain_reach(CONTEXT[:count], length=64).size for count in range(1, 9)]
    assert sizes == [3, 5, 9, 17, 33, 65, 67, 67]


@pytest.mark.parametrize(
    ("layers", "length", "output"),
    [(VGG16, 224, 7), (RESNET18, 224, 7), (MOBILENET, 224, 7), (ALEXNET, 227, 6), (CONTEXT, 64, 64), ([], 9, 9)],
)
def test_known_networks_give_their_known_output_sizes(layers: list[Layer], length: int, output: int) -> None:
    assert chain_reach(layers, length).output == output


LAYER = st.builds(Layer, st.integers(1, 4), st.integers(1, 3), st.integers(0, 3), st.integers(1, 3))


@settings(deadline=None, max_examples=50)
@given(layers=st.lists(LAYER, max_size=4), length=st.integers(400, 500))
def test_the_output_is_as_long_as_that_of_real_layers(layers: list[Layer], length: int) -> None:
    real = nn.Sequential(*[nn.Conv1d(1, 1, lay.kernel, lay.stride, lay.padding, lay.dilation) for lay in layers])
    assert chain_reach(layers, length).output == real(torch.zeros(1, 1, length)).shape[-1]


@settings(deadline=None, max_examples=50)
@given(layers=st.lists(LAYER, max_size=4))
def test_size_and_stride_equal_the_extent_of_gradients(layers: list[Layer]) -> None:
    real = nn.Sequential(*[nn.Conv1d(1, 1, lay.kernel, lay.stride, 0, lay.dilation) for lay in layers])
    for weight in real.parameters():
        nn.init.ones_(weight)
    line = torch.zeros(1, 1, 500, dtype=torch.double, requires_grad=True)
    cells = real.double()(line)[0, 0]
    ends = [torch.autograd.grad(cells[i], line, retain_graph=True)[0][0, 0].nonzero().flatten() for i in (0, 1)]
    reach = chain_reach([replace(layer, padding=0) for layer in layers], length=500)
    assert (int(ends[0][-1]) + 1, int(ends[1][0])) == (reach.size, reach.stride)


def wrapped(network: nn.Module, bands: int = 1, stride: int = 1) -> Segmenter:
    return Segmenter(BandNormalization(bands), network, stride)


def test_one_dilated_convolution_reaches_its_rate() -> None:
    assert receptive_field_radius(wrapped(nn.Conv2d(2, 1, 3, padding=5, dilation=5), 2), bands=2) == 5


def test_chained_convolutions_add_up() -> None:
    chain = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 1, 7, padding=3))
    assert receptive_field_radius(wrapped(chain), bands=1) == 4


def test_strided_and_transposed_layers_count_in_input_pixels() -> None:
    # After a 2x2 convolution of stride 2 and its transpose, each pixel depends on its own block of 2 pixels.
    chain = nn.Sequential(nn.Conv2d(1, 2, 2, stride=2), nn.ConvTranspose2d(2, 1, 2, stride=2))
    assert receptive_field_radius(wrapped(chain, stride=2), bands=1) == 1


def test_weights_of_zero_count_for_the_receptive_field() -> None:
    convolution = nn.Conv2d(1, 1, 5, padding=2)
    nn.init.zeros_(convolution.weight)
    assert receptive_field_radius(wrapped(convolution), bands=1) == 2


@pytest.mark.parametrize("rate", [300, 1501, 4000])
@pytest.mark.parametrize("stride", [1, 4])
def test_a_dilated_layer_of_any_reach_is_detected(rate: int, stride: int) -> None:
    # The stride of 4 keeps only one of 4 columns, so the radius is 1501 at only one of the 4 positions.
    dilated = nn.Conv2d(1, 1, 3, padding=rate, dilation=rate)
    shrunk = nn.Sequential(dilated, nn.Conv2d(1, 1, 1, stride), nn.Upsample(scale_factor=stride))
    assert receptive_field_radius(wrapped(shrunk, stride=stride), bands=1) == rate + stride - 1


def test_the_trace_of_resnet18_agrees_with_the_formula() -> None:
    reach = chain_reach(RESNET18, length=224)
    narrow = timm.create_model("resnet18", channels=(8, 8, 8, 8), in_chans=1, num_classes=0, global_pool="")
    model = wrapped(nn.Sequential(narrow, nn.Upsample(scale_factor=reach.stride)), stride=reach.stride)
    # Distances are measured from the pixel beyond the middle of the cell.
    assert receptive_field_radius(model, bands=1) == reach.size // 2 + reach.stride - 1


DEMO = ModelConfig(
    encoder="dilated_tiny", output_stride=4, pyramid_rates=(1, 2), pyramid_channels=48, decoder_channels=(32, 32)
)


def perturbed_radius(model: Segmenter, width: int) -> int:
    """Distance at which a change of one column has an effect; with weights of 1 and biases of 0, nothing cancels it."""
    model.double().eval()
    for name, parameter in model.named_parameters():
        nn.init.constant_(parameter, 0.0 if name.endswith("bias") else 1.0)
    middle = width // 2 // model.stride * model.stride
    radius = 0
    for column in range(middle, middle + model.stride):
        image = torch.zeros(1, 1, 2 * model.stride, width, dtype=torch.double)
        image[..., column] = 1.0
        with torch.inference_mode():
            touched = model(image).any(dim=2).nonzero()[:, -1]
        radius = max(radius, int((touched - column).abs().max()))
    return radius


WINDOW_DEPENDENT = [{"architecture": name} for name in ("deeplabv3plus", "segformer", "upernet", "fpn")]
CONFIGS = {"default": ModelConfig(), "demo": DEMO, "windowed": replace(DEMO, context="windowed", context_window=15)}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_trace_agrees_with_perturbing_single_columns(config: ModelConfig) -> None:
    model = build_model(config, bands=1)
    radius = receptive_field_radius(model, bands=1)
    assert radius == perturbed_radius(model, width=2 * (radius + 2 * model.stride))


@pytest.mark.parametrize("changes", [{"norm": "group"}, {"context": "global"}, *WINDOW_DEPENDENT])
def test_a_network_that_depends_on_its_window_is_unbounded(tiny: ModelConfig, changes: dict[str, Any]) -> None:
    assert receptive_field_radius(build_model(replace(tiny, **changes), bands=1), bands=1) is None


def test_training_mode_is_not_changed(tiny: ModelConfig) -> None:
    model = build_model(tiny, bands=1).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    receptive_field_radius(model, 1)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_only_a_receptive_field_much_larger_than_the_scenes_has_a_note() -> None:
    assert unseen_context(reach=300, side=256.0) == ""
    assert unseen_context(reach=80, side=28.0) == ""
    assert "reaches 294 pixels" in unseen_context(reach=294, side=29.4)
    assert "receptive field is unbounded" in unseen_context(None, side=10_000.0)


def random_network(seed: int = 0, std: float = 1.0) -> Segmenter:
    """A tiny network with random weights in every layer and with band statistics."""
    torch.manual_seed(seed)
    config = replace(DEMO, output_stride=2, pyramid_rates=(1,), pyramid_channels=8, decoder_channels=(8,))
    model = build_model(config, bands=2).eval()
    model.normalization.fill([0.0, 0.0], [std, std])
    return model


def test_a_pointwise_network_needs_no_halo() -> None:
    model = wrapped(nn.Conv2d(2, 1, 1), bands=2)
    assert effective_radius(model, [torch.randn(2, 9, 9)], tolerance=1e-6) == 0


@pytest.mark.parametrize("tolerance", [1e-4, 0.01, 0.05, 0.1, 0.2, 0.4])
def test_the_effective_radius_of_a_convolution_follows_from_its_weights(tolerance: float) -> None:
    torch.manual_seed(1)
    convolution = nn.Conv2d(2, 1, 9, padding=4)
    model = wrapped(convolution, bands=2)
    model.normalization.fill([10.0, -3.0], [5.0, 0.01])
    mean, std = model.normalization.mean[:, None, None], model.normalization.std[:, None, None]
    image = mean + std * torch.randn(2, 31, 31)
    probability = float(model(image[None])[0, 0, 15, 15].sigmoid().detach())
    away = (torch.arange(9) - 4).abs()
    ring = torch.maximum(away[:, None], away)
    # In normalised units the standard deviation is 1 for every band.
    slope, weights = probability * (1 - probability), convolution.weight.detach()[0].abs().sum(dim=0)
    wanted = next(r for r in range(5) if slope * float(weights[ring > r].sum()) <= tolerance)
    assert effective_radius(model, [image], tolerance) == wanted


def test_the_effective_radius_is_never_above_the_receptive_field_and_grows_with_strictness() -> None:
    model = random_network()
    image = torch.randn(2, 160, 160)
    found = [effective_radius(model, [image], tolerance) for tolerance in (1.0, 0.1, 0.01, 1e-3, 1e-5, 0.0)]
    assert found == sorted(found)
    assert found[0] == 0
    assert found[1] < found[-1] == receptive_field_radius(model, bands=2)


def test_stored_units_do_not_change_the_effective_radius() -> None:
    image = torch.randn(2, 80, 80)
    plain = effective_radius(random_network(), [image], 1e-3)
    assert effective_radius(random_network(std=4096.0), [image * 4096], 1e-3) == plain > 0


@pytest.mark.parametrize("seed", range(3))
def test_changes_beyond_the_effective_radius_stay_within_the_tolerance(seed: int) -> None:
    model, tolerance = random_network(seed), 1 / 255
    image = torch.randn(2, 120, 120)
    radius = effective_radius(model, [image], tolerance)
    away = (torch.arange(120) - 60).abs()
    beyond = torch.maximum(away[:, None], away) > radius
    moved = image + beyond * torch.randint(0, 2, image.shape).mul(2).sub(1)
    with torch.inference_mode():
        change = (model(image[None]).sigmoid() - model(moved[None]).sigmoid())[0, 0, 60, 60]
    assert 0 < radius < 60
    assert 0 < abs(float(change)) <= tolerance
