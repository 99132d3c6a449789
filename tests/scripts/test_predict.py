import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint

from support.commands import assert_mistake, run_command
from support.project import SCRIPTS, environment

WriteRaster = Callable[..., Path]


@pytest.fixture
def scene(tmp_path: Path, write_raster: WriteRaster) -> Path:
    pixels = np.random.default_rng(0).integers(50, 150, (3, 90, 110)).astype(np.uint16)
    return write_raster(tmp_path / "scene.tif", pixels, tiled=True, blockxsize=32, blockysize=32, compress="deflate")


def test_one_command_maps_a_scene(model: Path, scene: Path, tmp_path: Path) -> None:
    words = ["--model", model, "--input", scene, "--output", tmp_path / "map.tif"]
    status, out, err = run_command("predict", *words)
    assert (status, err) == (0, "")
    assert "110x90 pixels in 1 block of" in out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["map.tif", "map_probability.tif", "scene.tif"]


def test_a_scene_without_georeference_gives_no_warning(model: Path, tmp_path: Path, write_raster: WriteRaster) -> None:
    pixels = np.full((3, 40, 40), 100, np.uint16)
    scene = write_raster(tmp_path / "s.tif", pixels, crs=None, transform=rasterio.Affine.identity())
    command = [sys.executable, SCRIPTS / "predict.py", "--model", model, "--input", scene, "--output"]
    done = subprocess.run([*command, tmp_path / "map.tif"], env=environment(), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_help_imports_no_heavy_library() -> None:
    program = f"""
import runpy, sys
sys.argv = ["predict.py", "--help"]
try:
    runpy.run_path({str(SCRIPTS / "predict.py")!r}, run_name="__main__")
except SystemExit as stopped:
    assert not stopped.code
slow = ["rasterio", "torch", "onnxruntime", "shapely", "pyproj", "cv2", "rich", "scipy", "pandas"]
print([name for name in slow if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_options_are_written_with_hyphens(model: Path, scene: Path, tmp_path: Path) -> None:
    words = ["--model", model, "--input", scene, "--output", tmp_path / "map.tif", "--threads=1", "--device=cpu"]
    status, out, _ = run_command(
        "predict", *words, "--block-size=64", "--halo=6", "--tta.dihedral=true", "--tta.scales=[1,0.5]"
    )
    assert status == 0
    assert "4 blocks of 64, halo 8 (given)" in out
    assert "GiB of memory" in out
    with rasterio.open(tmp_path / "map.tif") as dataset:
        assert dataset.tags()["SEG_HALO"] == "8"


def test_both_libraries_compute_the_same_map_up_to_rounding(model: Path, scene: Path, tmp_path: Path) -> None:
    percents = []
    for backend in ("onnx", "torch"):
        words = ["--model", model, "--input", scene, "--output", tmp_path / f"{backend}.tif", "--precision", "32"]
        assert run_command("predict", *words, f"--backend={backend}", "--device=cpu")[0] == 0
        with rasterio.open(tmp_path / f"{backend}_probability.tif") as dataset:
            percents.append(dataset.read(1).astype(int))
            assert dataset.tags()["SEG_BACKEND"] == f"{backend} cpu 32"
    assert np.abs(percents[0] - percents[1]).max() <= 1


def test_empty_corners_without_a_nodata_value_have_a_note(
    model: Path, tmp_path: Path, write_raster: WriteRaster
) -> None:
    pixels = np.full((3, 40, 40), 100, np.uint16)
    pixels[:, :10] = 0
    words = ["--model", model, "--input", write_raster(tmp_path / "s.tif", pixels), "--output", tmp_path / "map.tif"]
    status, _, err = run_command("predict", *words)
    assert status == 0
    assert "400 pixels are 0 in every band" in err
    assert "--nodata=0" in err


def test_a_scene_with_only_control_points_has_a_note(model: Path, scene: Path, tmp_path: Path) -> None:
    with rasterio.open(scene) as source:
        corners = [(row, column) for row in (0, source.height) for column in (0, source.width)]
        points = [GroundControlPoint(row, column, *(source.transform @ (column, row))) for row, column in corners]
        profile = source.profile | {"crs": None, "transform": None}
        with rasterio.open(tmp_path / "raw.tif", "w", **profile) as raw:
            raw.write(source.read())
            raw.gcps = (points, source.crs)
    words = ["--model", model, "--input", tmp_path / "raw.tif", "--output", tmp_path / "map.tif"]
    status, _, err = run_command("predict", *words)
    assert status == 0
    assert err.startswith("note: the scene is georeferenced only by ground control points or a camera model")
    assert "gdalwarp" in err


def mistakes(
    model: Path, scene: Path, folder: Path, write_raster: WriteRaster
) -> dict[str, tuple[dict[str, object], list[str]]]:
    """Mistakes of a user: changed options of a valid command, and the words that the message must contain."""
    (folder / "text.tif").write_text("this is no raster\n")
    content = scene.read_bytes()
    (folder / "half.tif").write_bytes(content[: len(content) // 2])
    (folder / "file").write_text("in the way")
    five = write_raster(folder / "five.tif", np.ones((5, 20, 20), np.uint16))
    coarse = write_raster(
        folder / "coarse.tif", np.ones((3, 20, 20), np.uint16), transform=rasterio.Affine(60, 0, 5e5, 0, -60, 5e6)
    )
    return {
        "missing scene": ({"input": folder / "none.tif"}, ["none.tif", "no such file"]),
        "folder as scene": ({"input": folder}, [folder.name]),
        "text as scene": ({"input": folder / "text.tif"}, ["text.tif", "not a readable raster"]),
        "truncated scene": ({"input": folder / "half.tif"}, ["half.tif", "damaged or truncated"]),
        "too many bands": ({"input": five}, ["five.tif", "5 bands", "wants 3", "--bands"]),
        "other pixel size": ({"input": coarse}, ["coarse.tif", "60 m", "10 m", "--pixel-size-ratio"]),
        "missing model": ({"model": folder / "none"}, ["none/model.json", "scripts/export.py"]),
        "missing output folder": ({"output": folder / "none" / "map.tif"}, ["map.tif", "does not exist"]),
        "file as output folder": ({"output": folder / "file" / "map.tif"}, ["map.tif", "file"]),
        "output is no GeoTIFF": ({"output": folder / "map.jpg"}, ["map.jpg", ".tif"]),
        "output is the scene": ({"output": scene}, ["scene.tif", "name another output"]),
        "unknown device": ({"device": "abacus"}, ["abacus", "wanted auto, cpu"]),
        "device of another library": ({"device": "cuda", "backend": "onnx"}, ["device is cuda", "--backend=torch"]),
        "half precision on the CPU": ({"device": "cpu", "precision": "bf16"}, ["precision is bf16", "32"]),
        "unknown library": ({"backend": "caffe"}, ["--backend is 'caffe'", "onnx"]),
        "negative halo": ({"halo": -1, "block_size": 32}, ["halo is -1"]),
        "empty scales": ({"tta.scales": "[]"}, ["tta.scales"]),
        "block size in words": ({"block_size": "large"}, ["large"]),
    }


@pytest.mark.parametrize("case", range(18))
def test_a_mistake_is_reported_in_one_line_with_exit_status_2(
    model: Path, scene: Path, tmp_path: Path, write_raster: WriteRaster, case: int
) -> None:
    changed, named = list(mistakes(model, scene, tmp_path, write_raster).values())[case]
    options: dict[str, object] = {"model": model, "input": scene, "output": tmp_path / "map.tif"}
    words = [f"--{key}={value}" for key, value in (options | changed).items()]
    ran = run_command("predict", *words)
    assert_mistake(ran._replace(out=""), *named)  # the plan of a scene is printed before its pixels are read
    assert not (tmp_path / "map.tif").exists()


def test_an_unknown_option_names_the_nearest_option() -> None:
    assert_mistake(run_command("predict", "--model=a", "--input=b", "--output=c", "--block-sise=3"), "'block-size'")


def test_an_unwritable_folder_is_refused_in_one_line(model: Path, scene: Path, unwritable: Path) -> None:
    words = [f"--model={model}", f"--input={scene}", f"--output={unwritable / 'map.tif'}"]
    assert_mistake(run_command("predict", *words), "map.tif")
