from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seg.errors import RasterError
from seg.evaluation.counts.boundary import count_boundary, fitting_tolerances
from seg.evaluation.counts.confusion import count_percents
from seg.evaluation.pairs import FoldSelection, Pair, Strata
from seg.evaluation.reading import pair_grid
from seg.evaluation.scene import Measures, SceneAccuracy, measure_scene
from seg.evaluation.settings import EvaluationSettings
from seg.labels import CROPLAND, IGNORE, OTHER
from seg.raster.label_mapping import LabelMapping
from seg.raster.vectors.settings import BurnSettings

WriteRaster = Callable[..., Path]
HEIGHT, WIDTH = 57, 71


def patches(seed: int) -> np.ndarray:
    """Fields of a few pixels, some of them wrong or without a label."""
    random = np.random.default_rng(seed)
    fields = random.integers(0, 2, (12, 15)).repeat(5, 0).repeat(5, 1)[:HEIGHT, :WIDTH]
    noise = random.random((HEIGHT, WIDTH))
    return np.where(noise < 0.05, 1 - fields, np.where(noise < 0.08, IGNORE, fields)).astype(np.uint8)


@pytest.fixture
def pair(write_raster: WriteRaster) -> Pair:
    random = np.random.default_rng(5)
    return Pair(
        "map",
        write_raster("map.tif", patches(0), nodata=IGNORE),
        write_raster("mask.tif", patches(1)),
        probability=write_raster("percent.tif", random.integers(0, 101, (HEIGHT, WIDTH)).astype(np.uint8)),
        within=FoldSelection(write_raster("folds.tif", (np.indices((HEIGHT, WIDTH))[1] // 40).astype(np.uint8)), 0),
        strata=Strata(write_raster("soil.tif", random.integers(3, 6, (HEIGHT, WIDTH)).astype(np.int16), nodata=5)),
    )


def measure(pair: Pair, **options: object) -> SceneAccuracy:
    chosen = EvaluationSettings(**({"chip_size": 16, "tolerances": [10, 35]} | options))
    tolerances = fitting_tolerances([pair_grid(pair)], chosen.tolerances)
    return measure_scene(pair, Measures(chosen, tolerances, block_size=16, chip_size=16))


def numbers(scene: SceneAccuracy) -> tuple[object, ...]:
    strata = {name: counts.tolist() for name, counts in scene.strata.items()}
    histogram = None if scene.histogram is None else scene.histogram.tolist()
    return scene.tiles.counts.tolist(), scene.boundary, scene.parcels, strata, histogram


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(window_size=st.integers(16, 72))
def test_all_counts_equal_the_whole_raster_for_any_windows(pair: Pair, window_size: int) -> None:
    assert numbers(measure(pair, window_size=window_size)) == numbers(measure(pair))


def test_counts_equal_the_counts_of_the_arrays(pair: Pair) -> None:
    found = measure(pair)
    mapped, labels = patches(0), patches(1)
    labels[:, 40:] = IGNORE
    everything = slice(0, HEIGHT), slice(0, WIDTH)
    reaches = fitting_tolerances([pair_grid(pair)], [10, 35]).reaches(pair_grid(pair))
    assert found.boundary == count_boundary(mapped, labels, everything, reaches)
    percent = np.random.default_rng(5).integers(0, 101, (HEIGHT, WIDTH)).astype(np.uint8)
    assert found.histogram is not None
    assert (found.histogram == count_percents(percent, np.ones_like(percent, bool), labels)).all()
    assert sum(counts.sum() for counts in found.strata.values()) == np.sum(labels != IGNORE)
    assert set(found.strata) == {"3", "4", "(none)"}


def fields(path: Path, **columns: list[object]) -> Path:
    """Two polygons: the left half of the scene, and the upper right quarter of the scene."""
    left, middle, right = 500_000, 500_350, 500_710
    shapes = [shapely.box(left, 4_999_430, middle, 5_000_000), shapely.box(middle, 4_999_700, right, 5_000_000)]
    geopandas.GeoDataFrame(columns, geometry=shapes, crs=32633).to_file(path)
    return path


def test_vector_reference_is_burnt_onto_the_map(pair: Pair, tmp_path: Path, write_raster: WriteRaster) -> None:
    burnt = np.zeros((HEIGHT, WIDTH), np.uint8)
    burnt[:, :35] = CROPLAND
    by_raster = measure(replace(pair, reference=write_raster("burnt.tif", burnt)))
    path = fields(tmp_path / "fields.gpkg", crop=["wheat", "forest"])
    chosen = BurnSettings(column="crop", cropland="wheat")
    for size in (20, 100):
        assert numbers(measure(replace(pair, reference=path), vector=chosen, window_size=size)) == numbers(by_raster)


def test_touching_polygons_count_as_separate_parcels(pair: Pair, tmp_path: Path, write_raster: WriteRaster) -> None:
    touching = replace(pair, within=None, reference=fields(tmp_path / "fields.gpkg"))
    upper_right = np.zeros((HEIGHT, WIDTH), np.uint8)
    upper_right[:30, 35:] = CROPLAND
    upper_right[40:50, 50:60] = CROPLAND  # cropland outside the polygons
    found = measure(replace(touching, prediction=write_raster("one.tif", upper_right)), window_size=16).parcels
    assert (found.reference, found.mapped, found.matched, found.overlapped) == (2, 2, 1, 1)
    assert (found.over, found.under) == (0, 0)


@pytest.mark.parametrize("suffix", ["geojson", "parquet"])
def test_any_vector_format_is_a_reference(pair: Pair, tmp_path: Path, suffix: str) -> None:
    path = fields(tmp_path / "fields.gpkg")
    wanted = numbers(measure(replace(pair, reference=path)))
    frame = geopandas.read_file(path)
    other = tmp_path / f"fields.{suffix}"
    frame.to_parquet(other) if suffix == "parquet" else frame.to_crs(4326).to_file(other)
    assert numbers(measure(replace(pair, reference=other))) == wanted


def test_strata_of_polygons_are_their_attribute(pair: Pair, tmp_path: Path) -> None:
    path = fields(tmp_path / "soil.gpkg", soil=["loam", "clay"])
    found = measure(replace(pair, strata=Strata(path, "soil"), within=None))
    labelled = patches(1) != IGNORE
    assert {name: counts.sum() for name, counts in found.strata.items()} == {
        "loam": labelled[:, :35].sum(),
        "clay": labelled[:30, 35:].sum(),
        "(none)": labelled[30:, 35:].sum(),
    }


def test_settings_define_the_values_of_a_raster_reference(pair: Pair, write_raster: WriteRaster) -> None:
    recoded = np.select([patches(1) == CROPLAND, patches(1) == OTHER], [7, 3], 9).astype(np.uint8)
    other = replace(pair, reference=write_raster("codes.tif", recoded))
    found = measure(other, labels=LabelMapping(cropland=(7,), other=(3,), ignore=(9,)))
    assert numbers(found) == numbers(measure(pair))


def test_missing_attribute_is_an_error_that_names_the_columns(pair: Pair, tmp_path: Path) -> None:
    path = fields(tmp_path / "soil.gpkg", soil=["loam", "clay"])
    with pytest.raises(
        RasterError, match=r"soil\.gpkg: has no column 'type'; wanted one of 'soil' for --stratum-attribute"
    ):
        measure(replace(pair, strata=Strata(path, "type")))


def test_raster_of_measurements_is_refused_as_strata(pair: Pair, write_raster: WriteRaster) -> None:
    slopes = write_raster("slope.tif", np.random.default_rng(0).random((HEIGHT, WIDTH)))
    with pytest.raises(RasterError, match=r"slope\.tif: has more than 1000 different values; wanted strata"):
        measure(replace(pair, strata=Strata(slopes), within=None))


@pytest.mark.parametrize("role", ["probability", "strata", "within"])
def test_raster_on_another_grid_is_refused(pair: Pair, write_raster: WriteRaster, role: str) -> None:
    path = write_raster("small.tif", np.zeros((HEIGHT, 7), np.uint8))
    changed = replace(pair, **{role: {"within": FoldSelection(path, 0), "strata": Strata(path)}.get(role, path)})
    with pytest.raises(RasterError, match=r"small\.tif: size is 7x57"):
        measure(changed)


@pytest.mark.parametrize(("value", "dtype"), [(101, np.uint8), (-1, np.int16), (1.5, np.float32)])
def test_values_other_than_probabilities_are_refused(
    pair: Pair, write_raster: WriteRaster, value: float, dtype: type
) -> None:
    path = write_raster("bad.tif", np.full((HEIGHT, WIDTH), value, dtype))
    with pytest.raises(RasterError, match=rf"bad\.tif: holds {value:g}, wanted probabilities"):
        measure(replace(pair, probability=path))


def test_probabilities_may_be_floats(pair: Pair, write_raster: WriteRaster) -> None:
    percent = np.random.default_rng(5).integers(0, 101, (HEIGHT, WIDTH))
    floats = write_raster("floats.tif", (percent / 100).astype(np.float32))
    assert numbers(measure(replace(pair, probability=floats))) == numbers(measure(pair))


def test_pixels_without_a_probability_are_in_no_curve(pair: Pair, write_raster: WriteRaster) -> None:
    path = write_raster("empty.tif", np.full((HEIGHT, WIDTH), 255, np.uint8))
    found = measure(replace(pair, probability=path))
    assert found.histogram is not None
    assert not found.histogram.any()


@pytest.mark.parametrize("all_touched", [False, True])
def test_reference_polygons_below_a_pixel_get_a_note(
    pair: Pair, tmp_path: Path, caplog: pytest.LogCaptureFixture, all_touched: bool
) -> None:
    grid = pair_grid(pair)
    boxes = [shapely.box(10, 10, 30, 30), shapely.box(40.6, 40.6, 41.4, 41.4)]
    placed = shapely.transform(boxes, lambda x, y: grid.transform @ (x, y), interleaved=False)
    geopandas.GeoDataFrame(geometry=placed, crs=grid.crs.to_wkt()).to_file(tmp_path / "parcels.gpkg")
    measure(replace(pair, reference=tmp_path / "parcels.gpkg"), vector=BurnSettings(all_touched=all_touched))
    noted = ["parcels.gpkg: 1 polygon without a pixel centre left no label; --vector.all-touched=true"]
    assert [message.rpartition("/")[2].partition(" labels every")[0] for message in caplog.messages] == (
        [] if all_touched else noted
    )
