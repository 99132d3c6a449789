"""Copy a scene to a Cloud Optimized GeoTIFF in bounded memory, with nodata where the scene is masked."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from seg.raster.chips import unreadable
from seg.raster.grid import band_texts, open_raster, read_grid
from seg.raster.writing.cog import TILE
from seg.raster.writing.scene_cog import SceneLayout, ScenePart, write_scene_cog

SIDE = 4 * TILE
"""Side of the windows that are copied at a time, in pixels."""


def copy_to_cog(scene: Path, output: Path) -> None:
    """Copy a scene to a COG with its band names, scales, tags and nodata.

    Args:
        scene: The scene.
        output: The .tif file; an older file is replaced.

    Raises:
        RasterError: Pixels of the scene cannot be read.
        WriteError: The file cannot be written.
    """
    grid = read_grid(scene)
    with open_raster(scene) as dataset:
        layout = SceneLayout(
            grid.dtype,
            grid.band_names or ("",) * grid.bands,
            grid.nodata,
            grid.scaling,
            band_texts(dataset, "units"),
            dataset.tags(),
        )
        write_scene_cog(output, grid, layout, _parts(dataset))


def _parts(dataset: DatasetReader) -> Iterator[ScenePart]:
    """Windows with their pixels and validity; pixels that the mask hides hold the nodata value."""
    for top in range(0, dataset.height, SIDE):
        for left in range(0, dataset.width, SIDE):
            window = Window(left, top, min(SIDE, dataset.width - left), min(SIDE, dataset.height - top))
            try:
                pixels, valid = dataset.read(window=window), dataset.read_masks(1, window=window) > 0
            except RasterioError as error:
                raise unreadable(dataset, window, error) from error
            if dataset.nodata is not None:
                pixels[:, ~valid] = np.asarray(dataset.nodata, pixels.dtype)
            yield window, pixels, valid
