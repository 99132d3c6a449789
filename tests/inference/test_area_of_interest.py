from collections.abc import Callable
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.windows import Window
from shapely.affinity import translate

from seg.errors import ConfigError, NoOverlapError, RasterError
from seg.inference import reading
from seg.inference.area_of_interest import area_on, box_of
from seg.inference.compute.predictor import Predictor
from seg.inference.planning.plan import Plan
from seg.inference.scene import predict_scene
from seg.inference.settings import PredictionSettings
from seg.labels import IGNORE
from seg.raster.grid import Grid, read_grid
from seg.raster.windows import window_grid

MakeScene = Callable[..., Path]
MakePredictor = Callable[..., Predictor]

TRIANGLE = shapely.Polygon([(20.3, 10.7), (150.2, 60.1), (40.9, 118.4)])
"""In pixels of the scene."""


@pytest.fixture
def grid(make_scene: MakeScene) -> Grid:
    return read_grid(make_scene(130, 170))


def on_ground(grid: Grid, shape: shapely.Geometry) -> shapely.Geometry:
    return shapely.transform(shape, lambda x, y: grid.transform @ (x, y), interleaved=False)


def vector_file(grid: Grid, folder: Path, crs: str = "EPSG:32632", *shapes: shapely.Geometry) -> Path:
    placed = [on_ground(grid, shape) for shape in shapes or (TRIANGLE,)]
    path = folder / "area.gpkg"
    geopandas.GeoDataFrame(geometry=placed, crs="EPSG:32632").to_crs(crs).to_file(path, layer="area")
    return path


def centres_within(grid: Grid, shape: shapely.Geometry) -> np.ndarray:
    """Pixels whose centre lies in a shape, computed independently."""
    rows, columns = np.mgrid[: grid.height, : grid.width] + 0.5
    return shapely.contains_xy(shape, columns, rows)


def silent(plan: Plan, done: int) -> None:
    """Report nothing."""


def maps_of(path: Path) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read(1)


@pytest.mark.parametrize("crs", ["EPSG:32632", "EPSG:4326", "EPSG:3035"])
def test_a_pixel_belongs_to_the_area_if_its_centre_does(grid: Grid, tmp_path: Path, crs: str) -> None:
    area = area_on(grid, str(vector_file(grid, tmp_path, crs)), None)
    assert area is not None
    covered, wanted = area.covers(Window(0, 0, 170, 130)), centres_within(grid, TRIANGLE)
    # Reprojection in both directions and rounding to the lattice move an edge by up to a hundredth of a pixel.
    near_edge = shapely.distance(shapely.points(np.argwhere(covered != wanted)[:, ::-1] + 0.5), TRIANGLE.exterior)
    assert near_edge.max(initial=0) < 0.02
    assert covered.sum() > 5000


def test_pixels_of_the_area_do_not_depend_on_the_window(grid: Grid, tmp_path: Path) -> None:
    area = area_on(grid, str(vector_file(grid, tmp_path)), None)
    assert area is not None
    whole = area.covers(Window(0, 0, 170, 130))
    for size in (17, 64):
        for window in window_grid(130, 170, size, size):
            np.testing.assert_array_equal(area.covers(window), whole[window.toslices()])
            assert area.intersects(window) == whole[window.toslices()].any()


def test_a_box_is_in_the_crs_of_the_scene(grid: Grid) -> None:
    left, bottom, right, top = on_ground(grid, shapely.box(30, 20, 90, 70)).bounds
    area = area_on(grid, f"{left},{bottom},{right},{top}", None)
    assert area is not None
    wanted = np.zeros((130, 170), dtype=bool)
    wanted[20:70, 30:90] = True
    np.testing.assert_array_equal(area.covers(Window(0, 0, 170, 130)), wanted)


