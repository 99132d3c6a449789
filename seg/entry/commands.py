"""Commands that consist of one function each, and `train`, which has the subcommands of LightningCLI."""

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from seg.errors import ConfigError, IncompleteError, require_option
from seg.imagery.settings import MaskSettings
from seg.inference.cluster.settings import ClusterSettings
from seg.inference.settings import ComputeSettings, PredictionSettings
from seg.package.foreign_settings import ForeignSettings
from seg.parcels.settings import PolygonSettings
from seg.places.settings import AdaptationSettings, PlaceSettings
from seg.raster.gdal_options import gdal_options
from seg.terminal.command_line import guarded, run_command
from seg.terminal.progress import progress_bar
from seg.terminal.text import counted, observed_between

if TYPE_CHECKING:
    from seg.raster.folder import Inputs


def export(
    *,
    output: Path,
    foreign: ForeignSettings,
    checkpoint: Path | None = None,
    threshold: float | Literal["f1", "area"] | None = None,
    onnx: bool = False,
    qgis: bool = False,
    stac: bool = False,
    weights: Literal["auto", "averaged", "raw"] = "auto",
    data: Path | None = None,
    screener: Path | None = None,
) -> None:
    """Turn a checkpoint, or an ONNX network of another program, into a model package for inference.

    Args:
        output: Folder of the package; it and its parents are created. With --checkpoint or --onnx-from, an
            older package in it is replaced. If neither is given, the folder must hold a package, and --onnx, --qgis,
            --stac and --screener add files to it.
        foreign: The network of another program.
        checkpoint: A checkpoint written by training.
        threshold: Calibrated probability, 0 to 1, above which a pixel is cropland. f1: the threshold with the highest
            F1 in validation. area: the threshold at which the mapped area equals the cropland area in validation. By
            default, the threshold that the calibration of the training chose; 0.5 for a network of another program.
        onnx: Also write the network as ONNX, for use without PyTorch.
        qgis: Also write qgis.onnx, which the Deepness plugin of QGIS opens without further settings.
        stac: Also write item.json, a STAC item that describes the package with the model extension (MLM). Later
            exports to this folder rewrite it.
        weights: Weights to export if training averaged weights. averaged: the averaged weights. raw: the weights of the
            last step, which were not validated. auto: after a training with an averaged teacher, the weights of teacher
            or student, whichever have the higher validation IoU; else the averaged weights, if there are any.
        data: Dataset of the training. The package gets a description of the features of the training images, so that
            predict can tell how unlike these images a scene is. By default, the dataset in the configuration of the
            run, if this dataset still exists.
        screener: A checkpoint of the task screen. The package gets its screener, with which predict leaves out parts
            of a scene that hold no cropland.
    """
    from seg.delivery.stac import ITEM, write_package_item
    from seg.package.qgis import add_qgis
    from seg.package.read import read_package
    from seg.package.screener import add_trained_screener
    from seg.package.write import add_onnx

    _require_source(checkpoint, foreign, weights != "auto" or data is not None, threshold)
    if checkpoint is not None:
        _export_checkpoint(checkpoint, output, threshold, weights, data)
    elif foreign.onnx_from is not None:
        _export_foreign(foreign, output, threshold)
    elif not (onnx or qgis or stac or screener):
        raise ConfigError(
            "no network was named; add --checkpoint=FILE, or --onnx-from=FILE for a network of another program"
        )
    if screener is not None:
        print(f"{output}: screener added; {add_trained_screener(output, screener)}")
    if onnx:
        print(f"{add_onnx(output)}: the network as ONNX, compared with PyTorch")
    if qgis:
        print(f"{add_qgis(output)}: the network for the Deepness plugin of QGIS, compared with the package")
    if stac or (output / ITEM).is_file():
        print(f"{write_package_item(output, read_package(output), datetime.now(UTC))}: STAC item of the package")


