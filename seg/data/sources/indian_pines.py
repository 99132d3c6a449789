"""Indian Pines (AVIRIS, 12 June 1992) as a small cropland dataset, from files in the package tensorly."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.crs import CRS
from rasterio.windows import Window

from seg.data.dataset.manifest import MANIFEST, write_manifest
from seg.data.sources.indian_pines_readme import CITATION, LICENCE, NOMINAL, TITLE, readme
from seg.data.sources.replace import README, replaced_dataset
from seg.data.splitting.folds import FoldSummary, summarise_folds
from seg.data.splitting.irregular_blocks import (
    NO_FOLD,
    BlockRule,
    assign_folds,
    block_labels,
    fold_raster,
    irregular_blocks,
)
from seg.errors import DatasetError
from seg.labels import CROPLAND, IGNORE, LABEL_COLOURS, OTHER
from seg.raster.writing.geotiff import Annotation, Georeference, write_geotiff

SIZE = 145
CHANNELS = 200

BANDS: dict[str, tuple[int, float]] = {
    "blue": (10, 488.41),
    "green": (17, 557.49),
    "red": (28, 666.61),
    "nir": (48, 841.04),
}
"""AVIRIS channel, from 1 to 220, and its centre in nm (spectral calibration 92AV3C.spc).

These channels are nearest to the bands of Sentinel-2 at 490, 560, 665 and 842 nm. The files lack channels 104-108,
150-163 and 220 (water absorption). All four channels come before the first gap, so channel n has index n - 1.
"""

CLASSES: tuple[tuple[str, int], ...] = (
    ("unlabelled", IGNORE),
    ("alfalfa", CROPLAND),
    ("corn, no till", CROPLAND),
    ("corn, minimum till", CROPLAND),
    ("corn", CROPLAND),
    ("grass, pasture", OTHER),
    ("grass, trees", OTHER),
    ("grass, pasture, mowed", OTHER),
    ("hay, windrowed", CROPLAND),
    ("oats", CROPLAND),
    ("soybean, no till", CROPLAND),
    ("soybean, minimum till", CROPLAND),
    ("soybean, clean till", CROPLAND),
    ("wheat", CROPLAND),
    ("woods", OTHER),
    ("buildings, grass, trees, drives", OTHER),
    ("stone and steel towers", OTHER),
)
"""Name and label of each ground class, in the order of their numbers in the reference."""

GEOREFERENCE = Georeference(CRS.from_epsg(32616), Affine(20.0, 0.0, 498_560.0, 0.0, -20.0, 4_480_260.0))
"""Nominal georeference: a north-up scene of 2.9 km, centred near 40.46 N, 87.0 W."""

RULE = BlockRule(minimum=24, maximum=61, guard=2)
FOLDS = 5
SEED = 234
"""This seed gives the most blocks among all seeds below 500 that satisfy these conditions:

- every block has at least 20 labels;
- the blocks have at least 7 heights, 7 widths and 16 sizes, a mean side of 28 to 32, and a largest height and width
  above 44;
- each fold has 1600 to 2050 labelled pixels with a cropland share of 0.63 to 0.77.

