import numpy as np
import pytest
import shapely
from pyproj import CRS, Transformer

from seg.delivery.areas import AreaMeasure


@pytest.mark.parametrize(
    ("crs", "x", "y", "unit"),
    [
        ("EPSG:4527", 39_650_000, 4_400_000, 1.0),
        ("EPSG:4490", 117.0, 40.0, 1 / 111_000),
        ("EPSG:32650", 300_000, 5_500_000, 1.0),
        ("ESRI:102025", 500_000, 4_000_000, 1.0),  # Albers, equal in area
        ("EPSG:2263", 1_000_000, 200_000, 3.28),  # US feet
    ],
)
@pytest.mark.parametrize("size_m", [200, 4_000, 60_000])
def test_areas_agree_with_the_ellipsoid(crs: str, x: float, y: float, unit: float, size_m: float) -> None:
    place = CRS.from_user_input(crs)
    ring = shapely.Point(x, y).buffer(size_m * unit / 2, quad_segs=3)
    polygon = shapely.difference(ring, shapely.Point(x, y).buffer(size_m * unit / 6, quad_segs=2))
    [found] = AreaMeasure(place).square_metres(np.array([polygon]))
    to_lonlat = Transformer.from_crs(place, place.geodetic_crs, always_xy=True).transform
    dense = shapely.segmentize(polygon, size_m * unit / 500)
    lonlat = shapely.orient_polygons(shapely.transform(dense, to_lonlat, interleaved=False))
    geod = place.get_geod()
    assert geod is not None
    assert found == pytest.approx(abs(geod.geometry_area_perimeter(lonlat)[0]), rel=1e-6)


def test_an_empty_array_of_polygons_has_no_areas() -> None:
    assert AreaMeasure(CRS(4527)).square_metres(np.array([], dtype=object)).shape == (0,)