def _require_source(
    checkpoint: Path | None, foreign: ForeignSettings, of_training: bool, threshold: float | str | None
) -> None:
    """Check that the user names at most one network, and that the other options apply to it."""
    if checkpoint is not None and foreign.onnx_from is not None:
        raise ConfigError("--checkpoint and --onnx-from name two networks; leave one out")
    if checkpoint is None and of_training:
        raise ConfigError("--weights and --data belong to a checkpoint; add --checkpoint, or leave them out")
    if checkpoint is None and foreign.onnx_from is None and threshold is not None:
        raise ConfigError("--threshold belongs to a new package; add --checkpoint or --onnx-from")
    if foreign.onnx_from is not None and isinstance(threshold, str):
        raise ConfigError(f"--threshold is {threshold}, but there was no validation; wanted a number from 0 to 1")


def _export_checkpoint(
    checkpoint: Path,
    output: Path,
    threshold: float | Literal["f1", "area"] | None,
    weights: Literal["auto", "averaged", "raw"],
    data: Path | None,
) -> None:
    from seg.package.checkpoint import read_checkpoint
    from seg.package.write import write_package
    from seg.places.training_features import add_training_features, training_images

    found, images = read_checkpoint(checkpoint, weights), training_images(checkpoint, data)
    package = write_package(found, output, threshold)
    if found.note:
        print(f"{output}: {found.note}")
    print(f"{output}: model package with {len(package.mean)} bands, {package.decision}")
    if add_training_features(output, images, required=data is not None):
        print(f"{output}: describes the features of {counted(len(images), 'training image')}")
    else:
        print(
            f"note: {output} does not describe the features of its training images, so predict cannot tell how unlike "
            "these images a scene is; name the training's dataset with --data",
            file=sys.stderr,
        )


def _export_foreign(foreign: ForeignSettings, output: Path, threshold: float | str | None) -> None:
    from seg.package.foreign import write_foreign_package

    package = write_foreign_package(foreign, output, 0.5 if threshold is None else float(threshold))
    print(
        f"{output}: model package with {len(package.mean)} bands of a network of another program, compared with the "
        f"original; stride {package.stride}, receptive field {package.receptive_field} pixels, {package.decision}"
    )


def adapt(
    *,
    model: Path,
    input: list[Path] | Path,
    output: Path,
    settings: AdaptationSettings,
    reading: PlaceSettings,
) -> None:
    """Adapt the statistics of a model package to the scenes of a new place; no labels are needed.

    Args:
        model: Folder of the model package; the package does not change.
        input: Scenes of the new place: one or several files, a folder, a pattern such as 'scenes/*.tif', or a text file
            with one path or address per line.
        output: Folder of the new package; it and its parents are created. An older package in it is replaced.
        settings: Options of the adaptation.
        reading: Options of reading.
    """
    from seg.places.adapting import adapt as adapt_package
    from seg.places.report import PICTURE, report_text, write_report
    from seg.raster.folder import named_scenes

    scenes = named_scenes([input] if isinstance(input, Path) else input).scenes
    adapted = adapt_package(model, scenes, output, reading, settings)
    print(report_text(adapted))
    write_report(adapted, output)
    print(f"{output}: model package of {counted(len(adapted.place.grids), 'scene')}, {adapted.package.decision}")
    print(f"{output / PICTURE}: three windows before and after the adaptation")


