"""Scenes of several products: one scene for each input of a composite, or one scene with the bands of several dates."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from seg.errors import ConfigError, RasterError
from seg.files import make_output_folder, remove_if_empty, require_output_file, short_hash, writing
from seg.imagery.masks import MASK
from seg.imagery.product import Product
from seg.imagery.recognition import provider_products
from seg.imagery.scene import BANDS, VRT, write_scene
from seg.imagery.settings import NO_MASK, MaskSettings, SceneSettings
from seg.raster.folder import named_scenes
from seg.raster.writing.date_stack import write_date_stack

SCENES, DATES = ".scenes", ".dates"
"""Endings of the folders beside an output that hold scenes of its products. Commands that read a folder ignore its
inner folders, so they do not find these scenes."""

_OWN_FILE = re.compile(rf".+\.[0-9a-f]{{16}}(\.[^.]+)?({VRT}|{MASK}|{BANDS})")
"""Names of the files of a composite's scenes; the digits are those of `short_hash`."""


@contextmanager
def scenes_of(
    inputs: Sequence[Path], output: Path, bands: Sequence[int | str] | None, masking: MaskSettings
) -> Iterator[list[Path]]:
    """Scenes of several inputs in order; a product becomes a VRT in the folder `<stem of the output>.scenes`.

    The folder is removed if the context ends without an error. After an interruption it stays, and the next command
    with the same settings uses its scenes again.

    Args:
        inputs: Products, STAC items, rasters, folders of rasters, patterns or lists of rasters.
        output: The file that will be made of the scenes.
        bands: Bands to use; bands of products are given by name. None for all bands.
        masking: Masks of products.

    Raises:
        ConfigError: Bands of products are numbers, or a mask is wanted for rasters.
        RasterError: An input cannot be read.
        WriteError: A scene cannot be written.
    """
    found: list[Path] = []
    for path in inputs:
        products = provider_products(path)
        if products:
            found += [_scene_of(product, output, bands, masking) for product in products]
            continue
        if masking.mask != NO_MASK:
            raise ConfigError(
                f"{path}: is not a product, so --mask={masking.mask} does not apply; first make scenes with masks by "
                "prepare.py image, or leave --mask out"
            )
        found += named_scenes([path]).scenes
    yield found
    _remove_scenes(output.with_name(output.stem + SCENES))


def _remove_scenes(folder: Path) -> None:
    """Remove the scenes of products in a folder, and the folder unless it holds other files."""
    if folder.is_symlink() or not folder.is_dir():
        return
    with writing(folder):
        for path in folder.iterdir():
            if _OWN_FILE.fullmatch(path.name):
                path.unlink()
    remove_if_empty(folder)


def write_dates(products: Sequence[Product], output: Path, settings: SceneSettings, masking: MaskSettings) -> list[str]:
    """Write a VRT with the bands of several dates, such as B04@2024-05-11, and return the names of the bands.

    The scene of each date is written to the folder `<stem of the output>.dates`, to which the VRT refers.

    Args:
        products: One product of each date, all on one grid.
        output: The .vrt file; an older file is replaced.
        settings: Bands, grid and units.
        masking: Masks of the scenes.

    Raises:
        ConfigError: The output has another suffix or cannot be written.
        RasterError: A product has no date, two have the same date, or they do not fit each other.
        WriteError: A file cannot be written.
    """
    require_output_file(output, (VRT,))
    dated: dict[str, Product] = {}
    for product in products:
        date = "" if product.date is None else product.date.strftime("%Y-%m-%d")
        if not date or date in dated:
            has = f"is of {date}, like {dated[date].name}" if date else "has no date"
            raise RasterError(
                f"{product.path}: {has}; wanted one product of each date, so combine tiles of one date with "
                "prepare.py composite"
            )
        dated[date] = product
    folder = output.with_name(output.stem + DATES)
    make_output_folder(folder)
    scenes = {date: folder / f"{date}{VRT}" for date in sorted(dated)}
    for date, scene in scenes.items():
        write_scene(dated[date], scene, settings, masking)
    return write_date_stack(output, scenes)


def _scene_of(product: Product, output: Path, bands: Sequence[int | str] | None, masking: MaskSettings) -> Path:
    names = [band for band in bands or () if isinstance(band, str)]
    if len(names) < len(bands or ()):
        raise ConfigError(
            f"{product.path}: --bands holds numbers; wanted names, since bands of a product are chosen by name"
        )
    require_output_file(output)
    folder = output.with_name(output.stem + SCENES)
    make_output_folder(folder)
    key = short_hash(repr((str(product.path), names, masking)))
    scene = folder / f"{product.name}.{key}{VRT}"
    if not scene.exists():
        write_scene(product, scene, SceneSettings(bands=names or None), masking)
    return scene
