"""Cloud classes from OmniCloudMask, a network for any sensor: https://github.com/DPIRD-DMA/OmniCloudMask.

The package is an extra (`pip install .[clouds]`). Its weights are read from a folder and never downloaded.
"""

import csv
from importlib import resources, util
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.io import DatasetReader
from rasterio.windows import Window

from seg.errors import ConfigError, listed
from seg.raster.chips import Reading, read_chip
from seg.raster.grid import open_raster, read_grid
from seg.raster.writing.geotiff import byte_profile

BANDS = ["red", "green", "nir"]
"""Common names of the bands that the network reads, in its order."""

HIDDEN = (1, 2, 3)
"""Masked classes: thick cloud, thin cloud, cloud shadow. Class 0 is clear."""

FINEST_M = 10.0
"""Pixel size in metres to which finer scenes are averaged; the network was trained on 10 to 50 m."""

CORE, MARGIN = 2000, 500
"""Side of the windows that are classified at a time, and the context around each, in pixels."""

PATCH, OVERLAP = 1000, 300
"""Side and overlap of the network's patches in pixels, as recommended by its authors."""

SMALLEST = 64
"""Smallest side of a patch in pixels; smaller windows are padded with nodata."""

_PACKAGE = "omnicloudmask"


def classify_clouds(image: Path, output: Path, weights: Path | None) -> None:
    """Write the class of each pixel as a GeoTIFF of uint8, window by window.

    Args:
        image: A raster with red, green and near infrared, in this order.
        output: The GeoTIFF.
        weights: Folder with the weights of one version of the network.

    Raises:
        ConfigError: The package is not installed, or the folder lacks the weights of the network.
        RasterError: The image cannot be read.
    """
    version = _version(weights)
    grid = read_grid(image)
    profile = byte_profile(grid, 0) | {"nodata": None, "blockxsize": 256, "blockysize": 256}
    with open_raster(image) as dataset, rasterio.open(output, "w", **profile) as written:
        for top in range(0, grid.height, CORE):
            for left in range(0, grid.width, CORE):
                core = Window(left, top, min(CORE, grid.width - left), min(CORE, grid.height - top))
                written.write(_classes(dataset, core, str(weights), version), 1, window=core)


def _version(weights: Path | None) -> float:
    """Newest version of the network whose files are all in the folder.

    Raises:
        ConfigError: The package is not installed, or no version is complete.
    """
    if util.find_spec(_PACKAGE) is None:
        raise ConfigError(
            f"--mask is {_PACKAGE}: the package {_PACKAGE} is not installed; install it with pip install .[clouds], or "
            "use --mask=auto or a mask file"
        )
    with (resources.files(_PACKAGE) / "model_download_links.csv").open(encoding="utf-8") as index:
        rows = list(csv.DictReader(index))
    files: dict[float, list[str]] = {}
    for row in rows:
        files.setdefault(float(row["version"]), []).append(row["file_name"])
    complete = [version for version, names in files.items() if weights and all((weights / n).is_file() for n in names)]
    if not complete:
        raise ConfigError(
            f"--mask-weights is {weights}: wanted a folder with {listed(files[max(files)])}; download these files from "
            "https://huggingface.co/NickWright/OmniCloudMask"
        )
    return max(complete)


def _classes(dataset: DatasetReader, core: Window, weights: str, version: float) -> npt.NDArray[np.uint8]:
    """Classes of the (H, W) pixels of a window, computed with context."""
    from omnicloudmask import predict_from_array

    top, left = max(core.row_off - MARGIN, 0), max(core.col_off - MARGIN, 0)
    bottom = min(core.row_off + core.height + MARGIN, dataset.height)
    right = min(core.col_off + core.width + MARGIN, dataset.width)
    chip = read_chip(dataset, Window(left, top, right - left, bottom - top), Reading([1, 2, 3], [0.0] * 3))
    row, column = core.row_off - top, core.col_off - left
    if not chip.valid.any():
        return np.zeros((core.height, core.width), np.uint8)
    # The network takes 0 in all bands as nodata, so a valid 0 becomes 1.
    image = np.where(chip.valid & (chip.image == 0), 1, chip.image)
    short = [max(SMALLEST - side, 0) for side in image.shape[1:]]
    image = np.pad(image, ((0, 0), (0, short[0]), (0, short[1])))
    patch = min(PATCH, *image.shape[1:])
    found = predict_from_array(
        image,
        patch_size=patch,
        patch_overlap=min(OVERLAP, patch // 2),
        no_data_value=0,
        destination_model_dir=weights,
        model_version=version,
    )
    return np.asarray(found[0, row : row + core.height, column : column + core.width], dtype=np.uint8)
