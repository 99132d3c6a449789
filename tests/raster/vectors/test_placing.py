from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from rasterio import Affine
from rasterio.crs import CRS

from seg.errors import NoOverlapError
from seg.raster.grid import Grid
from seg.raster.vectors.features import VectorLabels
from seg.raster.vectors.placing import missed, read_parcels

DEGREES = Affine(0.01, 0, 0, 0, -0.01, 40)


def grid_at(longitude: float, crs: str = "EPSG:4326") -> Grid:
    """A grid of 100 x 100 pixels in degrees whose left edge lies at the given longitude."""
    place = Affine.translation(longitude, 0) @ DEGREES if crs == "EPSG:4326" else Affine(10, 0, 4e5, 0, -10, 4.4e6)
    return Grid(Path("image.tif"), 100, 100, 1, CRS.from_user_input(crs), place, None, "uint8")


def layer_at(folder: Path, longitude: float) -> VectorLabels:
    """A square of ten pixels of such a grid, one pixel from its upper left corner."""
    path = folder / "parcels.gpkg"
    square = shapely.box(longitude + 0.01, 39.89, longitude + 0.11, 39.99)
    geopandas.GeoDataFrame(geometry=[square], crs="EPSG:4326").to_file(path)
    return VectorLabels(path)


@pytest.mark.parametrize(("image", "layer"), [(-70, 290), (290, -70), (-70, -70), (290, 290)])
def test_longitudes_of_0_to_360_and_of_minus_180_to_180_meet(tmp_path: Path, image: float, layer: float) -> None:
    parcels = read_parcels(layer_at(tmp_path, layer), grid_at(image))
    np.testing.assert_allclose(shapely.bounds(parcels.polygons), [[1, 1, 11, 11]], atol=1e-6)


def test_longitudes_of_0_to_360_are_projected(tmp_path: Path) -> None:
    grid = grid_at(0, "EPSG:32619")  # central meridian 69 W
    x, y = grid.transform @ (50, 50)
    [longitude], [latitude] = (
        geopandas.GeoSeries.from_xy([x], [y], crs="EPSG:32619").to_crs(4326).get_coordinates().T.to_numpy()
    )
    path = tmp_path / "parcels.gpkg"
    square = shapely.box(longitude + 360 - 1e-3, latitude - 1e-3, longitude + 360 + 1e-3, latitude + 1e-3)
    geopandas.GeoDataFrame(geometry=[square], crs="EPSG:4326").to_file(path)
    assert shapely.contains_xy(read_parcels(VectorLabels(path), grid).polygons, 50, 50).all()


def test_a_layer_elsewhere_does_not_meet_the_image(tmp_path: Path) -> None:
    with pytest.raises(NoOverlapError, match=r"none of its polygons lies on image\.tif"):
        read_parcels(layer_at(tmp_path, 250), grid_at(-70))


def test_small_polygons_without_a_pixel_centre_are_counted() -> None:
    shapes = [
        shapely.box(0.6, 0.6, 1.4, 1.4),  # between four centres
        shapely.box(0.4, 0.4, 0.6, 0.6),  # on a centre
        shapely.box(3, 3, 4.9, 3.4),  # above two centres
        shapely.box(3, 3, 4.9, 3.6),
        shapely.box(10.2, 10.2, 12.1, 12.1),
        shapely.box(0, 0, 50, 50),
    ]
    beyond = shapely.box(-0.4, 3, 0.4, 3.4)
    assert missed(np.array([*shapes, beyond]), grid_at(0)) == 2
    assert missed(np.array(shapes[1:2]), grid_at(0)) == 0
    assert missed(np.array([], dtype=object), grid_at(0)) == 0
