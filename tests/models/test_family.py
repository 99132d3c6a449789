"""Properties of all networks of the family."""

from collections.abc import Iterable
from functools import cache
from itertools import combinations, filterfalse, product
from pathlib import Path
from typing import get_args

import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from seg.labels import CROPLAND, IGNORE, OTHER
from seg.losses.config import LossConfig
from seg.losses.mixture import CroplandLoss
from seg.models.build import build_model
from seg.models.config import ModelConfig
from seg.models.decoder import TransposedDecoder
from seg.models.layers import Convolution, LayerStyle, Norm
from seg.models.onnx_export import INPUT, OUTPUT, export_onnx
from seg.models.pyramid import Context
from seg.models.receptive_field import receptive_field_radius
from seg.models.segmenter import Segmenter
from support.networks import covering, enliven

BANDS = 3
SIZES = (1, 2, 3, 7, 31, 64, 97, 200)
SHAPES = [(side, SIZES[(index + step) % len(SIZES)]) for index, side in enumerate(SIZES) for step in (3, 4)]
"""Pairs of heights and widths; each length is combined with two other lengths."""

FACTORS: dict[str, list[object]] = {
    "backbone": [
        ("tu-test_resnet", 8),
        ("tu-test_resnet", 16),
        ("resnet18", 16),
        ("resnet18", 32),
        ("dilated_tiny", 4),
        ("dilated_tiny", 8),
        ("dilated_small", 8),
        ("dilated_base", 4),
    ],
    "convolution": [*get_args(Convolution)],
    "norm": [*get_args(Norm)],
    "context": [*get_args(Context)],
    "boundary": [False, True],
}
ROWS = covering(FACTORS)
SMALL = [("tu-test_resnet", 8), ("tu-test_resnet", 16), ("dilated_tiny", 4), ("dilated_tiny", 8)]
QUICK_ROWS = [
    *covering(FACTORS | {"backbone": SMALL}),
    {"backbone": ("resnet18", 16)} | {part: values[0] for part, values in FACTORS.items() if part != "backbone"},
]
"""The suite tests all pairs of values with small backbones, and an encoder of smp; the campaign tests all backbones."""


def configuration(row: dict[str, object]) -> ModelConfig:
    parts = dict(row)
    encoder, stride = parts.pop("backbone")
    widths = (16,) * (stride.bit_length() - 1)
    sizes = {"pyramid_rates": (1, 2), "pyramid_channels": 16, "decoder_channels": widths, "context_window": 5}
    return ModelConfig(encoder=encoder, output_stride=stride, **sizes, **parts)


def name(config: ModelConfig) -> str:
    parts = [config.encoder, config.output_stride, config.convolution, config.norm, config.context]
    return "-".join(map(str, parts)) + "-boundary" * config.boundary


def is_bounded(config: ModelConfig) -> bool:
    return config.norm != "group" and config.context != "global"


def campaign(configs: Iterable[ModelConfig]) -> list[object]:
    return [pytest.param(config, marks=pytest.mark.campaign) for config in configs]


QUICK = [configuration(row) for row in QUICK_ROWS]
CONFIGS = [config for config in map(configuration, ROWS) if config not in QUICK]
NETWORKS = [*QUICK, *campaign(CONFIGS)]
BOUNDED = [*filter(is_bounded, QUICK), *campaign(filter(is_bounded, CONFIGS))]
UNBOUNDED = [*filterfalse(is_bounded, QUICK), *campaign(filterfalse(is_bounded, CONFIGS))]
DEMO = configuration({"backbone": ("dilated_tiny", 4)})
PARTS = [factor for factor in FACTORS if factor != "backbone"]
EXPORTED: list[dict[str, object]] = [
    {"backbone": ("tu-test_resnet", 8)} | dict(zip(PARTS, ("standard", "batch", "none", False), strict=True)),
    {"backbone": ("dilated_tiny", 2)} | dict(zip(PARTS, ("separable", "group", "windowed", True), strict=True)),
    {"backbone": ("dilated_tiny", 2)} | dict(zip(PARTS, ("grouped", "none", "global", False), strict=True)),
]
"""A few networks that together contain every part. An export takes seconds, so not every network is exported."""


