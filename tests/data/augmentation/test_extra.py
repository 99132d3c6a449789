import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonargparse import ArgumentParser

from seg.data.augmentation.extra import Argument, ExtraTransform, build_extras
from seg.data.augmentation.pipeline import Augmentation, AugmentationConfig
from seg.data.sample import Sample
from seg.errors import ConfigError
from support.samples import GARBAGE, assert_paint_shows_the_mask, painted, same, sample_of, with_invalid

SPATIAL: dict[str, dict[str, Argument]] = {
    "Affine": {"rotate": [-30, 30], "scale": [0.5, 1.5]},
    "ElasticTransform": {"alpha": 20},
    "GridDistortion": {},
    "Perspective": {},
    "RandomGridShuffle": {},
    "Rotate": {"mask_interpolation": 1},
    "Transpose": {},
}
PIXELS: dict[str, dict[str, Argument]] = {
    "GaussianBlur": {"sigma_limit": [0.5, 1.5]},
    "GaussNoise": {},
    "MultiplicativeNoise": {"per_channel": True},
    "RandomBrightnessContrast": {},
    "RandomGamma": {},
}
seeds = st.integers(0, 2**32 - 1)


def always(name: str, arguments: dict[str, Argument]) -> AugmentationConfig:
    return AugmentationConfig(dihedral=False, extra=[ExtraTransform(name, {**arguments, "p": 1})])


def changed(config: AugmentationConfig, sample: Sample, seed: int = 0) -> Sample:
    return Augmentation(config, *[[100.0] * len(sample.image)] * 2)(sample, np.random.default_rng(seed))


@pytest.mark.parametrize("name", SPATIAL)
@settings(deadline=None, max_examples=10)
@given(seed=seeds)
def test_image_mask_and_validity_move_alike(name: str, seed: int) -> None:
    plain = sample_of(1, 40, 30, seed)
    config = always(name, SPATIAL[name])
    assert_paint_shows_the_mask(changed(config, painted(plain), seed))

    marked = Sample(plain.image, plain.valid.astype(np.uint8), plain.valid)
    moved = changed(config, marked, seed)
    assert not same(moved, marked)
    assert (moved.mask[moved.valid] == 1).all()
    assert not (moved.mask[~moved.valid] == 1).any()


def test_pixels_from_outside_are_invalid_for_any_fill_mask() -> None:
    full = Sample(np.ones((1, 40, 40), np.float32), np.ones((40, 40), np.uint8), np.ones((40, 40), bool))
    turned = changed(always("Affine", {"rotate": [45, 45], "fill_mask": 1}), full)
    assert turned.valid[20, 20]
    assert not turned.valid[0, 0]


@pytest.mark.parametrize("name", PIXELS)
def test_pixel_transforms_work_in_stored_units_and_do_not_change_mask_and_validity(name: str) -> None:
    plain = sample_of(5, 40, 30)
    moved = changed(always(name, PIXELS[name]), plain)
    inside = plain.image[:, plain.valid]

    assert same(Sample(moved.image, plain.mask, plain.valid), moved)
    assert moved.image.dtype == np.float32
    assert not np.array_equal(moved.image, plain.image)
    assert moved.image[:, plain.valid].mean() == pytest.approx(inside.mean(), rel=0.5)
    assert moved.image[:, plain.valid].std() > 100


def test_a_transform_with_probability_0_changes_no_pixel() -> None:
    plain = sample_of(3, 8, 9)
    assert same(changed(AugmentationConfig(dihedral=False, extra=[ExtraTransform("Blur", {"p": 0})]), plain), plain)


@pytest.mark.parametrize("name", ["Affine", "GaussianBlur", "RandomBrightnessContrast"])
def test_invalid_values_never_reach_valid_pixels(name: str) -> None:
    sample = sample_of(2, 20, 30)
    config = always(name, {**SPATIAL, **PIXELS}[name])
    first, other = (changed(config, with_invalid(sample, value)) for value in (GARBAGE, -1))
    np.testing.assert_array_equal(first.image[:, first.valid], other.image[:, other.valid])


