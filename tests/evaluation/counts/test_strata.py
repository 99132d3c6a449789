from pathlib import Path

import geopandas
import pytest
import shapely

from seg.errors import RasterError
from seg.evaluation.counts.strata import VectorClasses
from seg.labels import IGNORE


def write(path: Path, values: list[object]) -> Path:
    shapes = [shapely.box(number, 0, number + 1, 1) for number in range(len(values))]
    geopandas.GeoDataFrame({"kind": values}, geometry=shapes, crs=4326).to_file(path)
    return path


def test_features_are_numbered_by_their_value_in_order(tmp_path: Path) -> None:
    source = VectorClasses(write(tmp_path / "soil.gpkg", ["loam", "clay", None, "loam"]), "kind")
    assert source.names == ["clay", "loam"]
    assert source.features(None)[1].tolist() == [1, 0, IGNORE, 1]


def test_integer_values_have_names_without_a_decimal_point(tmp_path: Path) -> None:
    assert VectorClasses(write(tmp_path / "a.gpkg", [3, 11, None]), "kind").names == ["11", "3"]


def test_missing_column_is_an_error_that_names_the_option(tmp_path: Path) -> None:
    with pytest.raises(RasterError, match=r"has no column 'type'; wanted one of 'kind' for --soil-attribute"):
        VectorClasses(write(tmp_path / "a.gpkg", ["x"]), "type", options="--soil-{}")


@pytest.mark.parametrize(("values", "count"), [([None, None], 0), ([f"v{n}" for n in range(256)], 256)])
def test_too_few_or_many_classes_are_an_error(tmp_path: Path, values: list[object], count: int) -> None:
    with pytest.raises(RasterError, match=f"has {count} different values; wanted 1 to 255 for --attribute"):
        VectorClasses(write(tmp_path / "a.gpkg", values), "kind")


def test_the_encoding_of_a_shapefile_can_be_named(tmp_path: Path) -> None:
    path = tmp_path / "soil.shp"
    shapes = geopandas.GeoDataFrame({"kind": ["壤土"]}, geometry=[shapely.box(0, 0, 1, 1)], crs=4326)
    shapes.to_file(path, encoding="GBK")
    path.with_suffix(".cpg").unlink()
    assert VectorClasses(path, "kind", encoding="GBK").names == ["壤土"]