def test_a_box_may_be_in_another_crs(grid: Grid) -> None:
    placed = geopandas.GeoSeries([on_ground(grid, shapely.box(30, 20, 90, 70))], crs="EPSG:32632").to_crs("EPSG:4326")
    left, bottom, right, top = placed.total_bounds
    area = area_on(grid, f"[{left}, {bottom}, {right}, {top}]", "EPSG:4326")
    assert area is not None
    covered = area.covers(Window(0, 0, 170, 130))
    assert covered[22:68, 32:88].all()
    assert 50 * 60 <= covered.sum() <= 54 * 64


def test_a_scene_without_crs_accepts_a_box_in_its_coordinates(make_scene: MakeScene) -> None:
    grid = read_grid(make_scene(50, 60, crs=None, transform=rasterio.Affine.identity()))
    area = area_on(grid, "10,5,30,25", None)
    assert area is not None
    assert area.covers(Window(0, 0, 60, 50)).sum() == 400


@pytest.mark.parametrize("text", ["1,2,3", "3,2,1,4", "1,2,3,4,5", "1,,2,3", "1 2 3 4", "-"])
def test_an_invalid_box_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"area is .*minx,miny,maxx,maxy"):
        box_of(text)


@pytest.mark.parametrize("text", ["aoi.gpkg", "2024.gpkg", "e1/aoi.shp", "/data/1,2.json"])
def test_a_file_name_is_not_a_box(text: str) -> None:
    assert box_of(text) is None


def test_an_area_elsewhere_is_refused(grid: Grid, tmp_path: Path) -> None:
    path = vector_file(grid, tmp_path, "EPSG:32632", translate(TRIANGLE, 1000, 0))
    with pytest.raises(NoOverlapError, match=r"area\.gpkg: none of its polygons lies on .*scene\.tif"):
        area_on(grid, str(path), None)
    with pytest.raises(NoOverlapError, match=r"scene\.tif: has no pixel in the area 1,2,3,4; .*bounds are 500000,"):
        area_on(grid, "1,2,3,4", None)


def test_an_area_between_the_centres_of_pixels_is_refused(grid: Grid, tmp_path: Path) -> None:
    path = vector_file(grid, tmp_path, "EPSG:32632", shapely.box(30.6, 20.6, 31.4, 21.4))
    with pytest.raises(NoOverlapError, match="has no pixel in the area"):
        area_on(grid, str(path), None)


def test_an_unknown_crs_of_a_box_is_refused(grid: Grid) -> None:
    with pytest.raises(ConfigError, match="area-crs is EPSG:1, an unknown CRS"):
        area_on(grid, "1,2,3,4", "EPSG:1")


def test_a_layer_is_chosen_as_in_qgis(grid: Grid, tmp_path: Path) -> None:
    path = vector_file(grid, tmp_path)
    other = geopandas.GeoDataFrame(geometry=[on_ground(grid, shapely.box(0, 0, 9, 9))], crs="EPSG:32632")
    other.to_file(path, layer="corner")
    with pytest.raises(RasterError, match="2 layers"):
        area_on(grid, str(path), None)
    area = area_on(grid, f"{path}|layername=corner", None)
    assert area is not None
    assert area.covers(Window(0, 0, 170, 130)).sum() == 81


@pytest.mark.parametrize("predicted", ["whole", "blocks"])
def test_inside_the_area_the_map_equals_the_map_of_the_whole_scene(
    grid: Grid, make_predictor: MakePredictor, tmp_path: Path, predicted: str
) -> None:
    size = {"whole": 256, "blocks": 64}[predicted]
    text = str(vector_file(grid, tmp_path))
    inside = area_on(grid, text, None).covers(Window(0, 0, 170, 130))
    percents = []
    for name, area in (("all", None), ("part", text)):
        settings = PredictionSettings(block_size=size, halo=16, area=area)
        maps = predict_scene(grid.path, tmp_path / f"{name}.tif", make_predictor(), settings, silent)
        percents.append(maps_of(maps.probability))
        assert (maps_of(maps.classes) == IGNORE).tolist() == (percents[-1] == IGNORE).tolist()
    np.testing.assert_array_equal(percents[1][inside], percents[0][inside])
    assert set(percents[1][~inside]) == {IGNORE}


