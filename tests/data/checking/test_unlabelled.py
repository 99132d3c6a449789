from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rasterio import Affine

from seg.data.checking.check import Options, check_dataset
from seg.data.checking.findings import Severity
from seg.data.checking.report import json_report, text_report
from support.planted_dataset import PlantedDataset, clean_dataset

WriteRaster = Callable[..., Path]


@pytest.fixture
def dataset(tmp_path: Path, make_dataset: Callable[..., Path], write_raster: WriteRaster) -> PlantedDataset:
    return clean_dataset(tmp_path / "fields", make_dataset, write_raster)


def findings(dataset: PlantedDataset, scenes: Path, **options: object) -> list[tuple[str, str]]:
    report = check_dataset(dataset.root, Options(folds=3, unlabelled=scenes, **options))  # type: ignore[arg-type]
    return [(finding.kind, finding.file.name) for finding in report.findings if finding.severity is not Severity.NOTE]


def test_unlabelled_scenes_are_listed_and_counted(
    dataset: PlantedDataset, tmp_path: Path, write_raster: WriteRaster
) -> None:
    pixels = dataset.read(dataset.image(1))
    away = Affine(10, 0, 900_000, 0, -10, 5_000_000)
    write_raster(tmp_path / "scenes" / "new.tif", pixels, nodata=0, transform=away)
    report = check_dataset(dataset.root, Options(folds=3, unlabelled=tmp_path / "scenes"))
    assert "4 scenes and 1 unlabelled, 0 errors" in text_report(report)
    assert '"unlabelled": [' in json_report(report)
    assert "new.tif" in text_report(report)


@pytest.mark.parametrize(("fold", "found"), [(1, [("unlabelled-held-out", "copy.tif")]), (2, []), (None, [])])
def test_a_copy_of_a_held_out_scene_is_an_error(
    dataset: PlantedDataset, tmp_path: Path, write_raster: WriteRaster, fold: int | None, found: list[tuple[str, str]]
) -> None:
    away = Affine(10, 0, 900_000, 0, -10, 5_000_000)
    write_raster(tmp_path / "scenes" / "copy.tif", dataset.read(dataset.image(1)), nodata=0, transform=away)
    assert findings(dataset, tmp_path / "scenes", fold=fold) == found


def test_a_scene_on_the_ground_of_the_held_out_fold_is_an_error(
    dataset: PlantedDataset, tmp_path: Path, write_raster: WriteRaster
) -> None:
    pixels = dataset.read(dataset.image(0))[:, 2:, 2:]
    place = Affine(10, 0, 500_020, 0, -10, 4_999_980)
    write_raster(tmp_path / "scenes" / "part.tif", pixels, nodata=0, transform=place)
    assert findings(dataset, tmp_path / "scenes") == [("unlabelled-overlap", "part.tif")]
    assert findings(dataset, tmp_path / "scenes", fold=2) == []


def test_other_bands_and_other_units_are_found(
    dataset: PlantedDataset, tmp_path: Path, write_raster: WriteRaster
) -> None:
    pixels = dataset.read(dataset.image(1))
    away = [Affine(10, 0, 900_000 + 1000 * step, 0, -10, 5_000_000) for step in range(3)]
    write_raster(tmp_path / "scenes" / "bands.tif", pixels[:2], nodata=0, transform=away[0])
    write_raster(tmp_path / "scenes" / "units.tif", (pixels / 1e4).astype(np.float32), nodata=0, transform=away[1])
    (tmp_path / "scenes" / "text.tif").write_text("notes")
    found = findings(dataset, tmp_path / "scenes")
    assert ("too-few-bands", "bands.tif") in found
    assert ("value-range", "units.tif") in found
    assert ("unreadable", "text.tif") in found
