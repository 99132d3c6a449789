"""Mosaic of a dataset's tiles, of whose blocks a given share holds no cropland."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio

from seg.data.dataset.catalogue import Scene
from seg.errors import DatasetError
from seg.labels import CROPLAND
from seg.raster.chips import whole
from seg.raster.classes import read_classes
from seg.raster.grid import open_raster
from seg.raster.windows import window_grid

BLOCK = 1024
"""Side of a block of the mosaic in pixels."""

TILE = 256
"""Side of the tiles in a block with cropland, in pixels."""

PATCH = 64
"""Side in pixels of the patches without cropland that fill the other blocks. Datasets of fields hold few larger squares
without cropland."""


@dataclass(frozen=True)
class Tile:
    """An image with its labels.

    Attributes:
        image: (C, H, W) stored values.
        mask: (H, W) uint8 labels.
    """

    image: npt.NDArray[np.generic]
    mask: npt.NDArray[np.uint8]


def read_tile(scene: Scene) -> Tile:
    """Read a scene of a dataset as a whole.

    Raises:
        RasterError: A file cannot be read.
    """
    with open_raster(scene.image) as image, open_raster(scene.mask) as mask:
        return Tile(image.read(), read_classes(mask, whole(mask), scene.labels))


def patches_without_cropland(tiles: Sequence[Tile], side: int = PATCH) -> list[Tile]:
    """Squares of tiles that hold no cropland and no pixel without a label.

    Raises:
        DatasetError: No square of this size is free of cropland.
    """
    found = []
    for tile in tiles:
        height, width = tile.mask.shape
        for window in window_grid(height, width, side, side):
            rows, columns = window.toslices()
            labels = tile.mask[rows, columns]
            if labels.shape == (side, side) and not labels.any():
                found.append(Tile(tile.image[:, rows, columns], labels))
    if not found:
        raise DatasetError(f"no square of {side} x {side} pixels of {len(tiles)} tiles is without cropland")
    return found


def empty_blocks(side: int, share: float, scattered: bool) -> npt.NDArray[np.bool_]:
    """(side, side) True for the blocks of a mosaic that hold no cropland.

    Args:
        side: Number of blocks along each side.
        share: Share of the blocks without cropland, 0 to 1.
        scattered: Put these blocks at random places; otherwise they fill the upper rows, as a desert or a forest would.
    """
    blocks = np.arange(side**2) < round(share * side**2)
    if scattered:
        blocks = np.random.default_rng(0).permutation(blocks)
    return blocks.reshape(side, side)


def write_mosaic(path: Path, tiles: Sequence[Tile], empty: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """Write a mosaic as a tiled, deflated GeoTIFF, and return its labels.

    A block without cropland is a patch without cropland that is mirrored until it fills the block. A block with
    cropland consists of random tiles, each turned and flipped at random.

    Args:
        path: The GeoTIFF.
        tiles: Tiles of at least one size; a smaller tile than TILE is mirrored, a larger one is cut.
        empty: Blocks without cropland, as from `empty_blocks`.
    """
    random = np.random.default_rng(0)
    patches = patches_without_cropland(tiles)
    with_cropland = [tile for tile in tiles if (tile.mask == CROPLAND).any()]
    height, width = (length * BLOCK for length in empty.shape)
    labels = np.zeros((height, width), np.uint8)
    first = tiles[0].image
    profile = {"driver": "GTiff", "height": height, "width": width, "count": len(first), "dtype": first.dtype.name}
    layout = {"tiled": True, "blockxsize": TILE, "blockysize": TILE, "compress": "deflate"}
    place = {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 500_000, 0, -10, 5_000_000)}
    with rasterio.open(path, "w", **profile, **layout, **place) as dataset:
        for window in window_grid(height, width, TILE, TILE):
            row, column = window.row_off // BLOCK, window.col_off // BLOCK
            if empty[row, column]:
                # The same patch in the whole block: its place in the list follows from the block's place.
                tile = patches[int(row * empty.shape[1] + column) % len(patches)]
            else:
                tile = _turned(with_cropland[int(random.integers(len(with_cropland)))], int(random.integers(8)))
            tile = Tile(_filling(tile.image), _filling(tile.mask[None])[0])
            dataset.write(tile.image, window=window)
            rows, columns = window.toslices()
            labels[rows, columns] = tile.mask
    return labels


def _turned(tile: Tile, turn: int) -> Tile:
    image, mask = (np.rot90(array, turn % 4, (-2, -1)) for array in (tile.image, tile.mask))
    return Tile(image[..., ::-1], mask[..., ::-1]) if turn >= 4 else Tile(image, mask)


def _filling(layers: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Layers of TILE x TILE pixels, mirrored at their lower and right edges or cut."""
    missing = [max(TILE - length, 0) for length in layers.shape[1:]]
    padded = np.pad(layers, ((0, 0), (0, missing[0]), (0, missing[1])), mode="symmetric")
    return padded[:, :TILE, :TILE]
