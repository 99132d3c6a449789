"""Products as inputs of a command that maps scenes: each product becomes a scene beside its map."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from seg.errors import RasterError
from seg.files import make_output_folder
from seg.imagery.product import Product
from seg.imagery.readers.container import LARGEST_METADATA
from seg.imagery.readers.loose import loose_files
from seg.imagery.readers.stac import is_stac
from seg.imagery.recognition import is_product, open_product, open_products
from seg.imagery.scene import VRT, write_scene
from seg.imagery.settings import NO_MASK, MaskSettings, SceneSettings
from seg.raster.folder import Inputs, files_in, named_scenes
from seg.raster.remote import stem_of
from seg.raster.sources import require_own_raster

SCENES = "scenes"
"""Name of the folder for scenes of products. It lies beside the maps and keeps the scenes apart from them."""


@dataclass(frozen=True)
class Wanted:
    """Bands and mask that a command needs of each product.

    Attributes:
        bands: Names of the bands, in order; empty texts where a name is unknown.
        masking: Pixels that become invalid.
    """

    bands: Sequence[str]
    masking: MaskSettings


_ARCHIVED = re.compile(r"S2[A-Z]_|L[A-Z]\d\d_", re.IGNORECASE)
"""Beginning of the names of Sentinel-2 and Landsat products."""


class _Source(NamedTuple):
    """An input: a product that `open` opens, or a scene; `open` is None if the scene is used as it is."""

    path: Path
    name: str
    open: Callable[[], Product] | None


def scenes_of(inputs: Sequence[Path], output: Path, wanted: Wanted) -> Inputs:
    """Find all input scenes, and replace each product by a scene in a folder beside its map.

    The functions in `makers` of the result write these scenes. With a mask, loose scenes are replaced by masked scenes
    too.

    Args:
        inputs: Products, scenes, folders of both, patterns or lists, as for `named_scenes`.
        output: The map, or the folder of the maps.
        wanted: Bands and mask.

    Raises:
        RasterError: A folder, a pattern or a list contains no scene, or a collection of items cannot be read.
    """
    found = [source for path in inputs for source in _sources(path, wanted)]
    if not any(source.open for source in found):
        return named_scenes(inputs)
    alone = len(found) == 1 and len(inputs) == 1 and found[0].path == inputs[0]
    folder = (output.parent if alone and not output.is_dir() else output) / SCENES
    makers: dict[Path, Callable[[], object]] = {}
    scenes = []
    for source in found:
        scenes.append(source.path if source.open is None else folder / f"{source.name}{VRT}")
        if source.open is not None:
            makers[scenes[-1]] = partial(_make, source.open, scenes[-1], wanted)
    return Inputs(scenes, not alone, makers)


def _sources(path: Path, wanted: Wanted) -> Iterator[_Source]:
    for found in _expanded(path):
        if is_stac(found) and is_product(found):
            for product in open_products(found):
                yield _Source(found, _file_name(product.name), partial(_same, product))
        elif is_product(found):
            name = found.name.removesuffix(found.suffix) if found.suffix else found.name
            yield _Source(found, name, partial(open_product, found))
        elif wanted.masking.mask != NO_MASK:
            yield _Source(found, stem_of(found), partial(loose_files, [found]))
        else:
            yield _Source(found, stem_of(found), None)


def _expanded(path: Path) -> list[Path]:
    """Products and scenes that a path names."""
    if is_product(path):
        return [path]
    if not path.is_dir():
        return list(named_scenes([path]).scenes)
    products = _products_in(path)
    return [*products, *files_in(path)] if products else list(named_scenes([path]).scenes)


def _products_in(folder: Path) -> list[Path]:
    """Products in a folder, sorted by name.

    If a product lies beside its archive, the archive does not count. Archives and JSON files that hold no product, such
    as reports, do not count either.
    """
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".") and is_product(entry)]
    found: dict[str, Path] = {}
    for entry in sorted(entries, key=lambda entry: (not entry.is_dir(), entry.name)):
        if entry.is_dir() or (_is_item(entry) if is_stac(entry) else _ARCHIVED.match(entry.name)):
            found.setdefault(entry.name.partition(".")[0], entry)
    return sorted(found.values())


def _is_item(path: Path) -> bool:
    """True if a JSON file names the version of STAC, as each item does."""
    try:
        return path.stat().st_size <= LARGEST_METADATA and b'"stac_version"' in path.read_bytes()
    except OSError:
        return False


def _same(product: Product) -> Product:
    return product


def _file_name(name: str) -> str:
    """A text whose special characters are replaced by "_", so that it can be a file name."""
    return "".join(character if character.isalnum() or character in "-_." else "_" for character in name)


def _make(open_it: Callable[[], Product], scene: Path, wanted: Wanted) -> None:
    """Write the scene of a product, but not over an equal older file: a new file would restart an interrupted map."""
    product = open_it()
    make_output_folder(scene.parent)
    require_own_raster(scene)
    write_scene(product, scene, SceneSettings(bands=_bands(product, wanted.bands)), wanted.masking)


def _bands(product: Product, names: Sequence[str]) -> list[str] | None:
    """Names of the bands to choose; None for all bands.

    None is returned for loose files that lack these names; the command then chooses their bands by number.

    Raises:
        RasterError: The model does not name its bands.
    """
    if all(any(band.is_named(name) for band in product.bands) for name in names):
        return list(names)
    if all(band.quantity == "stored" for band in product.bands):
        return None
    if not all(names):
        raise RasterError(
            f"{product.path}: the model does not name its bands, so they cannot be chosen; make a scene with "
            "prepare.py image --bands=[...] and map the scene"
        )
    return list(names)
