"""Burn vector labels into a mask for an image, or for each image of a folder."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from seg.data.dataset.checks import LabelCounts
from seg.errors import DatasetError
from seg.files import make_output_folder, require_output_file
from seg.labels import CROPLAND, IGNORE, OTHER
from seg.raster.folder import GEOTIFF_SUFFIXES, RASTER_SUFFIXES, by_stem, files_in
from seg.raster.grid import Grid, read_grid
from seg.raster.sources import require_apart
from seg.raster.vectors.burning import WINDOW, burnt_windows, label_layers, write_mask
from seg.raster.vectors.features import VectorLabels
from seg.raster.vectors.placing import read_parcels, require_georeference
from seg.raster.vectors.settings import BurnSettings
from seg.terminal.progress import with_progress
from seg.terminal.text import counted


@dataclass(frozen=True)
class BurntMask:
    """Summary of a written mask.

    Attributes:
        path: The mask.
        features: Number of polygons on the mask; a multipolygon counts once.
        counts: Pixels by label.
    """

    path: Path
    features: int
    counts: LabelCounts

    def __str__(self) -> str:
        counts = self.counts
        pixels = counts.other + counts.cropland + counts.ignored
        return (
            f"{self.path}: {counted(self.features, 'polygon')}, "
            f"{100 * counts.cropland / pixels:.1f} % cropland, {100 * counts.ignored / pixels:.1f} % ignore"
        )


def burn_masks(image: Path, labels: VectorLabels, output: Path, settings: BurnSettings) -> Iterator[BurntMask]:
    """Write the mask of an image, or of every image in a folder, and yield each complete mask.

    Opens all images before it writes the first mask, and reads the labels of one image at a time.

    Args:
        image: A raster, or a folder of rasters.
        labels: Polygons.
        output: The .tif file of the mask; for a folder, the folder of the masks, which get the stems of their images.
        settings: Settings of burning.

    Raises:
        DatasetError: The folder holds no image, or two images with one stem.
        ConfigError: The output has a wrong name, cannot be made, or is one of the inputs.
        RasterError: An image has no georeference, no label lies on it, or a mask cannot be written.
    """
    outputs = _outputs(image, output)
    grids = {path: read_grid(path) for path in outputs}
    for grid in grids.values():
        require_georeference(grid)
    if image.is_dir():
        make_output_folder(output)
    for mask in outputs.values():
        require_output_file(mask, GEOTIFF_SUFFIXES)
    require_apart(outputs.values(), [*grids, labels.path])
    for path, grid in grids.items():
        yield _burn(grid, labels, outputs[path], settings)


def _burn(grid: Grid, labels: VectorLabels, output: Path, settings: BurnSettings) -> BurntMask:
    parcels = read_parcels(labels, grid, settings.ignore_buffer)
    windows = burnt_windows(label_layers(parcels, settings), grid, settings.outside_label)
    total = -(-grid.height // WINDOW) * -(-grid.width // WINDOW)
    counts = write_mask(output, grid, with_progress(windows, f"burning {output.name}", total))
    return BurntMask(
        output, parcels.features, LabelCounts(int(counts[OTHER]), int(counts[CROPLAND]), int(counts[IGNORE]))
    )


def _outputs(image: Path, output: Path) -> dict[Path, Path]:
    """Path of the mask of each image."""
    if not image.is_dir():
        return {image: output}
    images = by_stem(files_in(image))
    if not images:
        raise DatasetError(f"{image}: holds no image; wanted files ending in {', '.join(RASTER_SUFFIXES)}")
    return {path: output / f"{stem}.tif" for stem, path in images.items()}
