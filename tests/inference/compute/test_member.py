import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

from seg.errors import ConfigError, PackageError, RasterError
from seg.inference.augmentation import TestTimeAugmentation
from seg.inference.command import load_predictor
from seg.inference.compute.member import Member, common_nodata, decision_threshold, require_alike
from seg.inference.compute.predictor import Predictor
from seg.inference.compute.torch_backend import TorchBackend
from seg.inference.planning.fitting import common_bands, fit_scene
from seg.inference.planning.memory import bytes_per_pixel
from seg.inference.planning.plan import Plan
from seg.inference.scene import predict_scene
from seg.inference.settings import ComputeSettings, PredictionSettings
from seg.labels import IGNORE
from seg.package.description import ModelPackage
from seg.package.read import read_package
from seg.raster.chips import Reading, read_chip, whole
from seg.raster.grid import read_grid
from seg.raster.windows import plan_blocks

MakeScene = Callable[..., Path]

TORCH = ComputeSettings(backend="torch", device="cpu")
IMAGE = np.random.default_rng(3).normal(2000, 300, size=(3, 67, 90)).astype(np.float32)


def silent(plan: Plan, done: int) -> None:
    """Report nothing."""


@pytest.fixture(scope="module")
def members(two_packages: list[Path]) -> list[Member]:
    packages = [read_package(folder) for folder in two_packages]
    return [
        Member(TorchBackend(folder, package, ComputeSettings(device="cpu")), package, folder.name)
        for folder, package in zip(two_packages, packages, strict=True)
    ]


def alone(member: Member, augmentation: TestTimeAugmentation) -> Predictor:
    return Predictor([member], augmentation)


@pytest.mark.parametrize("augmentation", [TestTimeAugmentation(), TestTimeAugmentation((0.75, 1), ["rot90"])])
def test_probabilities_of_models_are_averaged(members: list[Member], augmentation: TestTimeAugmentation) -> None:
    each = [alone(member, augmentation).probability(IMAGE) for member in members]
    assert np.abs(each[0] - each[1]).max() > 0.1
    together = Predictor(members, augmentation, uncertainty=True)
    assert together.views == 2 * augmentation.views
    np.testing.assert_allclose(together.probability(IMAGE), np.mean(each, axis=0), atol=1e-6)


def test_each_model_fills_pixels_without_data_with_its_own_mean(members: list[Member]) -> None:
    missing = np.zeros(IMAGE.shape[1:], bool)
    missing[20:40, 30:50] = True
    each = []
    for member in members:
        own = np.where(missing, np.array(member.package.mean, np.float32)[:, None, None], IMAGE)
        each.append(alone(member, TestTimeAugmentation()).probability(own))
    together = Predictor(members, TestTimeAugmentation())
    assert np.isnan(together.fill).all()
    filled = np.where(missing, np.array(together.fill, np.float32)[:, None, None], IMAGE)
    np.testing.assert_allclose(together.probability(filled), np.mean(each, axis=0), atol=1e-6)


def test_the_fill_of_a_single_model_is_its_own_mean(members: list[Member]) -> None:
    assert alone(members[1], TestTimeAugmentation()).fill == members[1].package.mean


