import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seg.package.description import DESCRIPTION
from seg.package.read import read_package
from support.commands import assert_mistake, run_command
from support.scenes import write_scene


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    (tmp_path / "scenes").mkdir()
    return write_scene(tmp_path / "scenes" / "a.tif", 40, 48)


def test_adapt_writes_a_package_and_its_report(model: Path, scene: Path, tmp_path: Path) -> None:
    output = tmp_path / "here"
    ran = run_command("adapt", "--model", model, "--input", scene.parent, "--output", output, "--mix=0.4")
    assert (ran.status, ran.err) == (0, "")
    assert "not measured since" in ran.out
    assert sorted(path.name for path in output.iterdir()) == [
        "adaptation.json",
        "adaptation.png",
        DESCRIPTION,
        "model.safetensors",
    ]
    report = json.loads((output / "adaptation.json").read_text())
    assert report["model"]["weights_sha256"] == read_package(output).weights_sha256
    assert report["bands"][0]["mean"] == pytest.approx([100, 2000], rel=0.1)
    assert len(report["norms"]) > 3
    mapped = run_command("predict", "--model", output, "--input", scene, "--output", tmp_path / "map.tif")
    assert mapped.status == 0, mapped.err


def test_mistakes_are_reported_in_one_line(
    model: Path, scene: Path, write_raster: Callable[..., Path], tmp_path: Path
) -> None:
    def adapt(*words: object, **others: object) -> None:
        given = {"model": model, "input": scene, "output": tmp_path / "here"} | others
        assert_mistake(run_command("adapt", *(f"--{key}={value}" for key, value in given.items())), *map(str, words))

    broken = tmp_path / "broken.tif"
    broken.write_text("no raster")
    empty = write_raster(tmp_path / "empty.tif", np.zeros((3, 9, 9), dtype=np.uint16), nodata=0)
    two = write_raster(tmp_path / "two.tif", np.ones((2, 9, 9), dtype=np.uint16))
    old = tmp_path / "old"
    old.mkdir()
    description = json.loads((model / DESCRIPTION).read_text()) | {"format": 2}
    (old / DESCRIPTION).write_text(json.dumps(description))
    adapt(broken, "not a readable raster", input=broken)
    adapt(empty, "no valid pixel", input=empty)
    adapt(two, "2 bands", input=two)
    adapt("has format 2", "export the model again", model=old)
    adapt("--mix is 1.5", mix=1.5)
    adapt("--windows is 0", windows=0)
    adapt("the folder of the model", output=model)
    assert not (tmp_path / "here").exists()
