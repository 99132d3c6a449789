import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import rasterio
from rasterio import Affine

from seg.console import run_command
from seg.labels import IGNORE

SCRIPT = Path(__file__).parents[2] / "scripts" / "evaluate.py"
HEIGHT, WIDTH = 40, 50

Run = Callable[..., tuple[int, str, str]]


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("evaluate_script", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
def run(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the script on map, reference and output, with options added or replaced; exit status, stdout, stderr."""

    def run_with(**options: object) -> tuple[int, str, str]:
        chosen = {name: files[name] for name in ("prediction", "reference", "output")} | options
        words = [word for name, value in chosen.items() for word in (f"--{name}", str(value))]
        status = run_command(load_script().main, words)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run_with


def test_scores_are_printed_and_written(run: Run) -> None:
    status, out, err = run()
    assert (status, err) == (0, "")
    scores = json.loads(Path("report/accuracy.json").read_text())["scores"]
    assert scores["overall_accuracy"] == 1 - 1 / HEIGHT
    assert f"{scores['iou']:.4f}" in out
    assert "written: report/accuracy.json" in out
    assert "written: report/picture.png" in out
    assert sorted(path.name for path in Path("report").iterdir()) == ["accuracy.json", "picture.png"]


def test_fold_restricts_the_comparison(run: Run, files: dict[str, Path]) -> None:
    status, out, _ = run(folds=files["folds"], fold=1, image=files["image"])
    report = json.loads(Path("report/accuracy.json").read_text())
    assert status == 0
    assert report["fold"] == {"raster": "folds.tif", "number": 1}
    assert (report["scores"]["iou"], report["counts"]["compared"]) == (1, HEIGHT * WIDTH // 2)
    assert "fold 1 of folds.tif" in out


def test_second_run_replaces_the_report(run: Run, files: dict[str, Path]) -> None:
    run()
    run(prediction=files["reference"])
    assert json.loads(Path("report/accuracy.json").read_text())["scores"]["iou"] == 1


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


@pytest.mark.parametrize("kind", ["missing", "text", "truncated", "size", "crs", "value"])
@pytest.mark.parametrize("option", ["prediction", "reference"])
def test_bad_raster_is_one_line_and_status_2(run: Run, option: str, kind: str) -> None:
    path = make_bad(kind)
    status, out, err = run(**{option: path})
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert str(path) in err
    assert not Path("report").exists()


@pytest.mark.parametrize("kind", ["missing", "text", "truncated", "size", "crs"])
def test_bad_fold_raster_is_one_line_and_status_2(run: Run, kind: str) -> None:
    path = make_bad(kind)
    status, out, err = run(folds=path, fold=0)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert str(path) in err


@pytest.mark.parametrize("kind", ["missing", "text", "size", "crs"])
def test_bad_image_is_refused_before_the_comparison(run: Run, kind: str) -> None:
    path = make_bad(kind)
    status, out, err = run(image=path)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert str(path) in err


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"output": "nowhere/report"}, "nowhere/report: its parent folder"),
        ({"output": "map.tif"}, "map.tif: is a file"),
        ({"output": "map.tif/report"}, "map.tif/report: its parent folder"),
        ({"folds": "folds.tif"}, "--folds folds.tif needs --fold"),
        ({"fold": 1}, "--fold 1 needs --folds"),
        ({"folds": "folds.tif", "fold": 5}, "folds that have labels: 0, 1"),
        ({"folds": "folds.tif", "fold": "first"}, "fold"),
        ({"imge": "scene.tif"}, "the nearest known key is 'image'"),
    ],
)
def test_bad_options_are_one_line_and_status_2(run: Run, options: dict[str, object], wanted: str) -> None:
    status, out, err = run(**options)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert wanted in err


def test_command_starts_without_torch() -> None:
    heavy = "{'torch', 'torchmetrics', 'lightning', 'matplotlib.pyplot'}"
    code = f"import runpy, sys; runpy.run_path({str(SCRIPT)!r}); print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
