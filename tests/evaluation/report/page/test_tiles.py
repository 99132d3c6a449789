import base64
import io
import zlib

import numpy as np
import pytest
from PIL import Image

from seg.evaluation.report.layers import SceneLayers, resized
from seg.evaluation.report.page.tiles import (
    SMALLEST_SIDE,
    TILE,
    deflated,
    encoded_within,
    pyramid,
    shrunk,
    webp,
)


def noise(height: int, width: int, image: bool = True) -> SceneLayers:
    generator = np.random.default_rng(0)
    codes = generator.integers(0, 9, (height, width)).astype(np.uint8)
    percent = generator.integers(0, 101, (height, width)).astype(np.uint8)
    colours = generator.integers(0, 256, (height, width, 4)).astype(np.uint8)
    return SceneLayers(codes, percent, colours if image else None)


def inflated(text: str, shape: tuple[int, int]) -> np.ndarray:
    differences = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).reshape(shape)
    return np.cumsum(differences, axis=1, dtype=np.uint8)


def test_deflated_pixels_are_restored() -> None:
    pixels = noise(30, 17).codes
    pixels[3, 4:9] = 255
    assert (inflated(deflated(pixels), pixels.shape) == pixels).all()


def test_tiles_of_a_level_cover_the_scene_row_by_row() -> None:
    layers = noise(TILE + 10, 2 * TILE + 3, image=False)
    finest = encoded_within(layers, 10**9)[0]
    assert (finest.width, finest.height, finest.image) == (2 * TILE + 3, TILE + 10, None)
    rows = [
        np.hstack(
            [inflated(finest.codes[3 * row + column], (height, width)) for column, width in enumerate((256, 256, 3))]
        )
        for row, height in enumerate((256, 10))
    ]
    assert (np.vstack(rows) == layers.codes).all()


def test_pyramid_halves_a_scene_until_one_tile_holds_it() -> None:
    assert [level.shape for level in pyramid(noise(700, 300))] == [(700, 300), (350, 150), (175, 75)]


@pytest.mark.parametrize("budget", [400_000, 100_000, 30_000])
def test_scene_is_reduced_until_it_fits_its_budget(budget: int) -> None:
    levels = encoded_within(noise(500, 400), budget)
    assert sum(level.size for level in levels) <= budget
    assert levels[0].height < 500
    assert levels[0].height / levels[0].width == pytest.approx(500 / 400, rel=0.02)


def test_scene_that_fits_keeps_every_pixel() -> None:
    assert encoded_within(noise(80, 90), 10**6)[0].width == 90


def test_scene_is_never_smaller_than_a_thumbnail() -> None:
    assert max(encoded_within(noise(500, 400), 10)[0].height, 0) == SMALLEST_SIDE
    assert shrunk((5, 4), 0.1) == (5, 4)
    assert shrunk((1000, 1), 0.1) == (100, 1)


def test_resizing_picks_codes_and_averages_the_image() -> None:
    layers = SceneLayers(
        codes=np.arange(8, dtype=np.uint8)[None].repeat(2, axis=0),
        image=np.array([[[0, 0, 0, 255], [100, 100, 100, 255]]] * 2, np.uint8).repeat(4, axis=1),
    )
    smaller = resized(layers, (1, 2))
    assert smaller.codes.tolist() == [[2, 6]]
    assert smaller.image is not None
    assert smaller.image[0, :, 0].tolist() == [0, 100]


def test_webp_keeps_transparent_pixels() -> None:
    image = np.full((8, 8, 4), 200, np.uint8)
    image[:, :4, 3] = 0
    image[:, 4:, 3] = 255
    decoded = np.asarray(Image.open(io.BytesIO(base64.b64decode(webp(image)))))
    assert (decoded[..., 3] == image[..., 3]).all()
    assert Image.open(io.BytesIO(base64.b64decode(webp(image[:, 4:])))).mode == "RGB"