@cache
def bound(encoder: str, output_stride: int) -> int:
    """Radius that no receptive field exceeds among the bounded networks of this file with the given backbone."""
    row = {"backbone": (encoder, output_stride), "norm": "none", "context": "windowed"}
    radius = receptive_field_radius(build_model(configuration(row), bands=1), bands=1)
    assert radius is not None
    return radius


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def model(request: pytest.FixtureRequest) -> Segmenter:
    """Network of a configuration with random weights in every layer. It is built once and shared by its tests."""
    torch.manual_seed(0)
    return enliven(build_model(request.param, BANDS), BANDS)


every_network = pytest.mark.parametrize("model", NETWORKS, ids=name, indirect=True)


@pytest.mark.parametrize(
    ("rows", "factors"), [(QUICK_ROWS, FACTORS | {"backbone": SMALL}), (ROWS, FACTORS)], ids=["quick", "all"]
)
def test_every_pair_of_values_occurs_in_a_configuration(
    rows: list[dict[str, object]], factors: dict[str, list[object]]
) -> None:
    seen = {pair for row in rows for pair in combinations(row.items(), 2)}
    for (first, values), (second, others) in combinations(factors.items(), 2):
        assert all(((first, value), (second, other)) in seen for value, other in product(values, others))
    assert len(rows) < 30


@every_network
@pytest.mark.parametrize(
    "shapes", [SHAPES, pytest.param([*product(SIZES, SIZES)], marks=pytest.mark.campaign)], ids=["some", "all"]
)
def test_logits_have_the_size_of_the_image(model: Segmenter, shapes: list[tuple[int, int]]) -> None:
    with torch.inference_mode():
        for height, width in shapes:
            assert model(torch.randn(1, BANDS, height, width)).shape == (1, 1, height, width)


@every_network
def test_evaluation_is_deterministic_and_independent_of_the_batch(model: Segmenter) -> None:
    images = torch.randn(2, BANDS, 45, 70)
    with torch.inference_mode():
        together = model(images).sigmoid()
        assert torch.equal(model(images).sigmoid(), together)
        singly = torch.cat([model(images[:1]), model(images[1:])]).sigmoid()
    assert float(together.std()) > 0.05
    torch.testing.assert_close(together, singly, atol=1e-5, rtol=0)


@pytest.mark.parametrize("config", NETWORKS, ids=name)
def test_one_image_can_be_trained_on(config: ModelConfig) -> None:
    model = build_model(config, BANDS).train()
    criterion = CroplandLoss(LossConfig(boundary=0.5 * config.boundary))
    optimizer = torch.optim.AdamW(model.parameters())
    for height, width in ((1, 1), (40, 56)):
        mask = torch.tensor([CROPLAND, OTHER, IGNORE], dtype=torch.uint8)[torch.randint(3, (1, height, width))]
        heads = model.heads(torch.randn(1, BANDS, height, width))
        optimizer.zero_grad()
        criterion(heads.cropland, mask, heads.boundary).backward()
        optimizer.step()
        assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in model.parameters())
        assert all(weight.isfinite().all() for weight in model.parameters())


@pytest.mark.parametrize("model", BOUNDED, ids=name, indirect=True)
def test_moving_the_image_by_the_stride_moves_the_logits(model: Segmenter, request: pytest.FixtureRequest) -> None:
    config = request.node.callspec.params["model"]
    check_shift(model, bound(config.encoder, config.output_stride), axis=3)


@pytest.mark.parametrize("model", BOUNDED[:2], ids=name, indirect=True)
def test_moving_the_image_down_by_the_stride_moves_the_logits(model: Segmenter, request: pytest.FixtureRequest) -> None:
    config = request.node.callspec.params["model"]
    check_shift(model, bound(config.encoder, config.output_stride), axis=2)


