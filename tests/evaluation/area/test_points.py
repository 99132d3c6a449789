import json
from pathlib import Path

import pytest

from seg.errors import DatasetError
from seg.evaluation.area.points import read_labels, read_references

CLASSES = {0: "other", 1: "cropland"}


@pytest.mark.parametrize("encoding", ["utf-8", "gbk"])
def test_tables_of_chinese_spreadsheets_are_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "points.csv"
    path.write_bytes("id,reference,remark\n1,1.0,水田\n2,0,林地\n3,cropland,\n".encode(encoding))
    assert read_labels(read_references(path), CLASSES)[0].tolist() == [1, 0, 1]


def test_points_in_a_named_encoding_are_read(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_bytes("id,reference\n1,Äcker\n".encode("latin1"))
    assert read_references(path, "ISO-8859-1").texts == ["Äcker"]


def test_long_lists_as_references_are_refused_in_a_short_line(tmp_path: Path) -> None:
    path = tmp_path / "points.geojson"
    rows = [{"id": number, "reference": [1, 2] * 50} for number in (1, 2)]
    features = [{"type": "Feature", "geometry": None, "properties": row} for row in rows]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    with pytest.raises(DatasetError, match=r"2 points \(1, 2\) with an unknown class") as caught:
        read_labels(read_references(path), CLASSES)
    assert len(str(caught.value).removeprefix(str(path))) < 200
