import json
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import segmentation_models_pytorch as smp
import torch
from torch import nn

from seg.errors import ConfigError
from seg.losses.config import LossConfig
from seg.losses.mixture import CroplandLoss
from seg.models.build import build_model, drop_norms_after_pooling
from seg.models.config import ModelConfig
from seg.models.onnx_export import INPUT, OUTPUT, export_onnx
from seg.models.receptive_field import receptive_field_radius
from seg.models.segmenter import Segmenter
from support.networks import enliven


def test_arguments_survive_json() -> None:
    config = ModelConfig(pyramid_rates=(1, 3), decoder_channels=(8, 8, 8, 8))
    assert ModelConfig.from_arguments(json.loads(json.dumps(config.arguments()))) == config


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (ModelConfig(encoder="resnet81"), "encoder is 'resnet81', an unknown name; similar names: resnet18"),
        (ModelConfig(encoder=""), "encoder is '', an unknown name; see the encoders of segmentation-models-pytorch"),
        (ModelConfig(encoder="tu-no_such_network"), "encoder is 'tu-no_such_network', an unknown name"),
        (
            ModelConfig(encoder="resnet18", output_stride=12),
            "output_stride is 12, which encoder resnet18 does not support; use one of 8, 16, 32",
        ),
        (
            ModelConfig(output_stride=4),
            "decoder_channels has 3 widths ([64, 32, 16]), but an output_stride of 4 needs 2",
        ),
        (ModelConfig(decoder_channels=()), "decoder_channels has 0 widths ([]), but an output_stride of 8 needs 3"),
        (ModelConfig(encoder="tu-resnet19"), "encoder is 'tu-resnet19', an unknown name; similar names: tu-resnet"),
        (ModelConfig(encoder="tu-hf-hub:someone/net"), "encoder is 'tu-hf-hub:someone/net', an unknown name"),
        (
            ModelConfig(architecture="segformer", encoder="tu-swin_tiny_patch4_window7_224"),
            "encoder is 'tu-swin_tiny_patch4_window7_224', which does not accept images of any size (",
        ),
        (ModelConfig(encoder="vgg11"), "encoder is 'vgg11', which cannot be built at output stride 8"),
        (ModelConfig(encoder="tu-vgg11"), "encoder is 'tu-vgg11', which cannot be built at output stride 8"),
        (ModelConfig(encoder="mit_b0"), "encoder is 'mit_b0', which has no features at stride 2"),
        (ModelConfig(encoder="tu-test_convnext"), "encoder is 'tu-test_convnext', which has no features at stride 2"),
        (ModelConfig(encoder="resnet19", output_stride=2), "encoder is 'resnet19', an unknown name; similar names:"),
        (
            ModelConfig(encoder="dilated_tinny"),
            "encoder is 'dilated_tinny', an unknown name; similar names: dilated_tiny",
        ),
        (
            ModelConfig(encoder="dilated_tiny", output_stride=12),
            "output_stride is 12; use one of 2, 4, 8, 16, 32",
        ),
        (
            ModelConfig(architecture="unet", encoder="dilated_tiny"),
            "encoder is 'dilated_tiny', which works only with architecture dilated; use resnet18",
        ),
        (ModelConfig(architecture="fpn", encoder="resnet81"), "encoder is 'resnet81', an unknown name"),
        (
            ModelConfig(architecture="fpn", encoder="tu-no_such_network"),
            "encoder is 'tu-no_such_network', an unknown name",
        ),
        (
            ModelConfig(architecture="deeplabv3plus", encoder="resnet18", output_stride=4),
            "output_stride is 4, which deeplabv3plus does not support; use one of 8, 16",
        ),
        (
            ModelConfig(encoder="resnet18", convolution="grouped", groups=3),
            "groups is 3, which does not divide a convolution of 512 to 96 channels; use one of 1, 2, 4, 8",
        ),
        (
            ModelConfig(convolution="grouped", groups=32),
            "groups is 32, which does not divide a convolution of 32 to 16 channels; use one of 1, 2, 4, 8, 16",
        ),
    ],
)
def test_an_invalid_configuration_is_refused_in_one_line(config: ModelConfig, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        build_model(config, bands=4)
    assert str(error.value).startswith(f"model.model.{message}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"architecture": "dilatd"}, "architecture is 'dilatd'; use one of dilated, unet, deeplabv3plus, segformer,"),
        ({"convolution": "dense"}, "convolution is 'dense'; use one of standard, separable, grouped"),
        ({"norm": "layer"}, "norm is 'layer'; use one of batch, group, none"),
        ({"norm": None}, "norm is None; use one of batch, group, none"),
        ({"context": "local"}, "context is 'local'; use one of none, windowed, global"),
        ({"groups": 0}, "groups is 0; wanted 1 or more"),
        ({"pyramid_rates": (1, 0)}, "pyramid_rates is 1, 0; wanted 1 or more"),
        ({"pyramid_channels": 0}, "pyramid_channels is 0; wanted 1 or more"),
        ({"pyramid_bottleneck": 0}, "pyramid_bottleneck is 0; wanted 1 or more"),
        ({"pyramid_channels": 10**30}, f"pyramid_channels is {10**30}; wanted at most 4096"),
        ({"decoder_channels": (8, 5000)}, "decoder_channels is 8, 5000; wanted at most 4096"),
        ({"context_window": 9001}, "context_window is 9001; wanted at most 4096"),
        ({"context_window": 8}, "context_window is 8; wanted an odd number, 3 or more"),
        ({"context_window": 1}, "context_window is 1; wanted an odd number, 3 or more"),
        ({"decoder_channels": (8, -1)}, "decoder_channels is 8, -1; wanted 1 or more"),
        ({"dropout": 1.0}, "dropout is 1.0; wanted 0 to below 1"),
        ({"dropout": float("nan")}, "dropout is nan; wanted 0 to below 1"),
    ],
)
def test_values_out_of_range_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        ModelConfig(**arguments)
    assert str(error.value).startswith(f"model.model.{message}")


