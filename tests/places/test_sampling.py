from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rasterio.windows import Window

from seg.errors import PackageError, RasterError
from seg.package.read import read_package
from seg.places import sampling
from seg.places.sampling import fitting_place, read_batches, sample_windows, scene_hashes
from seg.places.settings import PlaceSettings

PLAIN = PlaceSettings()
WritePlace = Callable[..., list[Path]]


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "SIDE", 16)


def test_windows_are_spread_over_scenes_by_their_size(model: Path, write_place: WritePlace, tmp_path: Path) -> None:
    scenes = write_place(tmp_path, [(64, 96), (32, 32), (32, 64)])
    place = fitting_place(scenes, read_package(model), PLAIN)
    windows = sample_windows(place, 9)
    assert [sum(window.grid.path == scene for window in windows) for scene in scenes] == [6, 1, 2]
    places = {(window.grid.path, window.window.row_off, window.window.col_off) for window in windows}
    assert len(places) == 9
    assert sample_windows(place, 9) == windows


def test_if_scenes_outnumber_windows_an_even_selection_is_sampled(
    model: Path, write_place: WritePlace, tmp_path: Path
) -> None:
    scenes = write_place(tmp_path, [(16, 16)] * 6)
    windows = sample_windows(fitting_place(scenes, read_package(model), PLAIN), 3)
    chosen = [scenes.index(window.grid.path) for window in windows]
    assert np.diff(chosen).tolist() == [2, 2]


def test_windows_with_data_are_preferred(model: Path, write_raster: Callable[..., Path], tmp_path: Path) -> None:
    image = np.zeros((3, 64, 64), dtype=np.uint16)
    image[:, 32:48, 16:32] = 2000  # one full window of 16
    image[:, 0, 0] = 2000
    scene = write_raster(tmp_path / "a.tif", image, nodata=0)
    place = fitting_place([scene], read_package(model), PLAIN)
    windows = [window.window for window in sample_windows(place, 4)]
    assert windows[0] == Window(16, 32, 16, 16)
    assert len(windows) == 2


def test_a_place_without_a_valid_pixel_is_refused(
    model: Path, write_raster: Callable[..., Path], tmp_path: Path
) -> None:
    scene = write_raster(tmp_path / "empty.tif", np.zeros((3, 20, 20), dtype=np.uint16), nodata=0)
    place = fitting_place([scene], read_package(model), PLAIN)
    with pytest.raises(RasterError, match=r"empty\.tif: has no valid pixel"):
        sample_windows(place, 4)


def test_a_scene_that_cannot_be_read_is_left_out(
    model: Path, write_place: WritePlace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    [scene] = write_place(tmp_path, [(16, 16)])
    broken = tmp_path / "broken.tif"
    broken.write_text("no raster")
    place = fitting_place([broken, scene], read_package(model), PLAIN)
    assert [grid.path for grid in place.grids] == [scene]
    assert caplog.messages[0].startswith(f"left out: {broken}")
    with pytest.raises(RasterError, match="none of its 2 scenes can be read"):
        fitting_place([broken, broken], read_package(model), PLAIN)


def test_scenes_with_bands_in_another_order_are_refused(
    model: Path, write_raster: Callable[..., Path], tmp_path: Path
) -> None:
    image = np.full((3, 16, 16), 2000, dtype=np.uint16)
    scenes = [
        write_raster(tmp_path / f"{names[0]}.tif", image, descriptions=names)
        for names in (("red", "green", "blue"), ("blue", "green", "red"))
    ]
    with pytest.raises(PackageError, match=r"blue\.tif: the model would read bands \[3, 2, 1\]"):
        fitting_place(scenes, read_package(model), PLAIN)


def test_small_windows_are_padded_with_invalid_pixels(model: Path, write_place: WritePlace, tmp_path: Path) -> None:
    place = fitting_place(write_place(tmp_path, [(16, 10)]), read_package(model), PLAIN)
    [(images, valid)] = read_batches(place, sample_windows(place, 1), [7.0, 8.0, 9.0], 2)
    assert images.shape == (1, 3, 16, 16)
    assert valid[0, :, :10].all()
    assert not valid[0, :, 10:].any()
    assert (images[0, :, 0, 12] == [7, 8, 9]).all()


def test_hashes_of_scenes_follow_their_pixels_and_not_their_files(
    model: Path, write_place: WritePlace, tmp_path: Path
) -> None:
    package = read_package(model)

    def hashes(folder: str, **options: object) -> dict[str, str]:
        place = fitting_place(write_place(tmp_path / folder, [(16, 16)], **options), package, PLAIN)
        return scene_hashes(sample_windows(place, 1))

    assert hashes("a").keys() == {"scene_0.tif"}
    assert hashes("a") == hashes("b", compress="deflate")
    assert hashes("a") != hashes("c", mean=2001.0)