No model was used for the choice.
"""

SCENE, SCENE_MASK, SCENE_FOLDS = "scene.tif", "scene_mask.tif", "scene_folds.tif"


def write_indian_pines(output: Path) -> list[FoldSummary]:
    """Write the dataset in place of any older copy, and return a summary of each fold.

    Args:
        output: Folder of the dataset; its parent must exist.

    Raises:
        ConfigError: The output is a file, its parent is missing, or it is read-only.
        DatasetError: tensorly is missing or has other files, or the output cannot be written or holds other files.
    """
    image, mask = read_indian_pines()
    blocks = irregular_blocks(SIZE, SIZE, RULE, SEED)
    folds = assign_folds(blocks, mask, FOLDS, SEED)
    fold_of_pixel = fold_raster(blocks, folds, SIZE, SIZE)
    summaries = summarise_folds(zip(folds, block_labels(blocks, mask), strict=True), FOLDS)
    with replaced_dataset(output, TITLE, frozenset({SCENE, SCENE_MASK, SCENE_FOLDS})) as folder:
        _write_image(folder / SCENE, image, GEOREFERENCE)
        _write_mask(folder / SCENE_MASK, mask, GEOREFERENCE)
        annotation = Annotation(nodata=NO_FOLD, descriptions=["fold"], tags=_tags())
        write_geotiff(folder / SCENE_FOLDS, fold_of_pixel, GEOREFERENCE, annotation)
        _write_blocks(folder, image, mask, blocks)
        rows = [(_image_name(index), _mask_name(index), fold) for index, fold in enumerate(folds)]
        write_manifest(folder / MANIFEST, rows)
        (folder / README).write_text(readme(BANDS, CLASSES, RULE.guard, summaries), encoding="utf-8")
    return summaries


def read_indian_pines() -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """Read the image (4, 145, 145) in stored units and the mask (145, 145) of label values.

    Raises:
        DatasetError: tensorly is missing or has other files.
    """
    cube = _load("Indian_pines_corrected.npy", (SIZE, SIZE, CHANNELS), np.dtype(np.uint16))
    classes = _load("Indian_pines_gt.npy", (SIZE, SIZE), np.dtype(np.uint8))
    if classes.max() >= len(CLASSES):
        raise DatasetError(f"Indian_pines_gt.npy: has class {classes.max()}; wanted 0 to {len(CLASSES) - 1}")
    indices = [channel - 1 for channel, _ in BANDS.values()]
    labels = np.array([label for _, label in CLASSES], dtype=np.uint8)
    return np.ascontiguousarray(np.moveaxis(cube[..., indices], -1, 0)), labels[classes]


def data_folder() -> Path:
    """Folder of the data files in tensorly, found without importing tensorly.

    Raises:
        DatasetError: tensorly is not installed.
    """
    spec = find_spec("tensorly")
    if spec is None or not spec.submodule_search_locations:
        raise DatasetError(
            "Indian Pines is part of the package tensorly, which is not installed; "
            'run: pip install "cropland-seg[demo]"'
        )
    return Path(next(iter(spec.submodule_search_locations))) / "datasets" / "data"


def _load(name: str, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    path = data_folder() / name
    advice = 'run: pip install --force-reinstall "cropland-seg[demo]"'
    try:
        array: NDArray[np.generic] = np.load(path, allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        raise DatasetError(f"{path}: cannot be read ({error}); {advice}") from error
    if array.shape != shape or array.dtype != dtype:
        raise DatasetError(f"{path}: has {array.dtype} {array.shape}; wanted {dtype} {shape}; {advice}")
    return array


def _write_blocks(folder: Path, image: NDArray[np.uint16], mask: NDArray[np.uint8], blocks: Sequence[Window]) -> None:
    (folder / "images").mkdir()
    (folder / "masks").mkdir()
    for index, block in enumerate(blocks):
        rows, columns = block.toslices()
        # rasterio.windows.transform multiplies in a way that affine 3 warns about.
        corner = GEOREFERENCE.transform @ Affine.translation(block.col_off, block.row_off)
        place = Georeference(GEOREFERENCE.crs, corner)
        _write_image(folder / _image_name(index), image[:, rows, columns], place)
        _write_mask(folder / _mask_name(index), mask[rows, columns], place)


def _image_name(index: int) -> str:
    return f"images/block_{index:02d}.tif"


def _mask_name(index: int) -> str:
    return f"masks/block_{index:02d}.tif"


def _write_image(path: Path, image: NDArray[np.uint16], place: Georeference) -> None:
    bands = [{"AVIRIS_CHANNEL": str(channel), "WAVELENGTH_NM": str(centre)} for channel, centre in BANDS.values()]
    write_geotiff(path, image, place, Annotation(descriptions=list(BANDS), tags=_tags(), band_tags=bands))


def _write_mask(path: Path, mask: NDArray[np.uint8], place: Georeference) -> None:
    annotation = Annotation(nodata=IGNORE, descriptions=["cropland"], tags=_tags(), colours=LABEL_COLOURS)
    write_geotiff(path, mask, place, annotation)


def _tags() -> dict[str, str]:
    return {"GEOREFERENCE": NOMINAL, "SOURCE": CITATION, "LICENCE": LICENCE}
