"""Vector labels as the layers that are burnt onto a grid, as the settings of the command line say."""

from pathlib import Path

from seg.raster.vectors.burning import Layer, class_layers, edge_layer
from seg.raster.vectors.features import Legend, VectorLabels
from seg.raster.vectors.placing import Parcels
from seg.raster.vectors.settings import BurnSettings


def open_labels(path: Path, settings: BurnSettings, options: str = "--{}") -> VectorLabels:
    """The labels of a vector file, as the settings read them.

    Args:
        path: The file.
        settings: How it is read.
        options: How the options of the settings are written, for errors; {} stands for their names.

    Raises:
        RasterError: The file does not hold what the settings ask for.
    """
    legend = Legend(
        column=settings.column,
        cropland=settings.cropland_values,
        ignore=settings.ignore_values,
        cropland_where=settings.cropland_where,
        ignore_where=settings.ignore_where,
    )
    return VectorLabels(path, settings.layer, settings.where, legend, options)


def label_layers(parcels: Parcels, settings: BurnSettings) -> list[Layer]:
    """The layers of labelled polygons, in the order in which they are burnt."""
    layers = class_layers(parcels.polygons, parcels.labels, settings.all_touched)
    if settings.ignore_buffer:
        layers.append(edge_layer(parcels.polygons, settings.ignore_buffer))
    return layers