def test_groups_must_divide_the_channels_only_in_grouped_convolutions() -> None:
    build_model(ModelConfig(encoder="dilated_tiny", output_stride=2, groups=3, decoder_channels=(8,)), bands=4)


@pytest.mark.parametrize("bands", [0, 5000, 10**30])
def test_zero_and_too_many_bands_are_refused(bands: int) -> None:
    with pytest.raises(ConfigError, match=f"bands is {bands}; wanted 1 to 4096"):
        build_model(ModelConfig(), bands)


def test_unknown_arguments_are_refused() -> None:
    with pytest.raises(ConfigError, match="widht"):
        ModelConfig.from_arguments({"widht": 3})


BANDS = 4
ENCODERS = {
    "unet": "tu-test_resnet",
    "deeplabv3plus": "tu-test_resnet",
    "segformer": "mit_b0",
    "upernet": "tu-test_resnet",
    "fpn": "tu-test_resnet",
}
every_baseline = pytest.mark.parametrize(
    "architecture", [pytest.param(name, marks=pytest.mark.campaign) if name == "upernet" else name for name in ENCODERS]
)


def baseline(architecture: str, output_stride: int = 16) -> Segmenter:
    torch.manual_seed(0)
    encoder = ENCODERS[architecture]
    return build_model(ModelConfig(architecture=architecture, encoder=encoder, output_stride=output_stride), BANDS)


@every_baseline
def test_logits_have_the_size_of_the_image(architecture: str) -> None:
    model = baseline(architecture).eval()
    with torch.inference_mode():
        for height, width in ((1, 1), (3, 200), (64, 64), (97, 31)):
            assert model(torch.randn(1, BANDS, height, width)).shape == (1, 1, height, width)


@every_baseline
def test_one_image_can_be_trained_on(architecture: str) -> None:
    model = baseline(architecture).train()
    criterion, optimizer = CroplandLoss(LossConfig()), torch.optim.AdamW(model.parameters())
    for height, width in ((1, 1), (40, 56)):
        mask = torch.randint(2, (1, height, width), dtype=torch.uint8)
        optimizer.zero_grad()
        criterion(model(torch.randn(1, BANDS, height, width)), mask).backward()
        optimizer.step()
        gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
        assert all(gradient.isfinite().all() for gradient in gradients)
        assert any(gradient.abs().max() > 0 for gradient in gradients)


@every_baseline
def test_evaluation_is_deterministic(architecture: str) -> None:
    model = enliven(baseline(architecture), BANDS)
    image = torch.randn(1, BANDS, 40, 56)
    with torch.inference_mode():
        assert torch.equal(model(image), model(image))