def test_constant_and_empty_samples_stay_finite() -> None:
    flat = Sample(np.full((2, 9, 9), 7, np.float32), np.zeros((9, 9), np.uint8), np.ones((9, 9), bool))
    empty = Sample(flat.image, flat.mask, ~flat.valid)
    for sample in (flat, empty):
        assert np.isfinite(changed(always("GaussianBlur", {}), sample).image).all()


def test_extras_depend_only_on_the_seed_also_in_another_process() -> None:
    config = AugmentationConfig(extra=[ExtraTransform("Affine", {"rotate": [-30, 30]}), ExtraTransform("GaussNoise")])
    sample, augmentation = sample_of(3, 9, 7), Augmentation(config, [1.0] * 3, [0.0] * 3)
    sent = pickle.loads(pickle.dumps(augmentation))
    results = [augmentation(sample, np.random.default_rng(seed)) for seed in range(20)]
    assert all(same(sent(sample, np.random.default_rng(seed)), results[seed]) for seed in reversed(range(20)))
    assert len({result.image.tobytes() for result in results}) > 10


def test_a_configuration_selects_transforms_with_their_arguments() -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--augmentation", type=AugmentationConfig)
    words = ["--augmentation.extra+={name: GaussianBlur, arguments: {sigma_limit: [0.5, 1], p: 0.3}}"]
    parsed = parser.instantiate(parser.parse_args(words))
    assert parsed.augmentation.extra == [ExtraTransform("GaussianBlur", {"sigma_limit": [0.5, 1], "p": 0.3})]


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("GausianBlur", {}, "has no image transform 'GausianBlur'; the nearest name is GaussianBlur"),
        ("os", {}, "has no image transform 'os'"),
        ("Compose", {}, "has no image transform 'Compose'"),
        ("core.composition.Compose", {}, "has no image transform"),
        ("Lambda", {}, "Lambda cannot be used here, because it takes functions"),
        ("Normalize", {}, "Normalize cannot be used here, because the model normalises its input"),
        ("GaussianBlur", {"sigma": 3}, r"GaussianBlur cannot be built: Argument\(s\) 'sigma' are not valid"),
        ("GaussianBlur", {"sigma_limit": "wide"}, "GaussianBlur has wrong argument sigma_limit: Input should be"),
        ("GaussianBlur", {"p": 3}, "GaussianBlur has wrong argument p: Input should be less than or equal to 1"),
        ("RandomCrop", {}, "RandomCrop has wrong argument height: Field required"),
        ("CropAndPad", {}, "CropAndPad has wrong arguments: Value error, Both px and percent"),
    ],
)
def test_a_wrong_name_or_argument_is_refused_in_one_line(
    name: str, arguments: dict[str, Argument], message: str
) -> None:
    with pytest.raises(ConfigError, match=rf"^data\.augmentation\.extra: [^\n]*{message}[^\n]*$"):
        ExtraTransform(name, arguments)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("HueSaturationValue", {}, "HueSaturationValue fails on an image of 4 bands with a mask"),
        ("FDA", {}, "FDA fails on an image of 4 bands with a mask"),
        ("RandomCrop", {"height": 32, "width": 32}, "RandomCrop changes the size of a sample"),
        ("RandomScale", {"scale_limit": [0.2, 0.3]}, "RandomScale changes the size of a sample"),
    ],
)
def test_a_transform_that_does_not_fit_the_samples_is_refused(
    name: str, arguments: dict[str, Argument], message: str
) -> None:
    with pytest.raises(ConfigError, match=rf"^data\.augmentation\.extra: {message}[^\n]*; leave it out$"):
        build_extras([ExtraTransform(name, arguments)], bands=4)


@pytest.mark.campaign  # tests/test_privacy.py shows it for all libraries together
def test_importing_albumentations_contacts_no_server() -> None:
    code = (
        "import socket, sys; socket.create_connection = lambda *_, **__: sys.exit('asked a server'); "
        "import seg.data.augmentation.transform"
    )
    environment = {name: value for name, value in os.environ.items() if name != "NO_ALBUMENTATIONS_UPDATE"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
