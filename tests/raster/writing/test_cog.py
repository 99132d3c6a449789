from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.windows import Window

from seg.errors import WriteError
from seg.labels import (
    CROPLAND,
    IGNORE,
    LABEL_COLOURS,
    OTHER,
)
from seg.raster.chips import ByteMask
from seg.raster.grid import Grid
from seg.raster.windows import window_grid
from seg.raster.writing.cog import CogLayer, write_cog
from seg.raster.writing.geotiff import byte_profile
from support.disk_limits import no_file_longer_than

HEIGHT, WIDTH = 700, 1100
GRID = Grid(Path("scene.tif"), HEIGHT, WIDTH, 4, CRS.from_epsg(32633), Affine(10, 0, 5e5, 0, -10, 5e6), None, "uint16")
CLASSES = CogLayer(IGNORE, "cropland", colours=LABEL_COLOURS, tags={"SEG_MODEL": "abc"}, resampling="MODE")
PERCENT = CogLayer(IGNORE, "cropland probability", scale=0.01)


def parts_of(pixels: ByteMask) -> Iterator[tuple[Window, ByteMask]]:
    for window in window_grid(*pixels.shape, 300, 300):
        yield window, pixels[window.toslices()]


def random_map(*values: int) -> ByteMask:
    return np.random.default_rng(0).choice(np.array(values, dtype=np.uint8), (HEIGHT, WIDTH))


@pytest.fixture(scope="module")
def classes() -> ByteMask:
    return random_map(OTHER, CROPLAND, IGNORE)


