"""Bands by index, or by the names stored in the images."""

from collections.abc import Sequence

from seg.data.dataset.catalogue import Scene
from seg.errors import DatasetError
from seg.raster.grid import open_raster

_SHOWN = 20
"""Most band names in an error message; hyperspectral images have hundreds of bands."""


def band_indexes(scenes: Sequence[Scene], bands: Sequence[int | str]) -> list[int]:
    """1-based indexes of bands; a name must have the same index in every image.

    Args:
        scenes: Scenes whose images are searched for the names; not opened if all bands are indexes.
        bands: Indexes, or names as in the band descriptions of the images, in upper or lower case.

    Raises:
        DatasetError: An image lacks a band, has two bands of a name, or a band at another index than the first image.
        RasterError: An image cannot be opened.
    """
    if not any(isinstance(band, str) for band in bands):
        return [band for band in bands if isinstance(band, int)]
    found = [_indexes(scene, bands) for scene in scenes]
    for scene, indexes in zip(scenes, found, strict=True):
        for band, index, first in zip(bands, indexes, found[0], strict=True):
            if index != first:
                raise DatasetError(
                    f"{scene.image}: '{band}' is band {index}, but band {first} in {scenes[0].image}; wanted one order "
                    "in all images, so reorder the bands with gdal_translate -b"
                )
    return found[0]


def _indexes(scene: Scene, bands: Sequence[int | str]) -> list[int]:
    with open_raster(scene.image) as image:
        names = [(name or "").strip() for name in image.descriptions]
    return [band if isinstance(band, int) else _index(scene, names, band) for band in bands]


def _index(scene: Scene, names: Sequence[str], wanted: str) -> int:
    matching = [index for index, name in enumerate(names, start=1) if name.casefold() == wanted.strip().casefold()]
    if len(matching) == 1 and wanted.strip():
        return matching[0]
    given = [name for name in names if name]
    has = f"{len(names)} bands without names" if not given else f"the bands {', '.join(given[:_SHOWN])}"
    has += ", ..." * (len(given) > _SHOWN)
    many = f"{len(matching)} bands named '{wanted}'" if matching else f"no band named '{wanted}'"
    raise DatasetError(f"{scene.image}: has {many} but {has}; set data.bands to names, or to indexes from 1")
