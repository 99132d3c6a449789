import torch
from torch import Tensor, nn

from seg.models.build import build_model
from seg.models.config import ModelConfig
from seg.models.receptive_field import LIMIT, receptive_field_radius, unseen_context


def test_one_dilated_convolution_reaches_its_rate() -> None:
    assert receptive_field_radius(nn.Conv2d(2, 1, 3, padding=5, dilation=5), bands=2, stride=1) == 5


def test_chained_convolutions_add_up() -> None:
    chain = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 1, 7, padding=3))
    assert receptive_field_radius(chain, bands=1, stride=1) == 4


def test_strided_and_transposed_layers_count_in_input_pixels() -> None:
    # A 2x2 convolution of stride 2 and its transpose: each pixel sees the block of 2 that it lies in.
    chain = nn.Sequential(nn.Conv2d(1, 2, 2, stride=2), nn.ConvTranspose2d(2, 1, 2, stride=2))
    assert receptive_field_radius(chain, bands=1, stride=2) == 1


def test_weights_of_zero_still_count() -> None:
    convolution = nn.Conv2d(1, 1, 5, padding=2)
    nn.init.zeros_(convolution.weight)
    assert receptive_field_radius(convolution, bands=1, stride=1) == 2


def test_a_global_pool_has_no_end() -> None:
    class Global(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return image + image.mean(dim=(2, 3), keepdim=True)

    assert receptive_field_radius(Global(), bands=1, stride=1) == LIMIT


def test_search_widens_until_the_end_is_seen() -> None:
    assert receptive_field_radius(nn.Conv2d(1, 1, 3, padding=300, dilation=300), bands=1, stride=1) == 300


def test_trace_agrees_with_perturbing_single_pixels(tiny: ModelConfig) -> None:
    torch.manual_seed(0)
    model = build_model(tiny, bands=1).double().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)  # timm starts some at 0, which would hide their convolutions
    stride, middle, reached = model.stride, 256, []
    image = torch.randn(1, 1, 2 * stride, 512, dtype=torch.double)
    with torch.inference_mode():
        plain = model(image)
        for column in range(middle, middle + stride):
            changed = image.clone()
            changed[..., column] += 1000.0
            touched = ((model(changed) - plain).abs().amax(dim=(0, 1, 2)) > 0).nonzero()
            reached.append(int((touched - column).abs().max()))
    assert receptive_field_radius(model.float(), 1, stride) == max(reached)


def test_training_mode_is_left_as_it_was(tiny: ModelConfig) -> None:
    model = build_model(tiny, bands=1).train()
    before = model.normalization.state_dict() | {k: v.clone() for k, v in model.state_dict().items()}
    receptive_field_radius(model, 1)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_only_a_network_that_sees_much_further_than_its_scenes_is_pointed_out() -> None:
    assert unseen_context(reach=300, side=256.0) == ""
    assert unseen_context(reach=80, side=28.0) == ""
    assert "sees 294 pixels" in unseen_context(reach=294, side=29.4)
