"""What the values or colours of a public dataset's masks stand for, and masks recoded to this project's labels."""

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

Colour = tuple[int, int, int]

_ROWS = 512
"""Rows read at once: colours need 12 bytes a pixel on the way to labels, and masks have up to 50 million pixels."""

_NAMED = 8
"""An error names at most so many values or colours."""


@dataclass(frozen=True)
class Meaning:
    """One class of a public dataset.

    Attributes:
        value: Its value in a mask of one band, or its red, green and blue in a mask of three.
        name: What the dataset's authors call it.
        label: OTHER, CROPLAND or IGNORE.
    """

    value: int | Colour
    name: str
    label: int


@dataclass(frozen=True)
class Legend:
    """What a dataset's masks hold.

    Attributes:
        meanings: Every class, all of them values or all of them colours.
        threshold: Colours of lossy masks: below it a channel counts as 0, from it on as 255.
    """

    meanings: tuple[Meaning, ...]
    threshold: int | None = None

    @property
    def bands(self) -> int:
        """Bands of a mask: 1 with values, 3 with colours."""
        return 1 if isinstance(self.meanings[0].value, int) else 3


def read_labels(path: Path, legend: Legend) -> ByteMask:
    """A public mask as labels, (H, W): OTHER, CROPLAND or IGNORE.

    Args:
        path: The mask.
        legend: What it holds.

    Raises:
        RasterError: It cannot be read.
        DatasetError: It has other bands than the legend, or a value or colour that the legend does not know.
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
    """The legend's codes in ascending order, and the label of each."""
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
            f"{dataset.name}: has {len(bands)} bands of {dataset.dtypes[0]}, but this dataset's masks hold {wanted}; "
            "check that --source and --input belong together"
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
        f"{path}: holds the {kind}s {listed(values, _NAMED)}, which stand for no class of this dataset; wanted "
        f"{listed([meaning.value for meaning in legend.meanings], _NAMED)}; fetch the file again, or check --source"
    )
