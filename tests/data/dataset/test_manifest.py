from collections.abc import Callable
from pathlib import Path

import geopandas
import pyarrow
import pyarrow.parquet
import pytest
from shapely import Point

from seg.data.dataset.catalogue import Scene, read_catalogue
from seg.data.dataset.manifest import further_columns
from seg.errors import DatasetError
from seg.raster.label_mapping import LabelMapping


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a.tif, b.tif, c.tif and m.tif."""
    for name in "abcm":
        (tmp_path / f"{name}.tif").touch()
    return tmp_path


def csv(root: Path, text: str) -> Path:
    (root / "manifest.csv").write_text(text)
    return root


def csv_table(root: Path, **columns: list[object]) -> Path:
    rows = [columns, *zip(*columns.values(), strict=True)]
    return csv(root, "".join(",".join("" if cell is None else str(cell) for cell in row) + "\n" for row in rows))


def parquet(root: Path, **columns: list[object]) -> Path:
    pyarrow.parquet.write_table(pyarrow.table(columns), root / "manifest.parquet")
    return root


WRITERS: dict[str, Callable[..., Path]] = {"csv": csv_table, "parquet": parquet}


@pytest.fixture(params=sorted(WRITERS))
def write(request: pytest.FixtureRequest) -> Callable[..., Path]:
    """Function `write(root, image=[...], ...)` that writes a manifest of these columns; parametrised as CSV and
    Parquet."""
    return WRITERS[request.param]


def test_fold_and_weight_come_from_either_format(root: Path, write: Callable[..., Path]) -> None:
    write(root, image=["b.tif", "a.tif"], mask=["m.tif", "m.tif"], fold=[3, 0], weight=[0.25, None])
    assert read_catalogue(root, 5) == [
        Scene(root / "a.tif", root / "m.tif", 0, 1.0),
        Scene(root / "b.tif", root / "m.tif", 3, 0.25),
    ]


def test_val_and_test_are_held_out_as_fold_0_and_train_is_fold_1(root: Path, write: Callable[..., Path]) -> None:
    write(root, image=["a.tif", "b.tif", "c.tif"], mask=["m.tif"] * 3, split=["val", "Train", "test"])
    assert [scene.fold for scene in read_catalogue(root, 2)] == [0, 1, 0]


def test_fold_takes_precedence_over_split(root: Path, write: Callable[..., Path]) -> None:
    write(root, image=["a.tif"], mask=["m.tif"], split=["train"], fold=[4])
    assert read_catalogue(root, 5)[0].fold == 4


def test_quality_is_used_as_weight_without_a_weight_column(root: Path, write: Callable[..., Path]) -> None:
    write(root, image=["a.tif"], mask=["m.tif"], fold=[0], quality=[2])
    assert read_catalogue(root, 5)[0].weight == 2.0


def test_a_geometry_column_is_ignored(root: Path) -> None:
    columns = {"image": ["a.tif"], "mask": ["m.tif"], "fold": [2], "cloud": [0.1]}
    geopandas.GeoDataFrame(columns, geometry=[Point(1, 2)], crs="EPSG:4326").to_parquet(root / "manifest.parquet")
    assert read_catalogue(root, 5) == [Scene(root / "a.tif", root / "m.tif", 2)]


def test_the_csv_takes_precedence_over_the_parquet(root: Path) -> None:
    parquet(root, image=["a.tif"], mask=["m.tif"], fold=[0])
    csv(root, "image,mask,fold\nb.tif,m.tif,0\n")
    assert [scene.image.name for scene in read_catalogue(root, 5)] == ["b.tif"]


def test_every_scene_has_the_label_mapping(root: Path) -> None:
    labels = LabelMapping(cropland=(1, 2))
    parquet(root, image=["a.tif"], mask=["m.tif"], fold=[0])
    assert read_catalogue(root, 5, labels)[0].labels == labels


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"split": ["dev"]}, r" 'dev'\]; wanted image, mask, split \(train, val, test\)"),
        ({"split": [None]}, r"wanted image, mask, split"),
        ({"fold": ["one"]}, r" 'one'\]; wanted image, mask, fold number"),
        ({"fold": [0.5]}, r"wanted image, mask, fold number"),
        ({"fold": [0], "weight": [0]}, r"has the weight 0; wanted a number above 0, or an empty cell for 1"),
        ({"fold": [0], "weight": [-1.5]}, r"has the weight -1\.5; wanted"),
        ({"fold": [0], "weight": ["nan"]}, r"has the weight nan; wanted"),
        ({"fold": [0], "quality": ["good"]}, r"has the quality good; wanted"),
        ({"fold": [9]}, r"has the folds \[9\], but data\.folds 5 allows only 0 to 4"),
        ({"mask": ["n.tif"], "fold": [0]}, r"names .*n\.tif, which does not exist"),
        ({}, r"has no column fold; wanted image, mask, fold \(or split: train, val, test\)"),
        (
            {"mask": [""], "labels": ["l.gpkg"], "fold": [0]},
            r"names labels \(l\.gpkg\) but no mask; burn .*prepare\.py",
        ),
    ],
)
def test_a_wrong_row_is_an_error_with_file_and_row(
    root: Path, write: Callable[..., Path], columns: dict[str, list[object]], problem: str
) -> None:
    write(root, **{"image": ["a.tif"], "mask": ["m.tif"], **columns})
    with pytest.raises(DatasetError, match=rf"manifest\.(csv|parquet): .*{problem}"):
        read_catalogue(root, 5)


def test_labels_without_a_mask_column_are_refused_with_the_advice_to_burn_them(
    root: Path, write: Callable[..., Path]
) -> None:
    write(root, image=["a.tif"], labels=["l.gpkg"], fold=[0])
    with pytest.raises(DatasetError, match=r"(line 2|row 1) names labels .* python scripts/prepare\.py burn"):
        read_catalogue(root, 5)


def test_a_damaged_parquet_is_named_in_the_error(root: Path) -> None:
    (root / "manifest.parquet").write_text("image,mask,fold\n")
    with pytest.raises(DatasetError, match=r"manifest\.parquet: not a readable Parquet file .*manifest\.csv"):
        read_catalogue(root, 5)


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_csv_with_other_delimiters_and_the_backslashes_of_windows_is_read(root: Path, delimiter: str) -> None:
    (root / "images").mkdir()
    (root / "images" / "d.tif").touch()
    csv(root, "image,mask,fold,note\nimages\\d.tif,m.tif,1,x\n".replace(",", delimiter))
    assert read_catalogue(root, 2) == [Scene(root / "images" / "d.tif", root / "m.tif", 1)]
    assert further_columns(root) == {root / "images" / "d.tif": {"note": "x"}}


@pytest.mark.parametrize("name", ["/vsizip//data/a.zip/b.tif", "https://host/b.tif"])
def test_a_scene_that_is_not_a_file_gets_the_advice_to_make_a_vrt(root: Path, name: str) -> None:
    csv(root, f"image,mask,fold\n{name},m.tif,0\n")
    with pytest.raises(DatasetError, match=r"line 2 names .*; wanted a file; .* gdal_translate -of VRT /vsi.* b\.vrt"):
        read_catalogue(root, 2)


def test_a_csv_in_gbk_is_read(root: Path) -> None:
    (root / "耕地.tif").touch()
    (root / "manifest.csv").write_bytes("image,mask,fold\n耕地.tif,m.tif,1\n".encode("gbk"))
    assert read_catalogue(root, 2) == [Scene(root / "耕地.tif", root / "m.tif", 1)]
