import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from rasterio import Affine

from seg.entry import evaluate
from seg.labels import IGNORE
from support.commands import Ran, assert_mistake, run_command
from support.project import SCRIPTS

HEIGHT, WIDTH = 40, 50

Run = Callable[..., Ran]


def write(path: Path, pixels: np.ndarray, **profile: object) -> Path:
    layers = pixels if pixels.ndim == 3 else pixels[None]
    count, height, width = layers.shape
    settings = {
        "driver": "GTiff",
        "count": count,
        "height": height,
        "width": width,
        "dtype": layers.dtype,
        "crs": "EPSG:32633",
        "transform": Affine(10, 0, 500_000, 0, -10, 5_000_000),
        "tiled": True,
        "blockxsize": 16,
        "blockysize": 16,
    }
    with rasterio.open(path, "w", **(settings | profile)) as dataset:
        dataset.write(layers)
    return path


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """A map that is right except in its first row, in the current folder."""
    monkeypatch.chdir(tmp_path)
    labels = np.random.default_rng(0).integers(0, 2, (HEIGHT, WIDTH)).astype(np.uint8)
    mapped = labels.copy()
    mapped[0] = 1 - mapped[0]
    return {
        "prediction": write(Path("map.tif"), mapped, nodata=IGNORE),
        "reference": write(Path("mask.tif"), labels, nodata=IGNORE),
        "output": Path("report"),
        "folds": write(Path("folds.tif"), (np.indices((HEIGHT, WIDTH))[0] // 20).astype(np.uint8)),
        "image": write(Path("scene.tif"), np.arange(3 * HEIGHT * WIDTH, dtype=np.uint16).reshape(3, HEIGHT, WIDTH)),
    }


@pytest.fixture
def run(files: dict[str, Path]) -> Run:
    """Run the command on map, reference and output, with options added or replaced."""

    def run_with(**options: object) -> Ran:
        chosen = {name: files[name] for name in ("prediction", "reference", "output")} | options
        return run_command("evaluate", *(word for name, value in chosen.items() for word in (f"--{name}", value)))

    return run_with


def test_scores_are_printed_and_written(run: Run) -> None:
    status, out, err = run()
    assert (status, err) == (0, "")
    scores = json.loads(Path("report/accuracy.json").read_text())["scores"]
    assert scores["overall_accuracy"]["value"] == 1 - 1 / HEIGHT
    assert f"{scores['iou']['value']:.4f}" in out
    assert "written: report/accuracy.json" in out
    assert "written: report/picture.png" in out
    assert sorted(path.name for path in Path("report").iterdir()) == ["accuracy.json", "index.html", "picture.png"]


def test_fold_restricts_the_comparison(run: Run, files: dict[str, Path]) -> None:
    status, out, _ = run(folds=files["folds"], fold=1, image=files["image"])
    report = json.loads(Path("report/accuracy.json").read_text())
    assert status == 0
    assert (report["pairs"][0]["folds"], report["settings"]["fold"]) == ("folds.tif", 1)
    assert (report["scores"]["iou"]["value"], report["compared"]) == (1, HEIGHT * WIDTH // 2)
    assert "fold 1 of folds.tif" in out


def test_second_run_replaces_the_report(run: Run, files: dict[str, Path]) -> None:
    run()
    run(prediction=files["reference"])
    assert json.loads(Path("report/accuracy.json").read_text())["scores"]["iou"]["value"] == 1


def test_folders_are_compared_pair_by_pair(run: Run, files: dict[str, Path]) -> None:
    maps, masks = Path("maps"), Path("masks")
    for folder, source in ((maps, "prediction"), (masks, "reference")):
        folder.mkdir()
        for name in ("east", "west"):
            shutil.copy(files[source], folder / f"{name}.tif")
    shutil.copy(files["reference"], masks / "north.tif")
    status, out, err = run(prediction=maps, reference=masks)
    report = json.loads(Path("report/accuracy.json").read_text())
    assert (status, err) == (0, "")
    assert [scene["name"] for scene in report["scenes"]] == ["east", "west"]
    assert report["compared"] == 2 * HEIGHT * WIDTH
    assert report["unmatched"] == {"predictions": [], "references": ["north"]}
    assert "1 reference without a partner, first north" in out


def test_polygons_are_a_reference_and_strata(run: Run) -> None:
    parcel = shapely.box(500_000, 4_999_600, 500_250, 5_000_000)
    geopandas.GeoDataFrame({"soil": ["loam"]}, geometry=[parcel], crs=32633).to_file("fields.gpkg")
    status, _, err = run(reference="fields.gpkg", strata="fields.gpkg", stratum_attribute="soil", tolerances="[30]")
    report = json.loads(Path("report/accuracy.json").read_text())
    assert (status, err) == (0, "")
    assert report["counts"]["tp"] + report["counts"]["fn"] == HEIGHT * 25
    assert {row["name"]: row["compared"] for row in report["strata"]["rows"]} == {"loam": HEIGHT * 25, "(none)": 1000}
    assert [row["tolerance_m"] for row in report["boundary"]] == [30]


def test_layer_of_a_vector_file_is_chosen_by_the_option_that_the_error_names(run: Run) -> None:
    for layer, east in (("small", 500_100), ("large", 500_250)):
        parcel = shapely.box(500_000, 4_999_600, east, 5_000_000)
        geopandas.GeoDataFrame({"soil": [layer]}, geometry=[parcel], crs=32633).to_file("two.gpkg", layer=layer)
    assert "choose one with --vector.layer" in run(reference="two.gpkg")[2]
    strata = {"strata": "two.gpkg", "stratum_attribute": "soil"}
    assert "choose one with --stratum-layer" in run(**strata)[2]
    options = {"reference": "two.gpkg", "vector.layer": "small", "stratum-layer": "large"} | strata
    assert run(**options)[0] == 0
    report = json.loads(Path("report/accuracy.json").read_text())
    assert report["counts"]["tp"] + report["counts"]["fn"] == HEIGHT * 10
    assert report["strata"]["rows"][1]["compared"] == HEIGHT * 25


def test_probability_map_beside_the_map_gives_curves(run: Run) -> None:
    write(Path("map_probability.tif"), np.full((HEIGHT, WIDTH), 50, np.uint8), nodata=IGNORE)
    assert run()[0] == 0
    curves = json.loads(Path("report/accuracy.json").read_text())["curves"]
    assert curves["reliability"][5]["pixels"] == HEIGHT * WIDTH


@pytest.mark.parametrize("kind", ["missing", "text"])
@pytest.mark.parametrize("option", ["reference", "strata"])
def test_bad_vector_file_is_refused_in_one_line_with_status_2(run: Run, option: str, kind: str) -> None:
    path = Path(f"{kind}.gpkg")
    if kind == "text":
        path.write_text("no polygons")
    attribute = {"stratum_attribute": "soil"} if option == "strata" else {}
    assert_mistake(run(**({option: path} | attribute)), str(path))
    assert not Path("report").exists()


def test_first_word_may_be_a_subcommand(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    called = []

    def area(*, samples: Path) -> None:
        """Estimate areas."""
        called.append(samples)

    monkeypatch.setitem(evaluate.SUBCOMMANDS, "area", area)
    assert evaluate.main(["area", "--samples", "points.gpkg"]) == 0
    assert called == [Path("points.gpkg")]
    assert evaluate.main(["are", "--samples", "points.gpkg"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def make_bad(kind: str) -> Path:
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8)
    path = Path(f"{kind}.tif")
    if kind == "text":
        path.write_text("no raster")
    elif kind == "truncated":
        content = write(path, pixels).read_bytes()
        path.write_bytes(content[: len(content) // 2])
    elif kind == "size":
        write(path, pixels[1:])
    elif kind == "crs":
        write(path, pixels, crs="EPSG:32632")
    elif kind == "value":
        write(path, pixels + 2)
    return path


@pytest.mark.parametrize("kind", ["missing", "text", "truncated", "size", "crs"])
@pytest.mark.parametrize("option", ["prediction", "reference", "folds", "probability", "strata"])
def test_bad_raster_is_refused_in_one_line_with_status_2(run: Run, option: str, kind: str) -> None:
    path = make_bad(kind)
    assert_mistake(run(**({option: path} | ({"fold": 0} if option == "folds" else {}))), str(path))
    assert not Path("report").exists()


@pytest.mark.parametrize("option", ["prediction", "reference"])
def test_values_that_are_not_classes_are_refused_in_one_line_with_status_2(run: Run, option: str) -> None:
    path = make_bad("value")
    assert_mistake(run(**{option: path}), str(path))


@pytest.mark.parametrize("kind", ["missing", "text", "size", "crs"])
def test_bad_image_is_refused_before_the_comparison(run: Run, kind: str) -> None:
    path = make_bad(kind)
    assert_mistake(run(image=path), str(path))


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"output": "nowhere/report"}, "nowhere/report: its parent folder"),
        ({"output": "map.tif"}, "map.tif: is a file"),
        ({"output": "map.tif/report"}, "map.tif/report: its parent folder"),
        ({"folds": "folds.tif"}, "--folds folds.tif needs --fold"),
        ({"fold": 1}, "--fold 1 needs --folds"),
        ({"folds": "folds.tif", "fold": 5}, "folds with labels: 0, 1"),
        ({"folds": "folds.tif", "fold": "first"}, "fold"),
        ({"strata": "soil.gpkg"}, "--strata soil.gpkg needs --stratum-attribute"),
        ({"tolerances": "[-5]"}, "tolerances is [-5.0]; wanted distances of 0 or more"),
        ({"object-iou": "0.3"}, "object-iou is 0.3"),
        ({"block-size": "wide"}, "--block-size is 'wide'"),
        ({"imge": "scene.tif"}, "the nearest known key is 'image'"),
    ],
)
def test_bad_options_are_refused_in_one_line_with_status_2(run: Run, options: dict[str, object], wanted: str) -> None:
    assert_mistake(run(**options), wanted)


def test_command_starts_without_torch() -> None:
    heavy = "{'torch', 'torchmetrics', 'lightning', 'matplotlib.pyplot'}"
    code = f"import runpy, sys; runpy.run_path({str(SCRIPTS / 'evaluate.py')!r}); print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
