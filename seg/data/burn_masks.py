"""Make the masks of images from vector labels: which file becomes which, and what each mask holds."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track

from seg.data.dataset.catalogue import RASTER_SUFFIXES
from seg.data.dataset.checks import LabelCounts
from seg.errors import DatasetError
from seg.labels import CROPLAND, IGNORE, OTHER
from seg.raster.grid import Grid, read_grid
from seg.raster.vectors.burning import WINDOW, burnt_windows, write_mask
from seg.raster.vectors.features import VectorLabels
from seg.raster.vectors.layers import label_layers
from seg.raster.vectors.placing import read_parcels, require_georeference
from seg.raster.vectors.settings import BurnSettings

MASK_SUFFIXES = {".tif", ".tiff"}


@dataclass(frozen=True)
class BurntMask:
    """A mask that was written.

    Attributes:
        path: The mask.
        features: Polygons on it; one of several parts counts once.
        counts: Its pixels by label.
    """

    path: Path
    features: int
    counts: LabelCounts

    def __str__(self) -> str:
        counts = self.counts
        pixels = counts.other + counts.cropland + counts.ignored
        return (
            f"{self.path}: {self.features} polygon{'' if self.features == 1 else 's'}, "
            f"{100 * counts.cropland / pixels:.1f} % cropland, {100 * counts.ignored / pixels:.1f} % ignore"
        )


def burn_masks(image: Path, labels: VectorLabels, output: Path, settings: BurnSettings) -> Iterator[BurntMask]:
    """Write the mask of an image, or of every image in a folder, and yield each when it is complete.

    All images are opened before the first mask is written; labels are read for each image when it comes.

    Args:
        image: A raster, or a folder of them.
        labels: The labels.
        output: The mask, a .tif; for a folder, the folder of the masks, which get the stems of their images.
        settings: How they are burnt.

    Raises:
        DatasetError: The folder holds no image or two of one stem, or the output would replace an input.
        RasterError: An image lies nowhere, no label lies on it, or a mask cannot be written.
    """
    outputs = _outputs(image, output)
    grids = {path: read_grid(path) for path in outputs}
    for path, grid in grids.items():
        require_georeference(grid)
        if _same_file(outputs[path], path) or _same_file(outputs[path], labels.path):
            raise DatasetError(f"{outputs[path]}: is an input, which the mask would replace; choose another --output")
    if image.is_dir():
        _make_folder(output)
    for path, grid in grids.items():
        yield _burn(grid, labels, outputs[path], settings)


def _burn(grid: Grid, labels: VectorLabels, output: Path, settings: BurnSettings) -> BurntMask:
    parcels = read_parcels(labels, grid, settings.ignore_buffer)
    windows = burnt_windows(label_layers(parcels, settings), grid, settings.outside_label)
    console = Console(stderr=True)
    total = -(-grid.height // WINDOW) * -(-grid.width // WINDOW)
    shown = track(
        windows, f"Burning {output.name}", total, console=console, transient=True, disable=not console.is_terminal
    )
    counts = write_mask(output, grid, shown)
    return BurntMask(
        output, parcels.features, LabelCounts(int(counts[OTHER]), int(counts[CROPLAND]), int(counts[IGNORE]))
    )


def _outputs(image: Path, output: Path) -> dict[Path, Path]:
    """The mask of each image."""
    if image.is_dir():
        return _outputs_of_folder(image, output)
    if output.is_dir():
        raise DatasetError(f"{output}: is a folder, but {image} is one image; name a .tif file for its mask")
    if output.suffix.lower() not in MASK_SUFFIXES:
        raise DatasetError(f"{output}: masks are GeoTIFF; name a .tif file (or a folder for a folder of images)")
    if not output.parent.is_dir():
        raise DatasetError(f"{output}: its folder {output.parent} does not exist; make it first")
    return {image: output}


def _outputs_of_folder(folder: Path, output: Path) -> dict[Path, Path]:
    images = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in RASTER_SUFFIXES]
    if not images:
        raise DatasetError(f"{folder}: holds no image; wanted files ending in {', '.join(sorted(RASTER_SUFFIXES))}")
    by_stem: dict[str, Path] = {}
    for path in images:
        if by_stem.setdefault(path.stem, path) != path:
            raise DatasetError(f"{path}: shares its stem with {by_stem[path.stem].name}; rename one of them")
    return {path: output / f"{stem}.tif" for stem, path in by_stem.items()}


def _make_folder(output: Path) -> None:
    try:
        output.mkdir(exist_ok=True)
    except OSError as error:
        raise DatasetError(
            f"{output}: cannot be made a folder ({error.strerror or error}); for a folder of images, name a new or "
            "existing folder whose parent exists"
        ) from error


def _same_file(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)