def test_blocks_outside_the_area_are_neither_read_nor_computed(
    grid: Grid, make_predictor: MakePredictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[tuple[int, int]] = []
    predictor, computed = make_predictor(), []
    plain_start = predictor.start
    predictor.start = lambda image: computed.append(1) or plain_start(image)  # type: ignore[method-assign,func-returns-value]
    plain_read = reading.read_chip
    monkeypatch.setattr(
        reading, "read_chip", lambda dataset, window, how: read.append(window) or plain_read(dataset, window, how)
    )
    left, bottom, right, top = on_ground(grid, shapely.box(70, 70, 120, 120)).bounds
    settings = PredictionSettings(block_size=64, halo=8, area=f"{left},{bottom},{right},{top}")
    begun: list[tuple[int, int]] = []
    maps = predict_scene(
        grid.path, tmp_path / "map.tif", predictor, settings, lambda plan, done: begun.append((done, len(plan.blocks)))
    )
    assert (len(read), len(computed)) == (1, 1)
    assert begun == [(0, 1), (1, 1)]
    wanted = np.full((130, 170), True)
    wanted[70:120, 70:120] = False
    np.testing.assert_array_equal(maps_of(maps.classes) == IGNORE, wanted)


def test_a_halo_is_measured_in_the_area(
    make_scene: MakeScene, make_predictor: MakePredictor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scene, windows = make_scene(1500, 1500), []
    monkeypatch.setattr("seg.inference.planning.halo.SAMPLES", 2)
    plain_read = reading.read_chip
    monkeypatch.setattr(
        reading, "read_chip", lambda dataset, window, how: windows.append(window) or plain_read(dataset, window, how)
    )
    grid = read_grid(scene)
    left, bottom, right, top = on_ground(grid, shapely.box(1000, 1000, 1400, 1400)).bounds
    settings = PredictionSettings(block_size=128, halo="measure", area=f"{left},{bottom},{right},{top}")
    predict_scene(scene, tmp_path / "map.tif", make_predictor(), settings, silent)
    assert len(windows) > 16 + 2
    assert min(window.row_off for window in windows) >= 896 - make_predictor().receptive_field


def test_blocks_of_another_area_are_not_resumed(grid: Grid, make_predictor: MakePredictor, tmp_path: Path) -> None:
    def stop(plan: Plan, done: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    output = tmp_path / "map.tif"
    settings = PredictionSettings(block_size=64, halo=8, area=str(vector_file(grid, tmp_path)))
    with pytest.raises(KeyboardInterrupt):
        predict_scene(grid.path, output, make_predictor(), settings, stop)
    for other in (None, "500000,5399000,501000,5400000"):
        elsewhere = PredictionSettings(block_size=64, halo=8, area=other)
        with pytest.raises(RasterError, match="another area"):
            predict_scene(grid.path, output, make_predictor(), elsewhere, stop)
    begun: list[int] = []
    maps = predict_scene(grid.path, output, make_predictor(), settings, lambda plan, done: begun.append(done))
    assert begun[0] == 2
    with rasterio.open(maps.classes) as dataset:
        assert dataset.tags()["SEG_AREA"] == settings.area


def test_a_crs_of_the_area_is_refused_without_a_box(grid: Grid, tmp_path: Path) -> None:
    file = vector_file(grid, tmp_path)
    with pytest.raises(ConfigError, match=r"area-crs is EPSG:4326, but the area .*area.gpkg is a file with a CRS"):
        area_on(grid, str(file), "EPSG:4326")
    with pytest.raises(ConfigError, match=r"area-crs is EPSG:4326; wanted an --area=minx,miny,maxx,maxy beside it"):
        PredictionSettings(area_crs="EPSG:4326")