@every_baseline
def test_no_batch_norm_follows_a_pool_to_one_pixel(architecture: str) -> None:
    sizes: list[tuple[int, int]] = []
    model = baseline(architecture).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_pre_hook(lambda _, inputs: sizes.append(tuple(inputs[0].shape[-2:])))
    with torch.inference_mode():
        model(torch.randn(1, BANDS, 1, 1))
    assert len(sizes) > 0
    assert (1, 1) not in sizes


def test_the_deeplab_of_smp_cannot_be_trained_on_one_image() -> None:
    network = smp.DeepLabV3Plus("resnet18", encoder_weights=None, in_channels=BANDS).train()
    with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
        network(torch.randn(1, BANDS, 64, 64))
    drop_norms_after_pooling(network)
    assert network(torch.randn(1, BANDS, 64, 64)).shape == (1, 1, 64, 64)


@pytest.mark.parametrize("stride", [8, 16])
def test_deeplabv3plus_takes_an_output_stride(stride: int) -> None:
    model = baseline("deeplabv3plus", stride).eval()
    assert model.stride == stride
    with torch.inference_mode():
        deepest = model.network.encoder(torch.randn(1, BANDS, 64, 64))[-1]
    assert deepest.shape[-2:] == (64 // stride, 64 // stride)


@pytest.mark.parametrize("stride", [4, 12, 32])
def test_another_output_stride_is_refused_in_one_line(stride: int) -> None:
    with pytest.raises(ConfigError, match=f"output_stride is {stride}, .*deeplabv3plus.*; use one of 8, 16") as error:
        baseline("deeplabv3plus", stride)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "architecture", ["unet", *(pytest.param(name, marks=pytest.mark.campaign) for name in ("deeplabv3plus", "fpn"))]
)
def test_onnx_runtime_computes_the_same_for_any_size(architecture: str, tmp_path: Path) -> None:
    model = enliven(baseline(architecture), BANDS)
    export_onnx(model, BANDS, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    for height, width in ((1, 1), (64, 64), (97, 31)):
        image = torch.randn(1, BANDS, height, width)
        with torch.inference_mode():
            wanted = model(image).sigmoid()
        found = torch.from_numpy(session.run([OUTPUT], {INPUT: image.numpy()})[0]).sigmoid()
        torch.testing.assert_close(found, wanted, atol=1e-4, rtol=0)
    assert float(wanted.std()) > 0.05


@pytest.mark.campaign
def test_upernet_is_refused_for_onnx(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="as ONNX, this network works only for some image sizes; use it with PyTorch"):
        export_onnx(baseline("upernet"), BANDS, tmp_path / "model.onnx")


@every_baseline
def test_all_but_unet_are_marked_as_dependent_on_the_window(architecture: str) -> None:
    assert baseline(architecture).window_dependent is (architecture != "unet")


@pytest.mark.parametrize("architecture", [name for name in ENCODERS if name != "unet"])
def test_networks_that_depend_on_the_window_are_unbounded(architecture: str) -> None:
    assert receptive_field_radius(baseline(architecture), BANDS) is None


@every_baseline
def test_only_unet_ignores_distant_pixels(architecture: str) -> None:
    model = enliven(baseline(architecture), BANDS)
    image = torch.randn(1, BANDS, 64, 2048)
    image[..., 1024:] += 1
    with torch.inference_mode():
        difference = (model(image)[..., :128] - model(image[..., :1024])[..., :128]).abs().max()
    assert float(difference) < 1e-5 if architecture == "unet" else float(difference) > 1e-5


@every_baseline
def test_all_but_unet_depend_on_the_place_of_a_pixel_in_the_window(architecture: str) -> None:
    model = enliven(baseline(architecture), BANDS)
    shift, side = model.stride, 16 * model.stride
    image = torch.randn(1, BANDS, 2 * shift, side)
    middle = slice(side // 2 - shift, side // 2)
    with torch.inference_mode():
        plain, moved = model(image), model(image.roll(shift, dims=3))
    difference = (moved[..., middle.start + shift : middle.stop + shift] - plain[..., middle]).abs().max()
    assert model.window_dependent == (architecture != "unet")
    assert float(difference) > 1e-4 if model.window_dependent else float(difference) < 1e-5
