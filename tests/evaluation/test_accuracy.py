from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio import Affine
from rasterio.enums import ColorInterp

from seg.errors import RasterError
from seg.evaluation.accuracy import Accuracy, measure_accuracy
from seg.evaluation.counts.confusion import ConfusionCounts, count_pixels
from seg.evaluation.pairs import FoldSelection, Pair, Strata
from seg.evaluation.settings import EvaluationSettings
from seg.labels import CROPLAND, IGNORE, OTHER
from support.comparing import compare

WriteRaster = Callable[..., Path]
HEIGHT, WIDTH = 37, 53


def random_classes(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).choice([OTHER, CROPLAND, IGNORE], (HEIGHT, WIDTH)).astype(np.uint8)


def quarters() -> np.ndarray:
    """Folds 0 to 3, one for each quarter of the scene."""
    rows, columns = np.indices((HEIGHT, WIDTH))
    return ((rows > HEIGHT // 2) * 2 + (columns > WIDTH // 2)).astype(np.uint8)


@pytest.fixture
def prediction(write_raster: WriteRaster) -> Path:
    return write_raster("map.tif", random_classes(0), nodata=IGNORE)


@pytest.fixture
def reference(write_raster: WriteRaster) -> Path:
    return write_raster("mask.tif", random_classes(1))


@pytest.fixture
def folds(write_raster: WriteRaster) -> Path:
    return write_raster("folds.tif", quarters(), nodata=IGNORE)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(window_size=st.integers(16, 60))
def test_counts_equal_the_whole_raster_for_any_windows(prediction: Path, reference: Path, window_size: int) -> None:
    comparison = compare(prediction, reference, window_size=window_size)
    assert comparison.counts == count_pixels(random_classes(0), random_classes(1))
    assert comparison.unmapped == np.sum((random_classes(0) == IGNORE) & (random_classes(1) != IGNORE))


@pytest.mark.parametrize("window_size", [17, 64])
def test_counts_of_folds_add_up_to_the_scene(prediction: Path, reference: Path, folds: Path, window_size: int) -> None:
    parts = [compare(prediction, reference, FoldSelection(folds, n), window_size) for n in range(4)]
    whole = compare(prediction, reference)
    assert sum((part.counts for part in parts), ConfusionCounts()) == whole.counts
    assert sum(part.unmapped for part in parts) == whole.unmapped


def test_only_pixels_of_the_fold_are_compared(prediction: Path, reference: Path, folds: Path) -> None:
    inside = quarters() == 2
    expected = count_pixels(random_classes(0)[inside], random_classes(1)[inside])
    assert compare(prediction, reference, FoldSelection(folds, 2)).counts == expected


def test_labelled_pixels_without_a_value_in_the_map_are_reported(write_raster: WriteRaster) -> None:
    prediction = write_raster("map.tif", np.array([[CROPLAND, IGNORE, IGNORE, IGNORE]], np.uint8))
    reference = write_raster("mask.tif", np.array([[CROPLAND, CROPLAND, OTHER, IGNORE]], np.uint8))
    comparison = compare(prediction, reference)
    assert (comparison.counts, comparison.unmapped) == (ConfusionCounts(tp=1), 2)


@pytest.mark.parametrize(
    ("pixels", "nodata"),
    [
        (np.array([[CROPLAND, OTHER, 7]], np.uint8), 7),
        (np.array([[CROPLAND, OTHER, -1]], np.int16), -1),
        (np.array([[CROPLAND, OTHER, np.nan]], np.float32), None),
        (np.array([[CROPLAND, OTHER, IGNORE]], np.uint8), None),
    ],
)
def test_nodata_of_any_kind_is_no_class(write_raster: WriteRaster, pixels: np.ndarray, nodata: float | None) -> None:
    prediction = write_raster("map.tif", pixels, nodata=nodata)
    reference = write_raster("mask.tif", np.full((1, 3), CROPLAND, np.uint8))
    comparison = compare(prediction, reference)
    assert (comparison.counts, comparison.unmapped) == (ConfusionCounts(tp=1, fn=1), 1)


def test_pixels_hidden_by_an_alpha_band_have_no_class(write_raster: WriteRaster) -> None:
    layers = np.array([[[CROPLAND, CROPLAND]], [[255, 0]]], np.uint8)
    prediction = write_raster("map.tif", layers, meanings=(ColorInterp.gray, ColorInterp.alpha))
    reference = write_raster("mask.tif", np.full((1, 2), CROPLAND, np.uint8))
    comparison = compare(prediction, reference)
    assert (comparison.counts, comparison.unmapped) == (ConfusionCounts(tp=1), 1)


def truncated(path: Path) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def bad_inputs(write_raster: WriteRaster, folder: Path) -> dict[str, Path]:
    classes = random_classes(2)
    not_raster = folder / "text.tif"
    not_raster.write_text("not a raster")
    tiles = {"tiled": True, "blockxsize": 16, "blockysize": 16}
    return {
        "no such file": folder / "missing.tif",
        "not a readable raster": not_raster,
        "cannot be read": truncated(write_raster("truncated.tif", classes, **tiles)),
        "size is 50x37": write_raster("size.tif", classes[:, :50]),
        "CRS is EPSG:32634": write_raster("crs.tif", classes, crs="EPSG:32634"),
        "pixels off": write_raster("shifted.tif", classes, transform=Affine(10, 0, 500_005, 0, -10, 5_000_000)),
        "values 3, 9, wanted 0": write_raster("values.tif", np.where(classes == IGNORE, 9, classes * 3)),
        "(98 in all)": write_raster("percent.tif", np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 100.0),
        "has 2 bands": write_raster("bands.tif", np.stack([classes, classes])),
        "nodata is 0": write_raster("nodata.tif", classes, nodata=OTHER),
    }


def test_a_reference_without_georeference_is_compared_by_its_size(write_raster: WriteRaster, prediction: Path) -> None:
    png = write_raster("mask.png", random_classes(1), driver="PNG", crs=None, transform=None)
    assert compare(prediction, png).counts == count_pixels(random_classes(0), random_classes(1))


@pytest.mark.parametrize("role", ["prediction", "reference"])
def test_bad_raster_is_named_with_its_problem_in_the_error(
    write_raster: WriteRaster, tmp_path: Path, prediction: Path, reference: Path, role: str
) -> None:
    for wrong, path in bad_inputs(write_raster, tmp_path).items():
        pair = (path, reference) if role == "prediction" else (prediction, path)
        with pytest.raises(RasterError) as raised:
            compare(*pair)
        assert str(path) in str(raised.value)
        # The message about size, CRS or offset always names the map first.
        on_grid = not any(word in wrong for word in ("size", "CRS", "off"))
        assert wrong in str(raised.value) or (role == "reference" and not on_grid)


def test_fold_raster_on_another_grid_is_refused(write_raster: WriteRaster, prediction: Path, reference: Path) -> None:
    folds = write_raster("folds.tif", quarters()[:-1])
    with pytest.raises(RasterError, match=r"folds\.tif: size is 53x36"):
        compare(prediction, reference, FoldSelection(folds, 0))


def test_absent_fold_is_an_error_that_names_the_folds(prediction: Path, reference: Path, folds: Path) -> None:
    with pytest.raises(RasterError, match=r"fold 7 has no labelled pixel .*: 0, 1, 2, 3$"):
        compare(prediction, reference, FoldSelection(folds, 7))


def test_fold_without_labels_is_not_suggested(write_raster: WriteRaster, prediction: Path, folds: Path) -> None:
    labels = np.where(quarters() == 1, IGNORE, random_classes(1))
    reference = write_raster("mask.tif", labels.astype(np.uint8))
    with pytest.raises(RasterError, match=r"fold 1 has no labelled pixel .*: 0, 2, 3$"):
        compare(prediction, reference, FoldSelection(folds, 1))


def test_reference_without_a_label_is_an_error(write_raster: WriteRaster, prediction: Path) -> None:
    reference = write_raster("mask.tif", np.full((HEIGHT, WIDTH), IGNORE, np.uint8))
    with pytest.raises(RasterError, match=r"mask\.tif: has no labelled pixel"):
        compare(prediction, reference)


def test_map_without_a_value_at_any_label_is_an_error(write_raster: WriteRaster, reference: Path) -> None:
    prediction = write_raster("map.tif", np.full((HEIGHT, WIDTH), IGNORE, np.uint8))
    with pytest.raises(RasterError, match=r"map\.tif: has no class at any of the \d+ labelled pixels"):
        compare(prediction, reference)


@pytest.fixture
def two_scenes(write_raster: WriteRaster) -> list[Pair]:
    """Two scenes, with three and five wrong pixels in a row; only the first scene has probabilities."""
    pairs = []
    for name, shape, wrong in (("east", (20, 40), 3), ("west", (33, 17), 5)):
        labels = np.zeros(shape, np.uint8)
        labels[:, 8:] = CROPLAND
        mapped = labels.copy()
        mapped[-1, :wrong] = CROPLAND
        pairs.append(
            Pair(
                name,
                write_raster(f"{name}.tif", mapped),
                write_raster(f"{name}_mask.tif", labels),
                probability=write_raster("percent.tif", mapped * np.uint8(100)) if name == "east" else None,
                strata=Strata(write_raster(f"{name}_soil.tif", np.where(labels, 2, 10 if wrong == 3 else 9))),
            )
        )
    return pairs


def together(pairs: list[Pair]) -> Accuracy:
    return measure_accuracy(pairs, EvaluationSettings(chip_size=16, tolerances=[10.0]))


def test_scores_of_several_scenes_come_from_their_sums(two_scenes: list[Pair]) -> None:
    both, alone = together(two_scenes), [together([pair]) for pair in two_scenes]
    assert both.counts == alone[0].counts + alone[1].counts
    assert both.boundary == [alone[0].boundary[0] + alone[1].boundary[0]]
    assert both.parcels == alone[0].parcels + alone[1].parcels
    assert both.counts.compared == 20 * 40 + 33 * 17


def test_strata_of_several_scenes_are_joined_and_sorted_by_number(two_scenes: list[Pair]) -> None:
    found = together(two_scenes).strata
    assert list(found) == ["2", "9", "10"]
    assert {name: counts.sum() for name, counts in found.items()} == {
        "2": 20 * 32 + 33 * 9,
        "9": 33 * 8,
        "10": 20 * 8,
    }


def test_worst_windows_of_all_scenes_are_listed_together(two_scenes: list[Pair]) -> None:
    found = [(scene.pair.name, window.errors) for scene, window in together(two_scenes).worst]
    assert found == [("west", 5), ("east", 3)]


def test_curves_count_only_the_scenes_that_have_probabilities(two_scenes: list[Pair]) -> None:
    histogram = together(two_scenes).histogram
    assert histogram is not None
    assert histogram.sum() == 20 * 40
    assert together(two_scenes[1:]).histogram is None


def test_scene_in_which_nothing_is_compared_does_not_stop_the_others(
    two_scenes: list[Pair], write_raster: WriteRaster
) -> None:
    unlabelled = write_raster("unlabelled.tif", np.full((33, 17), IGNORE, np.uint8))
    found = together([two_scenes[0], replace(two_scenes[1], reference=unlabelled)])
    assert [scene.counts.compared for scene in found.scenes] == [20 * 40, 0]
    assert found.scenes[1].counts.iou is None


def test_first_bad_raster_is_found_before_any_scene_is_compared(
    two_scenes: list[Pair], write_raster: WriteRaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seg.evaluation.accuracy.measure_scene", lambda *_: pytest.fail("compared too early"))
    small = write_raster("small.tif", np.zeros((3, 3), np.uint8))
    with pytest.raises(RasterError, match=r"west\.tif: size is 17x33, but .*small\.tif has 3x3"):
        together([two_scenes[0], replace(two_scenes[1], reference=small)])
