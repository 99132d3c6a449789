"""Cases that look like defects but are correct, and cases for which the check only prints a note."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rasterio.enums import ColorInterp

from seg.data.checking import structure
from seg.data.checking.pixels import Reading
from seg.data.checking.scenes import check_one
from seg.data.dataset.catalogue import Scene

WriteRaster = Callable[..., Path]


@pytest.fixture
def findings_of(write_raster: WriteRaster, tmp_path: Path) -> Callable[..., list[tuple[str, str]]]:
    """Function that checks an image of given pixels and profile, with a mask that is half cropland."""

    def check(pixels: np.ndarray, bands: tuple[int, ...] = (1, 2), **profile: object) -> list[tuple[str, str]]:
        mask = np.zeros(pixels.shape[1:], np.uint8)
        mask[:, ::2] = 1
        scene = Scene(
            write_raster(tmp_path / "image.tif", pixels, **profile), write_raster(tmp_path / "mask.tif", mask), 0
        )
        return [(finding.severity.value, finding.kind) for finding in check_one(scene, Reading(bands)).findings]

    return check


def pixels(bands: int, dtype: type = np.float32) -> np.ndarray:
    return np.random.default_rng(0).integers(1, 200, (bands, 10, 10)).astype(dtype)


def test_nan_is_nodata(findings_of: Callable[..., list[tuple[str, str]]]) -> None:
    image = pixels(2)
    image[:, 0] = np.nan
    assert findings_of(image) == []


@pytest.mark.parametrize("how", ["nodata", "mask"])
def test_masked_infinite_values_give_no_finding(findings_of: Callable[..., list[tuple[str, str]]], how: str) -> None:
    image = pixels(2)
    image[:, 0] = np.inf
    profile = {"nodata": np.inf} if how == "nodata" else {"mask": np.isfinite(image[0])}
    assert findings_of(image, **profile) == []


def test_alpha_band_of_two_values_gives_a_note(findings_of: Callable[..., list[tuple[str, str]]]) -> None:
    image = pixels(3, np.uint8)
    image[2] = 255
    image[2, :3] = 0
    meanings = [ColorInterp.gray, ColorInterp.undefined, ColorInterp.alpha]
    assert findings_of(image, meanings=meanings) == [("note", "alpha-band")]


def test_zeros_of_a_single_band_give_a_note(findings_of: Callable[..., list[tuple[str, str]]]) -> None:
    image = pixels(1)
    image[:, :2] = 0
    assert findings_of(image, bands=(1,)) == [("note", "zero-pixels")]


def test_a_scene_that_training_would_refuse_is_an_error(
    findings_of: Callable[..., list[tuple[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(scene: Scene, bands: tuple[int, ...]) -> None:
        raise structure.RasterError(f"{scene.image}: is not liked")

    monkeypatch.setattr(structure, "check_scene", refuse)
    assert findings_of(pixels(2)) == [("error", "unfit")]


@pytest.mark.parametrize(("void", "dtype"), [(-9999, np.int16), (np.finfo(np.float32).min, np.float32)])
def test_undeclared_voids_are_an_error(
    findings_of: Callable[..., list[tuple[str, str]]], void: float, dtype: type
) -> None:
    image = pixels(2, dtype)
    image[:, 0] = void
    kind = "undeclared-nodata" if dtype is np.int16 else "infinite"
    assert findings_of(image) == [("error", kind)]
