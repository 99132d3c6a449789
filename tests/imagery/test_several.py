"""Several products as one scene: bands of several dates, and composites."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seg.raster.chips import Reading, read_chip, whole
from seg.raster.grid import open_raster
from support.commands import assert_mistake, run_command
from support.products import Safe, write_safe

WriteRaster = Callable[..., Path]
SIZE = 60, 48


@pytest.fixture
def dates(tmp_path: Path) -> tuple[list[Path], np.ndarray]:
    """Two products of different dates, and (2, H, W) True where their pixels are clear and hold data."""
    products, clear = [], []
    for number, date in enumerate(("2024-05-11", "2024-08-03")):
        scl = np.full((SIZE[0] // 2, SIZE[1] // 2), 4)
        scl[3 * number : 3 * number + 12, 5:15] = 9
        path, stored = write_safe(tmp_path / f"d{number}", Safe(bands=("B04", "B08"), size=SIZE, scl=scl))
        metadata = path / "MTD_MSIL2A.xml"
        text = metadata.read_text(encoding="utf-8").replace("2024-05-11T10:30:31", f"{date}T10:30:31")
        metadata.write_text(text, encoding="utf-8")
        products.append(path)
        clear.append((stored["B04"] > 0) & (scl != 9).repeat(2, 0).repeat(2, 1))
    return products, np.array(clear)


def test_several_products_become_a_scene_of_several_dates(dates: tuple[list[Path], np.ndarray], tmp_path: Path) -> None:
    products, clear = dates
    output = tmp_path / "pair.vrt"
    names = ["B04@2024-05-11", "B08@2024-05-11", "B04@2024-08-03", "B08@2024-08-03"]
    # The bands are ordered by date, although the command line names the later product first.
    ran = run_command("prepare image", "--input", *products[::-1], f"--output={output}", "--mask=auto")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.splitlines() == [f"{output}: 4 bands of 2 dates", *names]
    with open_raster(output) as scene:
        assert list(scene.descriptions) == names
        chip = read_chip(scene, whole(scene), Reading([1, 2, 3, 4], [-9.0] * 4))
    np.testing.assert_array_equal(chip.valid, clear.any(axis=0))
    for number in range(2):
        filled = (chip.image[2 * number : 2 * number + 2] == -9).all(axis=0)
        np.testing.assert_array_equal(filled, ~clear[number])


def test_products_of_one_date_are_refused(dates: tuple[list[Path], np.ndarray], tmp_path: Path) -> None:
    products, _ = dates
    words = ["prepare image", "--input", products[0], products[0]]
    assert_mistake(
        run_command(*words, f"--output={tmp_path / 'x.vrt'}"),
        f"{products[0]}: is of 2024-05-11, like {products[0].stem}; wanted one product of each date",
    )
    assert_mistake(run_command(*words, f"--output={tmp_path / 'x.tif'}"), "wanted a file name that ends in .vrt")


def test_products_are_combined_without_their_clouds(dates: tuple[list[Path], np.ndarray], tmp_path: Path) -> None:
    products, clear = dates
    output = tmp_path / "summer.tif"
    ran = run_command("prepare composite", "--input", *products, f"--output={output}", "--bands=[red]", "--mask=auto")
    assert (ran.status, ran.err) == (0, "")
    with open_raster(output) as dataset:
        assert dataset.descriptions == ("red", "valid_dates")
        np.testing.assert_array_equal(dataset.read(2), clear.sum(axis=0))
    assert {path.name for path in tmp_path.iterdir()} == {"d0", "d1", "summer.tif"}  # no scenes of the products
    first = output.read_bytes()
    assert run_command("prepare composite", "--input", *products, f"--output={output}", "--bands=[red]").status == 0
    assert output.read_bytes() != first  # The scenes are written again without a mask.


def test_scenes_of_products_stay_if_a_composite_fails_and_files_of_others_stay_always(
    dates: tuple[list[Path], np.ndarray], tmp_path: Path
) -> None:
    products, _ = dates
    words = ["prepare composite", "--input", *products, f"--output={tmp_path / 'summer.tif'}", "--mask=auto"]
    assert_mistake(run_command(*words, "--grid=none.tif"), "none.tif")
    scenes = tmp_path / "summer.scenes"
    assert len(list(scenes.glob("*.vrt"))) == len(list(scenes.glob("*.msk"))) == 2
    (scenes / "notes.vrt").touch()
    assert run_command(*words).status == 0
    assert [path.name for path in scenes.iterdir()] == ["notes.vrt"]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--mask=auto"], "raster.tif: is not a product, so --mask=auto does not apply; first make scenes with masks"),
        (["--bands=[1]"], "--bands holds numbers; wanted names"),
    ],
)
def test_a_mistake_in_a_composite_of_products_is_one_line(
    words: list[str],
    problem: str,
    dates: tuple[list[Path], np.ndarray],
    tmp_path: Path,
    write_raster: WriteRaster,
) -> None:
    raster = write_raster(tmp_path / "raster.tif", np.ones((2, 4, 4), np.uint16))
    inputs = [raster, dates[0][0]]
    assert_mistake(
        run_command("prepare composite", "--input", *inputs, f"--output={tmp_path / 'o.tif'}", *words), problem
    )
