"""Classes of a public dataset's masks, which are values or colours, and the conversion of masks to labels."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from seg.errors import DatasetError, listed
from seg.raster.chips import ByteMask, unreadable
from seg.raster.grid import data_bands, open_raster
from seg.terminal.text import counted

Colour = tuple[int, int, int]

_ROWS = 512
"""Number of rows that are read at once. The conversion of colours needs 12 bytes per pixel, and masks have up to 50
million pixels."""

_NAMED = 8
"""Largest number of values or colours in an error message."""


@dataclass(frozen=True)
class Meaning:
    """One class of a public dataset.

    Attributes:
        value: Value in masks of one band, or red, green and blue in masks of three bands.
        name: Name given by the authors of the dataset.
        label: OTHER, CROPLAND or IGNORE.
    """

    value: int | Colour
    name: str
    label: int


@dataclass(frozen=True)
class Legend:
    """Classes of a dataset's masks.

    Attributes:
        meanings: All classes; either all of them have values, or all have colours.
        threshold: For masks with lossy compression: a channel below the threshold counts as 0, any other channel as
            255. None for other masks.
    """

    meanings: tuple[Meaning, ...]
    threshold: int | None = None

    @property
    def bands(self) -> int:
        """Number of bands of a mask: 1 for values, 3 for colours."""
        return 1 if isinstance(self.meanings[0].value, int) else 3


def read_labels(path: Path, legend: Legend) -> ByteMask:
    """Read a public mask as (H, W) labels: OTHER, CROPLAND or IGNORE.

    Args:
        path: The mask.
        legend: Classes of the mask.

    Raises:
        RasterError: The mask cannot be read.
        DatasetError: The mask has a wrong number of bands, or a value or colour that is not in the legend.
    """
    codes, labels = _table(legend)
    with open_raster(path) as dataset:
        bands = _bands(dataset, legend)
        recoded = np.empty((dataset.height, dataset.width), dtype=np.uint8)
        for top, pixels in _strips(dataset, bands):
            found = _codes(pixels, legend.threshold)
            places = np.minimum(np.searchsorted(codes, found), len(codes) - 1)
            unknown = codes[places] != found
            if unknown.any():
                raise _unknown(path, np.unique(found[unknown]), legend)
            recoded[top : top + found.shape[0]] = labels[places]
    return recoded


def _table(legend: Legend) -> tuple[NDArray[np.int64], ByteMask]:
    """Codes of the legend in ascending order, and the label of each."""
    label_of = {_code(meaning.value): meaning.label for meaning in legend.meanings}
    codes = sorted(label_of)
    return np.array(codes, dtype=np.int64), np.array([label_of[code] for code in codes], dtype=np.uint8)


def _code(value: int | Colour) -> int:
    return value if isinstance(value, int) else value[0] << 16 | value[1] << 8 | value[2]


def _bands(dataset: DatasetReader, legend: Legend) -> list[int]:
    bands = data_bands(dataset)
    coloured = legend.bands == 3
    fits = set(dataset.dtypes) == {"uint8"} if coloured else np.dtype(dataset.dtypes[0]).kind in "iu"
    if len(bands) != legend.bands or not fits:
        wanted = "red, green and blue in uint8" if coloured else "one band of whole class numbers"
        raise DatasetError(
            f"{dataset.name}: has {counted(len(bands), 'band')} of {dataset.dtypes[0]}, but masks of this dataset "
            f"have {wanted}; check that --source and --input belong together"
        )
    return bands


def _strips(dataset: DatasetReader, bands: list[int]) -> Iterator[tuple[int, NDArray[np.integer]]]:
    for top in range(0, dataset.height, _ROWS):
        window = Window(0, top, dataset.width, min(_ROWS, dataset.height - top))
        try:
            pixels = dataset.read(bands, window=window)
        except RasterioError as error:
            raise unreadable(dataset, window, error) from error
        yield top, pixels


def _codes(pixels: NDArray[np.integer], threshold: int | None) -> NDArray[np.int64]:
    if threshold is not None:
        pixels = np.where(pixels < threshold, 0, 255)
    channels = pixels.astype(np.int64)
    codes: NDArray[np.int64] = channels[0]
    for channel in channels[1:]:
        codes = codes << 8 | channel
    return codes


def _unknown(path: Path, codes: NDArray[np.int64], legend: Legend) -> DatasetError:
    kind = "value" if legend.bands == 1 else "colour"
    values = [code if legend.bands == 1 else (code >> 16, code >> 8 & 255, code & 255) for code in codes.tolist()]
    return DatasetError(
        f"{path}: has the {kind}s {listed(values, _NAMED)}, which are not classes of this dataset; wanted "
        f"{listed([meaning.value for meaning in legend.meanings], _NAMED)}; download the file again, or check --source"
    )
