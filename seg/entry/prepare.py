"""The command `prepare`: create, check, split and import datasets."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seg.data.settings import ImportSettings, SourceName, SplitRule
from seg.imagery.settings import CompositeSettings, MaskSettings, SceneSettings
from seg.inference.cluster.settings import ClusterSettings
from seg.places.settings import PlaceSettings, SuggestionSettings
from seg.raster.gdal_options import gdal_options
from seg.raster.label_mapping import PLAIN_LABELS, LabelMapping
from seg.raster.vectors.settings import BurnSettings
from seg.terminal.command_line import run_command
from seg.terminal.text import counted, text_table

if TYPE_CHECKING:
    from seg.imagery.scene import Scene


def demo(output: Path) -> None:
    """Write the demo dataset (Indian Pines, 1992), ready for training.

    Args:
        output: Folder for the dataset; its parent must exist. An older copy is replaced.
    """
    from seg.data.sources.indian_pines import write_indian_pines
    from seg.data.splitting.folds import fold_table

    folds = write_indian_pines(output)
    print(f"{output}: {sum(fold.parts for fold in folds)} blocks in {len(folds)} folds; see {output / 'README.md'}")
    print(fold_table("blocks", folds))


def import_public_dataset(*, source: SourceName, input: Path, output: Path, settings: ImportSettings) -> None:
    """Convert a downloaded public dataset to the project's layout: recoded masks, a manifest, a README.

    Args:
        source: Name of the dataset; data/README.md has the download addresses.
        input: Folder with the unpacked dataset.
        output: Folder for the result; its parent must exist. An older import of the same dataset is replaced.
        settings: Options of the import.
    """
    from seg.data.sources.importing import import_public
    from seg.data.splitting.folds import fold_table

    imported = import_public(source, input, output, settings)
    scenes = sum(fold.parts for fold in imported.folds)
    print(f"{output}: {scenes} scenes in {len(imported.folds)} folds; see {output / 'README.md'}")
    print(fold_table("scenes", imported.folds))
    if imported.official:
        print("train with --data.folds=2 --data.fold=0 to hold out the official validation part")
    for note in imported.notes:
        print(f"note: {note}", file=sys.stderr)


def check(
    *,
    input: Path,
    bands: list[int | str] | None = None,
    nodata: float | None = None,
    folds: int = 5,
    labels: LabelMapping = PLAIN_LABELS,
    chips: bool = False,
    fold: int | None = 0,
    unlabelled: Path | None = None,
    output: Path | None = None,
    sheet: Path | None = None,
    json: bool = False,
) -> None:
    """Read a dataset as in training and report all problems; the exit status is 2 if there is an error.

    Args:
        input: The dataset: a folder with images/ and masks/, or with a manifest.csv.
        bands: Bands to read, counted from 1, or their names in the images; all bands except alpha by default.
        nodata: Additional value that means "no data", for files that do not declare this value.
        folds: Number of folds.
        labels: Meaning of the mask values.
        chips: Check for training on chips (--data.chips.size); scenes may then have any size.
        fold: The held-out fold; unlabelled scenes must not show ground of this fold. null if no fold is held out.
        unlabelled: Unlabelled scenes to check too: a scene, a folder, a pattern or a text file that lists scenes.
            Unlabelled scenes of the manifest are always checked.
        output: A .json file for all measurements and findings.
        sheet: A .png file for a contact sheet with the image and mask of up to 24 scenes; scenes with problems come
            first.
        json: Print JSON instead of text.
    """
    from seg.data.checking.check import Options
    from seg.data.checking.report import run_check

    options = Options(
        bands=tuple(bands or ()),
        nodata=nodata,
        folds=folds,
        labels=labels,
        chips=chips,
        fold=fold,
        unlabelled=unlabelled,
    )
    run_check(input, options, output, sheet, json)


def burn(*, image: Path, labels: Path, output: Path, settings: BurnSettings) -> None:
    """Burn vector labels into a mask for training, on the grid of an image or of each image in a folder.

    Args:
        image: The image, or a folder of images.
        labels: Polygons in any vector format that GDAL reads, or GeoParquet, in any CRS.
        output: The mask, a GeoTIFF; or, for a folder of images, a folder. Masks of an earlier run are replaced.
        settings: Options for burning.
    """
    from seg.data.burn_masks import burn_masks
    from seg.raster.vectors.features import open_labels

    source = open_labels(labels, settings)
    if source.unused:
        values = " or ".join(source.unused)
        print(f"note: {labels}: no value of column '{settings.column}' is {values}", file=sys.stderr)
    for mask in burn_masks(image, source, output, settings):
        print(mask)
        if mask.note:
            print(f"note: {mask.note}", file=sys.stderr)


def image(*, input: list[Path] | Path, output: Path, settings: SceneSettings, masking: MaskSettings) -> None:
    """Make a scene from a product: reflectance on one grid, with named bands, nodata, and clouds masked if wanted.

    Args:
        input: A Sentinel-2 product (.SAFE folder or .zip), a Landsat product of Collection 2 (folder or .tar), a folder
            of rasters with one band each, or one raster or several. Several products of different dates become one
            scene with bands such as B04@2024-05-11.
        output: The scene, a .vrt file that copies no pixels or a .tif file (COG); its folder must exist. An older file
            is replaced.
        settings: Bands, pixel size and units.
        masking: Pixels that become invalid, such as clouds.
    """
    from seg.imagery.recognition import open_as_one, provider_products
    from seg.imagery.scene import write_scene
    from seg.imagery.several import write_dates

    inputs = [input] if isinstance(input, Path) else input
    products = [product for path in inputs for product in provider_products(path)]
    if len(products) == len(inputs) > 1:
        names = write_dates(products, output, settings, masking)
        print(f"{output}: {counted(len(names), 'band')} of {counted(len(products), 'date')}")
        print("\n".join(names))
        return
    _print_scene(write_scene(open_as_one(inputs), output, settings, masking))


def stack(*, input: Path, output: Path, bands: list[str] | None = None) -> None:
    """Stack single-band rasters into one image: a small VRT file that refers to the rasters and copies no pixels.

    The same as `image` for a folder of rasters with one band each.

    Args:
        input: Folder with one raster per band, all in one CRS and with the same data type.
        output: The .vrt file; its folder must exist. An older file is replaced.
        bands: Names of the bands to use, in order, for example [B02,B03,B08]; by default, all bands sorted by name. The
            name of a band is the part of its file name that differs between the files.
    """
    from seg.imagery.readers.loose import band_files, loose_product
    from seg.imagery.scene import write_scene

    _print_scene(write_scene(loose_product(input, band_files(input, bands)), output))


def _print_scene(scene: "Scene") -> None:
    hidden = "" if scene.hidden is None else f", {scene.hidden:.1%} of the pixels masked"
    print(f"{scene.grid.path}: {counted(len(scene.bands), 'band')}{hidden}")
    rows = [[band.name, str(number), band.file.name] for number, band in enumerate(scene.bands, start=1)]
    print(text_table(["name", "band", "file"], rows))


def composite(
    *,
    input: list[Path] | Path,
    output: Path,
    settings: CompositeSettings,
    masking: MaskSettings,
    cluster: ClusterSettings,
) -> None:
    """Combine several dates of a place, or overlapping tiles, into one scene; invalid pixels are left out.

    Args:
        input: Products as for `image`, or scenes: files, a folder, a pattern such as 'scenes/*.tif', or a text file
            with one path or address per line. They must have the same bands, and may have different extents, pixels and
            CRSs.
        output: The .tif file, a Cloud Optimized GeoTIFF. Its last band is the number of valid inputs of each pixel. An
            older composite is replaced.
        settings: Options of the composite.
        masking: Pixels of products that are left out, such as clouds.
        cluster: Options of the cluster, on which each task combines one block of the composite.
    """
    from seg.imagery.composites.write import write_composite
    from seg.imagery.several import scenes_of
    from seg.inference.cluster.mapping import FileMapper
    from seg.terminal.progress import progress_bar

    inputs = [input] if isinstance(input, Path) else input
    with scenes_of(inputs, output, settings.bands, masking) as scenes:
        if cluster.cluster is None:
            with progress_bar(output.name) as bar:
                made = write_composite(scenes, output, settings, lambda done, total: bar.move(done, total))
        else:
            with FileMapper(cluster, "block") as over:
                made = write_composite(scenes, output, settings, over=over)
    grid = made.plan.grid
    print(f"{output}: {grid.width}x{grid.height} pixels from {counted(len(scenes), 'input')}")
    print(f"{made.covered:.1%} of the pixels hold data, from {made.mean_count:.2g} inputs on average")


def split(*, input: Path, rule: SplitRule, output: Path | None = None, replace: bool = False) -> None:
    """Assign scenes, or blocks of scenes, to spatially separate folds, and write them to a manifest.csv.

    Args:
        input: The dataset: a folder with images/ and masks/, or with a manifest.csv; folds in the manifest are ignored.
        rule: Options of the split.
        output: Folder for the manifest and the blocks; by default the dataset's folder.
        replace: Replace an existing manifest and the blocks that it lists; its columns other than the fold are kept.
    """
    from seg.data.splitting.folds import fold_table
    from seg.data.splitting.run import split_dataset

    held = split_dataset(input, output or input, rule, replace)
    parts = "scenes" if rule.by == "scene" else "blocks"
    print(f"{(output or input) / 'manifest.csv'}: {sum(fold.parts for fold in held)} {parts} in {rule.folds} folds")
    print(fold_table(parts, held))


def stats(
    *,
    input: Path,
    bands: list[int | str] | None = None,
    nodata: float | None = None,
    fold: int | None = 0,
    folds: int = 5,
    json: bool = False,
    cluster: ClusterSettings,
) -> None:
    """Show mean, standard deviation and percentiles of the valid training pixels, and cache them for training.

    Pixels without a label are included, since they are also input of the network; masks are not read.

    Args:
        input: The dataset: a folder with images/ and masks/, or with a manifest.csv.
        bands: Bands to read, counted from 1, or their names in the images; all bands except alpha by default.
        nodata: Additional value that means "no data", for files that do not declare this value.
        fold: Held-out fold, whose pixels are left out; null to include all folds.
        folds: Number of folds.
        json: Print JSON instead of text.
        cluster: Options of the cluster, on which each task reads one scene.
    """
    from seg.data.dataset.statistics import Selection, dataset_statistics, statistics_report, unmatched_nodata
    from seg.inference.cluster.mapping import FileMapper

    selection = Selection(folds, fold, bands, nodata)
    if cluster.cluster is None:
        found = dataset_statistics(input, selection)
    else:
        with FileMapper(cluster) as over:
            found = dataset_statistics(input, selection, over)
    print(statistics_report(input, found, json))
    unmatched = unmatched_nodata(nodata, found.nodata_found, "--nodata")
    if unmatched:
        print(f"note: {input}: {unmatched}", file=sys.stderr)


def suggest(
    *,
    model: Path,
    input: list[Path] | Path,
    output: Path,
    settings: SuggestionSettings,
    reading: PlaceSettings,
) -> None:
    """Suggest squares to label next; a model is uncertain in them, and they differ from each other.

    These squares are not a random sample, so they would bias an area estimate. For area estimates, draw points with
    evaluate.py sample.

    Args:
        model: Folder of a model package.
        input: Scenes of the place: one or several files, a folder, a pattern such as 'scenes/*.tif', or a text file
            with one path or address per line.
        output: GeoPackage for the squares. A sheet of their pictures is written beside it, with the ending .png.
        settings: Options of the choice.
        reading: Options of reading.
    """
    from seg.files import require_output_file
    from seg.places.squares import draw_squares, write_squares
    from seg.places.suggesting import suggest as suggest_squares
    from seg.raster.folder import named_scenes

    require_output_file(output, (".gpkg",))
    scenes = named_scenes([input] if isinstance(input, Path) else input).scenes
    found = suggest_squares(model, scenes, reading, settings)
    write_squares(found, output)
    draw_squares(found, output.with_suffix(".png"))
    left_out = f", {found.labelled} left out as labelled" if found.labelled else ""
    print(f"{output}: {counted(len(found.squares), 'square')} of {found.candidates} candidates{left_out}")
    print(f"{output.with_suffix('.png')}: pictures of the squares, with reasons")
    if len(found.squares) < settings.count:
        print(
            f"note: fewer than {settings.count}, because squares are at least {settings.least_distance_m:g} m apart; "
            "a smaller --spacing-m gives more",
            file=sys.stderr,
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Args:
        arguments: Command-line arguments; sys.argv[1:] by default.
    """
    return run_command(
        {
            "demo": demo,
            "check": check,
            "burn": burn,
            "image": image,
            "stack": stack,
            "composite": composite,
            "split": split,
            "stats": stats,
            "import": import_public_dataset,
            "suggest": suggest,
        },
        arguments,
        "Create, check, split and import datasets, and suggest what to label next.",
        gdal_options,
    )
