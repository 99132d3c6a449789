"""Burn vector labels into a mask for an image, or for each image of a folder."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seg.data.dataset.checks import LabelCounts
from seg.errors import DatasetError, IncompleteError, NoOverlapError, SegError
from seg.files import claimed, make_output_folder, require_output_file
from seg.labels import CROPLAND, IGNORE, OTHER
from seg.raster.folder import GEOTIFF_SUFFIXES, RASTER_SUFFIXES, by_stem, files_in
from seg.raster.grid import Grid, read_grid
from seg.raster.sources import require_apart, require_own_raster
from seg.raster.vectors.burning import WINDOW, burnt_windows, label_layers, write_mask
from seg.raster.vectors.features import VectorLabels
from seg.raster.vectors.placing import Parcels, missed, read_parcels
from seg.raster.vectors.settings import BurnSettings
from seg.terminal.progress import with_progress
from seg.terminal.text import counted

NO_PARCELS = Parcels(np.empty(0, dtype=object), np.empty(0, dtype=np.uint8), 0)


@dataclass(frozen=True)
class BurntMask:
    """Summary of a written mask.

    Attributes:
        path: The mask.
        features: Number of polygons burnt into the mask; a multipolygon counts once.
        counts: Pixels by label.
        missed: Number of polygons that cover no pixel centre and are not in the mask.
    """

    path: Path
    features: int
    counts: LabelCounts
    missed: int = 0

    def __str__(self) -> str:
        counts = self.counts
        pixels = counts.other + counts.cropland + counts.ignored
        return (
            f"{self.path}: {counted(self.features, 'polygon')}, "
            f"{100 * counts.cropland / pixels:.1f} % cropland, {100 * counts.ignored / pixels:.1f} % ignore"
        )

    @property
    def note(self) -> str | None:
        """Note about polygons that are not in the mask; None if there are none."""
        if not self.missed:
            return None
        cover = "polygon covers" if self.missed == 1 else "polygons cover"
        return (
            f"{self.path}: {self.missed} {cover} no pixel centre and had no effect; --all-touched=true burns every "
            "pixel that a polygon touches"
        )


def burn_masks(image: Path, labels: VectorLabels, output: Path, settings: BurnSettings) -> Iterator[BurntMask]:
    """Write the mask of an image, or of every image in a folder, and yield each complete mask.

    Labels are read for one image at a time. If some images of a folder have polygons and an image has none, all pixels
    of that image's mask get the label for ground outside polygons. If one image fails, the others are still processed.

    Args:
        image: A raster, or a folder of rasters.
        labels: Polygons.
        output: The .tif file of the mask. For a folder of images, the folder of the masks; each mask has the stem of
            its image.
        settings: Settings of burning.

    Raises:
        DatasetError: The folder holds no image, or two images with the same stem.
        ConfigError: The output has a wrong name, cannot be created, or is one of the inputs; or another program wrote a
            mask in the output folder.
        ClaimError: Another process writes the output.
        RasterError: The image has no georeference, or no label lies on it. For a folder, no label lies on any image.
        WriteError: The mask cannot be written.
        IncompleteError: Some images of a folder failed; the masks of all other images are written.
    """
    outputs = _outputs(image, output)
    if image.is_dir():
        make_output_folder(output)
    for mask in outputs.values():
        require_output_file(mask, GEOTIFF_SUFFIXES)
    require_apart(outputs.values(), [*outputs, labels.path])
    if image.is_dir():
        with claimed(output):
            for mask in outputs.values():
                require_own_raster(mask)
            yield from _burn_each(outputs, labels, settings)
    else:
        yield _burn(read_grid(image), labels, output, settings)


def _burn_each(outputs: Mapping[Path, Path], labels: VectorLabels, settings: BurnSettings) -> Iterator[BurntMask]:
    outside: dict[Path, NoOverlapError] = {}
    failed: list[SegError] = []
    burnt = 0
    for path, mask in outputs.items():
        try:
            yield _burn(read_grid(path), labels, mask, settings)
            burnt += 1
        except NoOverlapError as error:
            outside[path] = error
        except SegError as error:
            failed.append(error)
    if outside and not burnt:
        # If no polygon lies on any image, the polygons belong to another region or have a wrong CRS. Masks without
        # cropland would then be wrong.
        raise next(iter(outside.values()))
    for path in outside:
        yield _write(read_grid(path), NO_PARCELS, outputs[path], settings)
    if len(failed) == len(outputs):
        raise failed[0]
    if failed:
        reasons = "; ".join(str(error) for error in failed)
        raise IncompleteError(f"{len(failed)} of {counted(len(outputs), 'image')} got no mask: {reasons}")


def _burn(grid: Grid, labels: VectorLabels, output: Path, settings: BurnSettings) -> BurntMask:
    return _write(grid, read_parcels(labels, grid, settings.ignore_buffer), output, settings)


def _write(grid: Grid, parcels: Parcels, output: Path, settings: BurnSettings) -> BurntMask:
    windows = burnt_windows(label_layers(parcels, settings), grid, settings.outside_label)
    total = -(-grid.height // WINDOW) * -(-grid.width // WINDOW)
    counts = write_mask(output, grid, with_progress(windows, f"burning {output.name}", total))
    labels = LabelCounts(int(counts[OTHER]), int(counts[CROPLAND]), int(counts[IGNORE]))
    return BurntMask(output, parcels.features, labels, 0 if settings.all_touched else missed(parcels.polygons, grid))


def _outputs(image: Path, output: Path) -> dict[Path, Path]:
    """Path of the mask of each image."""
    if not image.is_dir():
        return {image: output}
    images = by_stem(files_in(image))
    if not images:
        raise DatasetError(f"{image}: holds no image; wanted files ending in {', '.join(RASTER_SUFFIXES)}")
    return {path: output / f"{stem}.tif" for stem, path in images.items()}