def predict(
    *,
    model: list[Path] | Path,
    input: list[Path] | Path,
    output: Path,
    settings: PredictionSettings,
    compute: ComputeSettings,
    cluster: ClusterSettings,
    masking: MaskSettings,
    qgis: bool = False,
    stac: bool = False,
    observed: str | None = None,
) -> None:
    """Write the class map and the probability map of one or many scenes, on the grid of each scene.

    Args:
        model: Folder of a model package; the probabilities of several models are averaged.
        input: One scene: any raster that GDAL reads, or an address such as https://host/scene.tif or s3://bucket/key.
            Or a Sentinel-2 product, a Landsat product or a STAC item: its bands are chosen by the names of the model's
            bands, and a scene is written to the folder `scenes` beside the map. Many: a folder, a pattern such as
            'scenes/*.tif', or a text file with one path or address per line.
        output: The class map, a GeoTIFF; the probability map has the same name with `_probability` added. For many
            scenes, a folder; each map gets the name of its scene.
        settings: Options of the prediction.
        compute: Library, device and precision.
        cluster: Options of the cluster, if blocks are computed on one.
        masking: Pixels that become invalid, such as clouds.
        qgis: Also write styles for QGIS beside the maps, with names of the classes in English and Chinese: .qml files,
            and a raster attribute table in an .aux.xml file.
        stac: Also write a STAC item beside each map, such as map.json beside map.tif; needs --observed.
        observed: Date of the imagery, such as 2025-06-12, or an interval such as 2025-05-01/2025-06-30.
    """
    from seg.inference.cluster.local_workers import begin_local_workers

    require_option(not stac or observed is not None, "stac", stac, "--observed too, with the date of the imagery")
    begin_local_workers(cluster.cluster, [compute.library])
    # These imports take a second, in which the workers' server imports its own.
    from seg.imagery.inputs import Wanted, scenes_of
    from seg.inference.inputs import jobs_of
    from seg.package.read import read_package

    when = None if observed is None else observed_between(observed, "observed")
    models, named = ([names] if isinstance(names, Path) else names for names in (model, input))
    inputs = scenes_of(named, output, Wanted(read_package(models[0]).band_names, masking))
    since = time.time() - 1  # The times of new files may lie a part of a second before this clock.
    try:
        _predict(models, inputs, output, (settings, compute), cluster)
        since = 0.0
    finally:
        if qgis or stac:
            # An interrupted or partly failed batch gets styles and items for the maps that it finished.
            maps = [job.output for job in jobs_of(inputs, output, settings.uncertainty, settings.screen)]
            finished = [path for path in maps if path.is_file() and path.stat().st_mtime >= since]
            _accompany(finished, models, qgis, when if stac else None)


def _predict(
    models: Sequence[Path],
    inputs: "Inputs",
    output: Path,
    settings: tuple[PredictionSettings, ComputeSettings],
    cluster: ClusterSettings,
) -> None:
    if cluster.cluster is None:
        from seg.inference.command import predict as predict_inputs

        predict_inputs(models, inputs, output, *settings)
    else:
        from seg.inference.cluster.command import predict_on_cluster

        predict_on_cluster(models, inputs, output, settings, cluster)


def _accompany(
    maps: Sequence[Path], models: Sequence[Path], qgis: bool, when: tuple[datetime, datetime] | None
) -> None:
    """Write styles and STAC items beside maps."""
    from seg.delivery.qgis import write_class_style, write_ramp_style
    from seg.delivery.stac import write_map_item
    from seg.inference.inputs import map_paths

    for path in maps:
        written: list[Path] = []
        if qgis:
            written += write_class_style(path)
            for layer, most in zip(map_paths(path, True)[1:], (1.0, 0.5), strict=True):
                written += write_ramp_style(layer, most) if layer.is_file() else []
        if when is not None:
            written.append(write_map_item(path, when, models))
        for companion in written:
            print(f"{companion}: written beside the map", flush=True)


def polygons(
    *,
    input: list[Path] | Path,
    output: Path,
    settings: PolygonSettings,
    cluster: ClusterSettings,
    qgis: bool = False,
    fiboa: bool = False,
    observed: str | None = None,
) -> None:
    """Write the parcels of class maps with their areas in hectares and perimeters in metres.

    Args:
        input: The class map: 0 other, 1 cropland, 255 nodata. Many maps: several files, a folder, a pattern such as
            'maps/*.tif', or a text file with one path per line.
        output: The file to write: .gpkg (GeoPackage), .parquet (GeoParquet), .geojson (GeoJSON, in WGS 84), .gdb (File
            Geodatabase) or .shp (shapefile). For many maps, a folder for one GeoPackage per map.
        settings: Sizes, splitting and simplification of parcels.
        cluster: Options of the cluster, on which each task converts one of many maps.
        qgis: Add a default style for QGIS to a GeoPackage.
        fiboa: Write GeoParquet with the columns and metadata of fiboa 0.3.0; areas are then in square metres.
        observed: Date of the imagery for fiboa, such as 2025-06-12; of an interval, the last moment counts.
    """
    from seg.delivery.fiboa import write_fiboa
    from seg.delivery.qgis import add_parcel_style
    from seg.parcels.write_parcels import write_parcels
    from seg.raster.folder import named_scenes

    require_option(fiboa or observed is None, "observed", observed, "--fiboa too")
    when = None if observed is None else observed_between(observed, "observed")[1]
    named = named_scenes([input] if isinstance(input, Path) else input)
    styled = not qgis or (output.suffix.lower() == ".gpkg" and not named.several)
    require_option(styled, "qgis", qgis, "one map, and an output that ends in .gpkg, since a GeoPackage holds styles")
    if named.several:
        require_option(not fiboa, "fiboa", fiboa, "one map")
        _polygons_of_many(named.scenes, output, settings, cluster)
        return
    require_option(cluster.cluster is None, "cluster", cluster.cluster, "many maps, since each task converts one map")
    [path] = named.scenes
    with progress_bar(path.name) as bar:
        if fiboa:
            written = write_fiboa(path, output, settings, when, bar.move)
        else:
            written = write_parcels(path, output, settings, bar.move)
    if qgis:
        add_parcel_style(output, output.stem)
    print(f"{output}: {counted(written.parcels, 'parcel')}, {written.hectares:.2f} ha")


