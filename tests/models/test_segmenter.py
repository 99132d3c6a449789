import pytest
import torch

from seg.models.build import build_model
from seg.models.config import ModelConfig
from seg.models.receptive_field import receptive_field_radius

SIZES = [1, 2, 3, 7, 31, 64, 97]


@pytest.mark.parametrize("config", [ModelConfig(), ModelConfig(encoder="resnet18")])
@pytest.mark.parametrize("size", [(1, 1), (3, 97), (64, 64), (200, 31)])
def test_logits_have_the_size_of_the_image(config: ModelConfig, size: tuple[int, int]) -> None:
    model = build_model(config, bands=4).eval()
    with torch.inference_mode():
        assert model(torch.randn(1, 4, *size)).shape == (1, 1, *size)


@pytest.mark.parametrize("size", SIZES)
def test_one_image_of_any_size_can_be_trained_on(tiny: ModelConfig, size: int) -> None:
    model = build_model(tiny, bands=3).train()
    model(torch.randn(1, 3, size, size)).mean().backward()
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert any(gradient.abs().max() > 0 for gradient in gradients)


def test_default_model_trains_on_a_single_pixel() -> None:
    model = build_model(ModelConfig(), bands=4).train()
    model(torch.randn(1, 4, 1, 1)).mean().backward()


def test_evaluation_is_deterministic(tiny: ModelConfig) -> None:
    model = build_model(tiny, bands=3).eval()
    image = torch.randn(1, 3, 40, 56)
    with torch.inference_mode():
        assert torch.equal(model(image), model(image))


def test_moving_the_image_by_the_stride_moves_the_logits(tiny: ModelConfig) -> None:
    model = build_model(tiny, bands=2).eval()
    radius = receptive_field_radius(model, 2)
    side = 2 * (radius + 2 * model.stride) // model.stride * model.stride + model.stride
    image = torch.randn(1, 2, side, side)
    shift = model.stride
    with torch.inference_mode():
        plain = model(image)[..., radius + shift : -radius - shift, radius + shift : -radius - shift]
        moved = model(image.roll((shift, shift), dims=(2, 3)))
    moved = moved[..., radius + 2 * shift : -radius or None, radius + 2 * shift : -radius or None]
    assert plain.numel() > 0
    torch.testing.assert_close(moved, plain, atol=1e-5, rtol=0)


def test_pixels_beyond_the_receptive_field_change_nothing(tiny: ModelConfig) -> None:
    model = build_model(tiny, bands=1).eval()
    radius = receptive_field_radius(model, 1)
    image = torch.randn(1, 1, 64, 512)
    changed = image.clone()
    changed[..., 256:] += 100
    with torch.inference_mode():
        difference = (model(image) - model(changed)).abs().amax(dim=(0, 1, 2))
    assert difference[: 256 - radius].max() < 1e-5
    assert difference[256 - radius : 256].max() > 1e-5


def test_stored_units_do_not_matter_once_statistics_are_filled(tiny: ModelConfig) -> None:
    model = build_model(tiny, bands=1).eval()
    image = torch.randn(1, 1, 32, 32)
    with torch.inference_mode():
        plain = model(image)
        model.normalization.fill([3000.0], [500.0])
        scaled = model(image * 500 + 3000)
    torch.testing.assert_close(scaled, plain, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(
    ("config", "stride"),
    [(ModelConfig(), 8), (ModelConfig(architecture="unet", encoder="resnet18"), 32)],
    ids=["dilated", "unet"],
)
@pytest.mark.parametrize("size", [(64, 97), (3, 9)])
def test_features_lie_at_the_stride_of_the_network(config: ModelConfig, stride: int, size: tuple[int, int]) -> None:
    model = build_model(config, bands=3).eval()
    image = torch.randn(1, 3, *size)
    with torch.inference_mode():
        features = model.features(image)
        heads, same = model.heads_and_features(image)
        assert torch.equal(heads.cropland, model(image))
    assert torch.equal(features, same)
    assert features.shape[-2:] == (-(-size[0] // stride), -(-size[1] // stride))