@pytest.mark.parametrize("size", [88, *(pytest.param(size, marks=pytest.mark.campaign) for size in (64, 200))])
def test_models_of_different_stride_and_reach_leave_no_seams(members: list[Member], size: int) -> None:
    # The second model declares a larger stride and receptive field than it has, which must not change its results.
    longer = replace(members[1], package=replace(members[1].package, stride=24, receptive_field=150))
    predictor = Predictor([members[0], longer], TestTimeAugmentation((1.0, 1.5), ["rot90"]), uncertainty=True)
    assert predictor.alignment == 48
    assert predictor.receptive_field >= 150
    image = np.random.default_rng(3).normal(2000, 300, size=(3, 131, 387)).astype(np.float32)
    whole_scene = predictor.start(image)()
    for block in plan_blocks(131, 387, -(-size // 48) * 48, predictor.receptive_field):
        pixels = image[(slice(None), *block.read.toslices())]
        cut, core = predictor.start(pixels)().within(block.core_within_read), block.core.toslices()
        np.testing.assert_allclose(cut.probability, whole_scene.probability[core], atol=1e-5)
        np.testing.assert_allclose(cut.deviation, whole_scene.deviation[core], atol=1e-5)


def test_an_ensemble_with_an_unbounded_network_is_unbounded(members: list[Member]) -> None:
    unbounded = replace(members[1], package=replace(members[1].package, receptive_field=None))
    assert Predictor(members, TestTimeAugmentation()).bounded
    assert not Predictor([members[0], unbounded], TestTimeAugmentation()).bounded


def test_the_widest_model_determines_the_memory_of_a_block(members: list[Member]) -> None:
    architecture = {"name": "segmenter", "arguments": {"decoder_channels": [64]}}
    wide = replace(members[1], package=replace(members[1].package, architecture=architecture))
    plain, wider, two = (Predictor(some, TestTimeAugmentation()) for some in (members, [wide], [members[0], wide]))
    assert bytes_per_pixel(two) == bytes_per_pixel(wider) > 1.5 * bytes_per_pixel(plain)


def test_views_of_all_models_keep_the_device_busy(members: list[Member]) -> None:
    class Slow:
        name, ahead = "slow", 1
        under_way = most = 0

        def start(self, image: np.ndarray) -> Callable[[], np.ndarray]:
            self.under_way += 1
            Slow.most = max(Slow.most, self.under_way)

            def wait() -> np.ndarray:
                self.under_way -= 1
                return np.zeros(image.shape[1:], np.float32)

            return wait

    slow = Slow()
    models = [replace(member, backend=slow) for member in members]
    Predictor(models, TestTimeAugmentation()).probability(IMAGE)
    assert (Slow.most, slow.under_way) == (2, 0)


def test_a_scene_is_mapped_with_the_mean_threshold_and_tagged_with_all_models(
    make_scene: MakeScene, two_packages: list[Path], tmp_path: Path
) -> None:
    scene, settings = make_scene(150, 170, nodata=0), PredictionSettings(block_size=64)
    with rasterio.open(scene, "r+") as dataset:
        dataset.write(np.zeros((3, 30, 30), np.uint16), window=((70, 100), (50, 80)))
    predictor = load_predictor(two_packages, settings, TORCH)
    maps = predict_scene(scene, tmp_path / "map.tif", predictor, settings, silent)
    with rasterio.open(scene) as dataset:
        chip = read_chip(dataset, whole(dataset), Reading([1, 2, 3], predictor.fill))
    wanted = predictor.probability(chip.image)
    with rasterio.open(maps.classes) as classes, rasterio.open(maps.probability) as percent:
        assert classes.tags()["SEG_MODEL"] == ", ".join(package.weights_sha256 for package in predictor.packages)
        assert classes.tags()["SEG_THRESHOLD"] == "0.4"
        assert classes.tags()["SEG_TEMPERATURE"] == "1.0, 1.0"
        np.testing.assert_allclose(percent.read(1)[chip.valid], wanted[chip.valid] * 100, atol=0.51)
        clear = chip.valid & (np.abs(wanted - 0.4) > 1e-4)
        np.testing.assert_array_equal(classes.read(1)[clear] == 1, wanted[clear] > 0.4)
        np.testing.assert_array_equal(classes.read(1) == IGNORE, ~chip.valid)


def test_an_ensemble_does_not_resume_blocks_of_one_model(
    make_scene: MakeScene, two_packages: list[Path], tmp_path: Path
) -> None:
    scene, settings = make_scene(150, 170), PredictionSettings(block_size=64, halo=16, threshold=0.5)

    def interrupt(plan: Plan, done: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    one, both = (load_predictor(folders, settings, TORCH) for folders in (two_packages[:1], two_packages))
    with pytest.raises(KeyboardInterrupt):
        predict_scene(scene, tmp_path / "map.tif", one, settings, interrupt)
    with pytest.raises(RasterError, match=r"another .*model"):
        predict_scene(scene, tmp_path / "map.tif", both, settings, silent)


def described(**changes: object) -> ModelPackage:
    package = ModelPackage(
        architecture={"name": "segmenter", "arguments": {}},
        bands=(1, 2, 3),
        image_bands=3,
        band_names=("red", "green", "blue"),
        mean=(1.0,) * 3,
        std=(1.0,) * 3,
        nodata=None,
        pixel_size_m=10.0,
        temperature=1.0,
        bias=0.0,
        threshold=0.5,
        stride=8,
        receptive_field=32,
        metrics={},
        versions={},
        weights_sha256="a" * 64,
    )
    return replace(package, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "b: has the same weights as a; give each model once"),
        (
            {"weights_sha256": "b" * 64, "bands": (1,), "band_names": ("nir",), "mean": (1.0,), "std": (1.0,)},
            r"b: takes 1 band \(nir\), but a takes 3 bands \(red, green, blue\); .* the same bands",
        ),
        (
            {"weights_sha256": "b" * 64, "band_names": ("blue", "green", "red")},
            "b: takes its bands in the order blue, green, red, but a in the order red, green, blue",
        ),
    ],
)
def test_models_that_cannot_be_averaged_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(PackageError, match=message):
        require_alike(["a", "b"], [described(), described(**changes)])


def test_models_with_other_band_names_can_be_averaged() -> None:
    require_alike(["a", "b"], [described(), described(weights_sha256="b" * 64, band_names=("B4", "B3", "B2"))])


def test_the_threshold_is_the_mean_of_the_models() -> None:
    assert decision_threshold([described(threshold=0.3), described(threshold=0.4)]) == pytest.approx(0.35)


def test_nodata_comes_from_the_models_that_declare_it_and_must_agree(members: list[Member]) -> None:
    none, zero, last = (replace(members[0], package=described(nodata=value), name=str(value)) for value in (None, 0, 9))
    assert common_nodata([none]) is None
    assert common_nodata([none, zero]) == 0
    with pytest.raises(ConfigError, match=r"different nodata values, 9 \(9\), 0 \(0\); choose one with --nodata"):
        common_nodata([zero, none, last])


def test_models_that_would_take_different_bands_are_refused(make_scene: MakeScene, members: list[Member]) -> None:
    grid = read_grid(make_scene(20, 20, bands=5))
    one = replace(members[0], package=described(bands=(1, 2, 3), image_bands=5), name="one")
    two = replace(members[1], package=described(bands=(4, 2, 3), image_bands=5), name="two")
    with pytest.raises(
        PackageError, match=r"one would read the bands \[1, 2, 3\], but two the bands \[4, 2, 3\].*--bands"
    ):
        common_bands([one, two], grid, PredictionSettings())
    assert common_bands([one, two], grid, PredictionSettings(bands=[1, 2, 4])) == [1, 2, 4]


def test_the_pixel_size_of_each_model_is_checked(make_scene: MakeScene, members: list[Member]) -> None:
    coarse = replace(members[1], package=replace(members[1].package, pixel_size_m=30.0), name="coarse")
    predictor = Predictor([members[0], coarse], TestTimeAugmentation())
    with pytest.raises(PackageError, match="10 m, but coarse was trained on 30 m"):
        fit_scene(make_scene(20, 20), predictor, PredictionSettings())


def test_a_damaged_member_is_named_in_the_error(two_packages: list[Path], tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(json.dumps({"format": 0}))
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(PackageError, match=rf"{tmp_path.name}/model\.json"):
        load_predictor([*two_packages, tmp_path], PredictionSettings(), TORCH)
