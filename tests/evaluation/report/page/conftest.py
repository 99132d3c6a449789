import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from seg.evaluation.evaluate import evaluate
from seg.evaluation.pairs import Inputs
from seg.evaluation.settings import EvaluationSettings, Language, PageSettings
from seg.labels import IGNORE
from support.report_samples import AREA, HOSTILE, NORTH, Report, blobs, write_raster


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Two scenes with all optional files; `north` is larger than a tile, and the other has markup in its name."""
    folder = tmp_path_factory.mktemp("scenes")
    for seed, (name, shape) in enumerate([(HOSTILE, (60, 50)), ("north", NORTH)]):
        share = blobs(shape, seed)
        prediction = (share > 0.5).astype(np.uint8)
        reference = (blobs(shape, seed) + 0.3 * blobs(shape, seed + 9) > 0.65).astype(np.uint8)
        prediction[:4, :5], reference[-6:, :] = IGNORE, IGNORE
        percent = np.where(prediction == IGNORE, IGNORE, np.rint(100 * share)).astype(np.uint8)
        image = np.random.default_rng(seed).integers(100, 3000, (3, *shape)).astype(np.uint16)
        write_raster(folder / "maps" / f"{name}.tif", prediction, nodata=IGNORE)
        write_raster(folder / "probabilities" / f"{name}.tif", percent, nodata=IGNORE)
        write_raster(folder / "masks" / f"{name}.tif", reference, nodata=IGNORE)
        write_raster(folder / "images" / f"{name}.tif", image)
        write_raster(folder / "soils" / f"{name}.tif", np.indices(shape)[0].astype(np.uint8) // 30 % 2)
    inputs = Inputs(*(folder / part for part in ("maps", "masks", "probabilities", "images")), strata=folder / "soils")
    return Report(folder, inputs, prediction, reference)


@pytest.fixture(scope="session")
def write_report(scenes: Report, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Report]:
    """Function `write_report(language, area=None)` that writes a report of the two scenes."""

    def write(language: Language, area: dict[str, Any] | None = None) -> Report:
        output = tmp_path_factory.mktemp(f"report_{language}")
        estimate = None
        if area is not None:
            estimate = output / "area.json"
            estimate.write_text(json.dumps(area), encoding="utf-8")
        settings = EvaluationSettings(bootstrap=20, bootstrap_unit="block", block_size=64, chip_size=64, worst=4)
        evaluate(scenes.inputs, output, settings, PageSettings(lang=language, area_estimate=estimate))
        return Report(output, scenes.inputs, scenes.prediction, scenes.reference)

    return write


@pytest.fixture(scope="session")
def report(write_report: Callable[..., Report]) -> Report:
    """The report in English, with an area estimate."""
    return write_report("en", AREA)


@pytest.fixture(scope="session")
def report_zh(write_report: Callable[..., Report]) -> Report:
    """The report in Chinese, without an area estimate."""
    return write_report("zh")