def _polygons_of_many(maps: Sequence[Path], output: Path, settings: PolygonSettings, cluster: ClusterSettings) -> None:
    from seg.inference.cluster.mapping import map_files
    from seg.parcels.many_maps import parcel_files, write_map_parcels

    jobs = parcel_files(maps, output, settings)
    failed: list[Exception] = []
    for job, written in zip(jobs, map_files(partial(write_map_parcels, settings=settings), jobs, cluster), strict=True):
        if isinstance(written, Exception):
            failed.append(written)
            print(f"failed: {job.map}: {written}", file=sys.stderr)
        else:
            print(f"{job.output}: {counted(written.parcels, 'parcel')}, {written.hectares:.2f} ha", flush=True)
    if failed:
        raise IncompleteError(
            f"{len(failed)} of {counted(len(jobs), 'map')} could not be converted; correct the problems listed above "
            "and repeat the command"
        ) from failed[0]


def describe(
    *,
    config: Path | None = None,
    model: Path | None = None,
    checkpoint: Path | None = None,
    bands: int = 4,
    size: int = 512,
    json: bool = False,
) -> None:
    """Describe the layers and totals of a network, and the sizes of its weight file and of a training checkpoint.

    Args:
        config: A training configuration; its network is built with random weights.
        model: A model package, instead of a configuration.
        checkpoint: A training checkpoint to measure; by default, a temporary checkpoint that is written after one
            training step.
        bands: Channels of the images if the configuration does not list data.bands.
        size: Side in pixels of the image for which shapes and operations are counted.
        json: Print JSON with all layers. By default, text with only the layers that have no sublayers.
    """
    from seg.inspection.report import as_json, as_text, inspect_network

    found = inspect_network(config, model, checkpoint, bands, size)
    print(as_json(found) if json else as_text(found))


def restore(*, run: str, output: Path) -> None:
    """Restore files, pictures and model of a run from Weights & Biases.

    Args:
        run: Folder of a run that was trained with --tracking.wandb, folder of a W&B run (offline-run-...), or
            entity/project/id of a run on the W&B server. Folders need no connection to the server.
        output: New or empty folder for the files.
    """
    from seg.training.run.restore import restore_run

    files = restore_run(run, output)
    print(f"{output}: {counted(len(files), 'file')} restored")


def train(words: Sequence[str]) -> int:
    """Train a network or score a checkpoint, and return the exit status.

    Args:
        words: Command-line arguments: a subcommand of LightningCLI and its options.
    """

    def train_within_options() -> None:
        # Imported within `guarded`, since the import takes seconds. Ctrl-C during this time should also print one line.
        from seg.training.cli import run

        with gdal_options():
            run(list(words))

    return guarded(train_within_options, debug="--debug" in words)


COMMANDS = {command.__name__: command for command in (export, adapt, predict, polygons, describe, restore)}
"""Command functions by name."""


def main(name: str, arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    Args:
        name: One of `COMMANDS`, or "train".
        arguments: Command-line arguments; sys.argv[1:] by default.
    """
    if name == "train":
        return train(sys.argv[1:] if arguments is None else arguments)
    return run_command(COMMANDS[name], arguments, within=gdal_options)