def check_shift(model: Segmenter, radius: int, axis: int) -> None:
    """Check that a shift of the image by the stride shifts the logits, except near the border."""
    shift = model.stride
    sides = [2 * shift, 2 * shift]
    sides[axis - 2] = (2 * radius // shift + 6) * shift
    image = torch.randn(1, BANDS, *sides)
    with torch.inference_mode():
        plain, moved = model(image), model(image.roll(shift, dims=axis))
    inner = sides[axis - 2] - 2 * radius - shift
    wanted = plain.narrow(axis, radius, inner)
    assert float(wanted.std()) > 0.1
    torch.testing.assert_close(moved.narrow(axis, radius + shift, inner), wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("model", UNBOUNDED, ids=name, indirect=True)
def test_group_norm_and_global_context_are_unbounded(model: Segmenter) -> None:
    assert receptive_field_radius(model, BANDS) is None


@pytest.mark.parametrize(("part", "depends"), [({}, False), ({"context": "global"}, True), ({"norm": "group"}, True)])
def test_a_distant_cut_changes_logits_only_of_unbounded_networks(part: dict[str, str], depends: bool) -> None:
    model = enliven(build_model(configuration({"backbone": ("dilated_tiny", 4), **part}), BANDS), BANDS)
    radius = bound("dilated_tiny", 4)
    image = torch.randn(1, BANDS, 8, 1024)
    image[..., 512:] += 1
    with torch.inference_mode():
        difference = (model(image)[..., : 512 - radius] - model(image[..., :512])[..., : 512 - radius]).abs().max()
    assert float(difference) > 1e-2 if depends else float(difference) < 1e-5


def test_every_part_is_in_a_network_that_is_exported() -> None:
    assert all({row[part] for row in EXPORTED} == set(FACTORS[part]) for part in PARTS)


@pytest.mark.parametrize(
    "config",
    [*map(configuration, EXPORTED), *campaign([*QUICK, *CONFIGS])],
    ids=name,
)
def test_onnx_runtime_computes_the_same_for_any_size(config: ModelConfig, tmp_path: Path) -> None:
    model = enliven(build_model(config, BANDS), BANDS)
    path = tmp_path / "model.onnx"
    export_onnx(model, BANDS, path)
    file = onnx.load(path)
    assert file.opset_import[0].version >= 17
    assert [side.dim_param != "" for side in file.graph.input[0].type.tensor_type.shape.dim[2:]] == [True, True]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for height, width in ((1, 1), (7, 97), (64, 64), (130, 31)):
        image = torch.randn(1, BANDS, height, width)
        with torch.inference_mode():
            wanted = model(image).sigmoid()
        found = torch.from_numpy(session.run([OUTPUT], {INPUT: image.numpy()})[0]).sigmoid()
        torch.testing.assert_close(found, wanted, atol=1e-4, rtol=0)
    assert float(wanted.std()) > 0.05


def test_torch_exports_the_default_network_for_any_size() -> None:
    model = enliven(build_model(ModelConfig(), BANDS), BANDS)
    sides = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    exported = torch.export.export(model, (torch.randn(1, BANDS, 50, 70),), dynamic_shapes=(sides,)).module()
    with torch.inference_mode():
        for height, width in ((1, 1), (97, 31), (64, 70), (31, 64), (64, 128)):
            image = torch.randn(1, BANDS, height, width)
            torch.testing.assert_close(exported(image), model(image), atol=1e-5, rtol=0)


def unevenness(maps: Tensor, margin: int) -> float:
    """Largest deviation of a channel's values from their mean, except near the border."""
    inner = maps[..., margin:-margin, margin:-margin]
    assert float(inner.abs().max()) > 0.01
    return float((inner - inner.mean(dim=(2, 3), keepdim=True)).abs().max())


@pytest.mark.parametrize("convolution", get_args(Convolution))
@pytest.mark.parametrize("norm", get_args(Norm))
def test_decoder_draws_no_checkerboard_on_constant_features(convolution: str, norm: str) -> None:
    skips = [16, 16, 16, BANDS]
    decoder = TransposedDecoder(16, skips, (16,) * 4, LayerStyle(convolution=convolution, norm=norm)).eval()
    levels = [torch.randn(1, channels, 1, 1) for channels in (16, *skips)]
    deepest, *finer = (level.expand(-1, -1, 16 * 2**step, 16 * 2**step) for step, level in enumerate(levels))
    with torch.inference_mode():
        assert unevenness(decoder(deepest, finer), margin=32) < 1e-5


def test_the_whole_network_draws_no_checkerboard_on_a_constant_image() -> None:
    model = build_model(DEMO, BANDS).eval()
    image = torch.randn(1, BANDS, 1, 1).expand(-1, -1, 256, 256)
    with torch.inference_mode():
        assert unevenness(model(image), margin=bound("dilated_tiny", 4)) < 1e-5


def test_a_transposed_convolution_of_kernel_3_draws_a_checkerboard() -> None:
    upsample = nn.ConvTranspose2d(4, 4, kernel_size=3, stride=2, padding=1, output_padding=1)
    with torch.inference_mode():
        assert unevenness(upsample(torch.ones(1, 4, 16, 16)), margin=4) > 1e-2