@pytest.fixture(scope="module")
def class_map(classes: ByteMask, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cog") / "map.tif"
    write_cog(path, GRID, CLASSES, parts_of(classes))
    return path


@pytest.fixture(scope="module")
def percent_map(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise of 10 and 90 percent with a square of nodata in the corner."""
    path = tmp_path_factory.mktemp("cog") / "map_probability.tif"
    pixels = random_map(10, 90)
    pixels[:201, :201] = IGNORE
    write_cog(path, GRID, PERCENT, parts_of(pixels))
    return path


def test_the_layout_is_valid_for_a_cloud_optimized_geotiff(class_map: Path) -> None:
    with rasterio.open(class_map) as dataset:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.block_shapes == [(512, 512)]


def test_pixels_are_read_back_unchanged(class_map: Path, classes: ByteMask) -> None:
    with rasterio.open(class_map) as dataset:
        np.testing.assert_array_equal(dataset.read(1), classes)


def test_the_map_lies_exactly_where_the_input_lies(class_map: Path) -> None:
    with rasterio.open(class_map) as dataset:
        assert (dataset.crs, dataset.transform) == (GRID.crs, GRID.transform)


def test_the_map_has_its_description_and_tags(class_map: Path) -> None:
    with rasterio.open(class_map) as dataset:
        assert (dataset.count, dataset.dtypes, dataset.nodata) == (1, ("uint8",), IGNORE)
        assert dataset.descriptions == ("cropland",)
        assert dataset.tags()["SEG_MODEL"] == "abc"


def test_classes_have_the_colours_of_their_labels(class_map: Path) -> None:
    with rasterio.open(class_map) as dataset:
        colours = dataset.colormap(1)
    # GDAL makes the nodata value transparent.
    assert {value: colours[value] for value in (OTHER, CROPLAND)} == {
        value: LABEL_COLOURS[value] for value in (OTHER, CROPLAND)
    }


def test_overviews_of_classes_hold_only_classes(class_map: Path) -> None:
    with rasterio.open(class_map, overview_level=0) as overview:
        assert overview.shape == (HEIGHT // 2, WIDTH // 2)
        assert set(np.unique(overview.read(1)).tolist()) <= {OTHER, CROPLAND, IGNORE}


def test_an_overview_pixel_has_the_class_of_most_of_its_pixels(tmp_path: Path) -> None:
    pixels = np.full((HEIGHT, WIDTH), CROPLAND, dtype=np.uint8)
    pixels[::2, ::2] = OTHER
    write_cog(tmp_path / "map.tif", GRID, CLASSES, parts_of(pixels))
    with rasterio.open(tmp_path / "map.tif", overview_level=0) as overview:
        assert (overview.read(1) == CROPLAND).all()


def test_a_map_no_larger_than_a_tile_is_a_cog_without_overviews(tmp_path: Path) -> None:
    small = Grid(Path("a.tif"), 1, 5, 1, GRID.crs, GRID.transform, None, "uint8")
    write_cog(tmp_path / "map.tif", small, CLASSES, [(Window(0, 0, 5, 1), np.ones((1, 5), dtype=np.uint8))])
    with rasterio.open(tmp_path / "map.tif") as dataset:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.overviews(1) == []


@pytest.mark.parametrize(("height", "width", "factors"), [(512, 512, []), (513, 20, [2]), (1, 5000, [2, 4, 8, 16])])
def test_overviews_go_down_to_one_tile(tmp_path: Path, height: int, width: int, factors: list[int]) -> None:
    grid = replace(GRID, height=height, width=width)
    pixels = np.random.default_rng(0).integers(0, 2, (height, width), dtype=np.uint8)
    for layer in (CLASSES, PERCENT):
        write_cog(tmp_path / "map.tif", grid, layer, [(Window(0, 0, width, height), pixels)])
        with rasterio.open(tmp_path / "map.tif") as dataset:
            assert dataset.overviews(1) == factors
            np.testing.assert_array_equal(dataset.read(1), pixels)


def test_percent_maps_have_their_scale(percent_map: Path) -> None:
    with rasterio.open(percent_map) as dataset:
        assert (dataset.scales, dataset.nodata) == ((0.01,), IGNORE)


def test_overviews_of_percent_are_averages_without_nodata(percent_map: Path) -> None:
    with rasterio.open(percent_map, overview_level=0) as overview:
        pixels = overview.read(1)
    assert (pixels[:100, :100] == IGNORE).all()
    # At the edge of the nodata square, an average that includes 255 would be above 90.
    assert pixels[pixels != IGNORE].max() <= 90
    assert 10 < np.median(pixels[200:]) < 90


def test_pixels_that_no_part_covers_are_nodata(tmp_path: Path) -> None:
    write_cog(tmp_path / "map.tif", GRID, CLASSES, [(Window(0, 0, 2, 2), np.ones((2, 2), dtype=np.uint8))])
    with rasterio.open(tmp_path / "map.tif") as dataset:
        assert int((dataset.read(1) == IGNORE).sum()) == HEIGHT * WIDTH - 4


@pytest.mark.parametrize(("side", "signature"), [(70_000, b"II+\0"), (700, b"II*\0")])
def test_a_map_above_4_gib_is_a_bigtiff(tmp_path: Path, side: int, signature: bytes) -> None:
    grid = replace(GRID, height=side, width=side)
    with rasterio.open(tmp_path / "map.tif", "w", **byte_profile(grid, IGNORE), SPARSE_OK=True):
        pass  # only the header of the file is written
    with (tmp_path / "map.tif").open("rb") as file:
        assert file.read(4) == signature


def breaking(parts: Iterable[tuple[Window, ByteMask]]) -> Iterator[tuple[Window, ByteMask]]:
    yield next(iter(parts))
    raise KeyboardInterrupt


def test_an_error_from_the_iterator_of_parts_leaves_no_file(tmp_path: Path, classes: ByteMask) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_cog(tmp_path / "map.tif", GRID, CLASSES, breaking(parts_of(classes)))
    assert list(tmp_path.iterdir()) == []


def test_an_error_from_the_iterator_of_parts_keeps_the_earlier_map(tmp_path: Path, classes: ByteMask) -> None:
    (tmp_path / "map.tif").write_bytes(b"earlier")
    with pytest.raises(KeyboardInterrupt):
        write_cog(tmp_path / "map.tif", GRID, CLASSES, breaking(parts_of(classes)))
    assert (tmp_path / "map.tif").read_bytes() == b"earlier"


def test_the_earlier_map_is_replaced(tmp_path: Path, classes: ByteMask) -> None:
    (tmp_path / "map.tif").write_bytes(b"earlier")
    write_cog(tmp_path / "map.tif", GRID, CLASSES, parts_of(classes))
    with rasterio.open(tmp_path / "map.tif") as dataset:
        assert dataset.width == WIDTH


def test_files_of_a_killed_run_are_removed(tmp_path: Path, classes: ByteMask) -> None:
    leftover = tmp_path / ".map.tif.unfinished" / "plain.tif"
    leftover.parent.mkdir()
    leftover.write_bytes(b"half a map")
    write_cog(tmp_path / "map.tif", GRID, CLASSES, parts_of(classes))
    assert [path.name for path in tmp_path.iterdir()] == ["map.tif"]


@pytest.mark.parametrize("share", [0.3, 0.8, 0.999])
def test_a_full_disk_gives_one_clear_error_and_the_earlier_map_stays(
    class_map: Path, classes: ByteMask, tmp_path: Path, share: float
) -> None:
    limit = int(class_map.stat().st_size * share)
    (tmp_path / "map.tif").write_bytes(b"earlier")
    with no_file_longer_than(limit), pytest.raises(WriteError, match=r"map\.tif: cannot be written .* space left"):
        write_cog(tmp_path / "map.tif", GRID, CLASSES, parts_of(classes))
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"earlier"]


def test_a_full_disk_never_gives_a_map_with_missing_tiles(class_map: Path, classes: ByteMask, tmp_path: Path) -> None:
    whole, path, refused = class_map.read_bytes(), tmp_path / "map.tif", 0
    # The intermediate file is not compressed, so it fills the disk before the map does.
    for limit in range(HEIGHT * WIDTH, 2_500_000, 130_000):
        try:
            with no_file_longer_than(limit):
                write_cog(path, GRID, CLASSES, parts_of(classes))
        except WriteError:
            refused += 1
            assert list(tmp_path.iterdir()) == []
        else:
            assert path.read_bytes() == whole
            path.unlink()
    assert 0 < refused < 14


def test_a_missing_folder_gives_one_clear_error(tmp_path: Path, classes: ByteMask) -> None:
    with pytest.raises(WriteError, match=r"map\.tif: cannot be written .* make .* writable"):
        write_cog(tmp_path / "absent" / "map.tif", GRID, CLASSES, parts_of(classes))


def test_a_folder_that_cannot_be_written_gives_one_clear_error(unwritable: Path, classes: ByteMask) -> None:
    with pytest.raises(WriteError, match=r"map\.tif: cannot be written .* make .* writable"):
        write_cog(unwritable / "map.tif", GRID, CLASSES, parts_of(classes))
