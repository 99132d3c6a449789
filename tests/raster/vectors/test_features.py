from pathlib import Path

import geopandas
import pyogrio
import pytest
import shapely

from seg.errors import ConfigError, RasterError
from seg.raster.vectors.features import open_labels
from seg.raster.vectors.settings import BurnSettings

CROPLAND = BurnSettings(column="地类", cropland="耕地")


@pytest.fixture
def shapefile(tmp_path: Path) -> Path:
    """Two parcels with GBK attributes and a .cpg file that declares UTF-8."""
    columns = {"地类": ["耕地", "林地"], "DLBM": ["0103", "0301"]}
    boxes = [shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1)]
    path = tmp_path / "dltb.shp"
    pyogrio.write_dataframe(geopandas.GeoDataFrame(columns, geometry=boxes, crs="EPSG:32650"), path, encoding="GBK")
    path.with_suffix(".cpg").write_text("UTF-8")
    return path


def test_gbk_text_under_a_wrong_encoding_is_read(shapefile: Path) -> None:
    assert open_labels(shapefile, CROPLAND).features(None)[1].tolist() == [1, 0]


def test_without_a_declared_encoding_the_error_names_the_option(shapefile: Path) -> None:
    shapefile.with_suffix(".cpg").unlink()
    with pytest.raises(RasterError, match=r"the text was read as ISO-8859-1; .* such as --encoding=GBK"):
        open_labels(shapefile, CROPLAND)
    named = BurnSettings(column="地类", cropland="耕地", encoding="GBK")
    assert open_labels(shapefile, named).features(None)[1].tolist() == [1, 0]
    by_code = BurnSettings(column="DLBM", cropland="0103")
    assert open_labels(shapefile, by_code).features(None)[1].tolist() == [1, 0]


def test_an_unknown_encoding_is_refused() -> None:
    with pytest.raises(ConfigError, match="encoding is 'GBX', which is unknown; wanted one such as GBK"):
        BurnSettings(encoding="GBX")
