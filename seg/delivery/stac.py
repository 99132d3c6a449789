"""STAC items (https://stacspec.org, version 1.1.0) of maps and of model packages."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from os.path import relpath
from pathlib import Path

import shapely
from pyproj import CRS, Transformer
from rasterio.io import DatasetReader

from seg import __version__
from seg.errors import RasterError
from seg.files import SOFTWARE, write_json
from seg.labels import CROPLAND, LABEL_COLOURS, LABEL_NAMES, OTHER
from seg.package.description import ONNX, WEIGHTS, ModelPackage
from seg.raster.grid import open_raster
from seg.raster.sources import require_replaceable
from seg.terminal.text import utc_text

Json = dict[str, object]

VERSION = "1.1.0"
PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
CLASSIFICATION = "https://stac-extensions.github.io/classification/v2.0.0/schema.json"
RASTER = "https://stac-extensions.github.io/raster/v2.0.0/schema.json"
MODEL = "https://stac-extensions.github.io/mlm/v1.5.0/schema.json"

COG = "image/tiff; application=geotiff; profile=cloud-optimized"
TASK = "semantic-segmentation"
ITEM = "item.json"
"""Name of the item of a model package."""

MAP_LAYERS = {"classes": "", "probability": "_probability", "uncertainty": "_uncertainty"}
"""Names of the assets of a map, and the endings of their file stems."""

_EDGE_POINTS = 21
"""Points along each side of the outline of a map; the sides are curved in longitude and latitude."""


def map_item_path(classes: Path) -> Path:
    """Path of the item of a map: `map.json` beside `map.tif`."""
    return classes.with_suffix(".json")


def write_map_item(classes: Path, observed: tuple[datetime, datetime], models: Sequence[Path]) -> Path:
    """Write the item of a map beside it.

    Args:
        classes: The class map; the other maps beside it become assets too.
        observed: First and last moment of the imagery.
        models: Folders of the model packages; the item links to their items.

    Returns:
        The written file.

    Raises:
        RasterError: The map cannot be read, or has no CRS.
        ConfigError: Another program wrote a file of this name.
        WriteError: The file cannot be written.
    """
    path = map_item_path(classes)
    require_replaceable(path)
    write_json(map_item(classes, observed, models), path)
    return path


def map_item(classes: Path, observed: tuple[datetime, datetime], models: Sequence[Path]) -> Json:
    """Item of a map: outline, projection, and the classes, scales and nodata values of its bands.

    Args:
        classes: The class map.
        observed: First and last moment of the imagery.
        models: Folders of the model packages.

    Raises:
        RasterError: The map cannot be read, or has no CRS.
    """
    with open_raster(classes) as dataset:
        place = _place(classes, dataset)
        tags = {key: value for key, value in sorted(dataset.tags().items()) if key.startswith("SEG_")}
    assets = {
        name: _asset(classes.with_name(f"{classes.stem}{ending}{classes.suffix}"), name)
        for name, ending in MAP_LAYERS.items()
        if classes.with_name(f"{classes.stem}{ending}{classes.suffix}").is_file()
    }
    first, last = (utc_text(moment) for moment in observed)
    when: Json = {"datetime": first if first == last else None, "start_datetime": first, "end_datetime": last}
    links = [
        {
            "rel": "derived_from",
            "href": Path(relpath(folder / ITEM, classes.parent)).as_posix(),
            "type": "application/geo+json",
            "title": f"model {folder.name}",
        }
        for folder in models
        if (folder / ITEM).is_file()
    ]
    return {
        "type": "Feature",
        "stac_version": VERSION,
        "stac_extensions": [PROJECTION, CLASSIFICATION, RASTER],
        "id": classes.stem,
        "geometry": place["geometry"],
        "bbox": place["bbox"],
        "properties": when | {"title": f"Cropland map {classes.stem}"} | place["properties"] | tags,
        "links": links,
        "assets": assets,
        "software": {"name": SOFTWARE, "version": __version__},
    }


def _place(path: Path, dataset: DatasetReader) -> dict[str, Json]:
    if dataset.crs is None:
        raise RasterError(f"{path}: has no CRS, so a STAC item cannot place it; assign the right one (gdal_edit.py)")
    crs = CRS.from_wkt(dataset.crs.to_wkt())
    frame = shapely.segmentize(shapely.box(0, 0, dataset.width, dataset.height), max(dataset.shape) / _EDGE_POINTS)
    edge = shapely.transform(frame, lambda x, y: dataset.transform @ (x, y), interleaved=False)
    to_lonlat = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    outline = shapely.orient_polygons(shapely.transform(edge, to_lonlat.transform, interleaved=False))
    outline = shapely.set_precision(outline, 1e-7)
    authority = crs.to_authority()
    code: Json = {"proj:code": ":".join(authority)} if authority else {"proj:code": None, "proj:wkt2": crs.to_wkt()}
    properties = code | {"proj:shape": list(dataset.shape), "proj:transform": list(dataset.transform)[:6]}
    return {
        "geometry": shapely.geometry.mapping(outline),
        "bbox": list(outline.bounds),
        "properties": properties,
    }


def _asset(path: Path, name: str) -> Json:
    with open_raster(path) as dataset:
        band: Json = {"name": name, "data_type": dataset.dtypes[0], "nodata": dataset.nodata}
        if dataset.descriptions[0]:
            band["description"] = dataset.descriptions[0]
        if dataset.scales[0] != 1:
            band |= {"raster:scale": dataset.scales[0], "raster:offset": dataset.offsets[0]}
    if name == "classes":
        band["classification:classes"] = class_objects()
    return {"href": f"./{path.name}", "type": COG, "roles": ["data"], "title": name, "bands": [band]}


def class_objects() -> list[Json]:
    """Classes of a map, as the classification extension describes them."""
    return [
        {
            "value": label,
            "name": LABEL_NAMES[label],
            "description": LABEL_NAMES[label],
            "color_hint": "{:02X}{:02X}{:02X}".format(*LABEL_COLOURS[label][:3]),
        }
        for label in (OTHER, CROPLAND)
    ]


def write_package_item(folder: Path, package: ModelPackage, made: datetime) -> Path:
    """Write the item of a model package into its folder, by the model extension (MLM).

    Args:
        folder: Folder of the package.
        package: Description of the package.
        made: Moment of the export.

    Returns:
        The written file.

    Raises:
        ConfigError: Another program wrote a file of this name.
        WriteError: The file cannot be written.
    """
    require_replaceable(folder / ITEM)
    write_json(package_item(folder, package, made), folder / ITEM)
    return folder / ITEM


def package_item(folder: Path, package: ModelPackage, made: datetime) -> Json:
    """Item of a model package. It has no geometry, since a package does not know where its training scenes lie.

    The network takes stored values and normalises them itself, so the item states no scaling of its input; if the model
    normalises each scene, the item gives the formula that matches a scene to the training images. The output of the
    network is logits; the item gives the formula of the probability.

    Args:
        folder: Folder of the package.
        package: Description of the package.
        made: Moment of the export.
    """
    assets: Json = {
        "weights": _file("./" + WEIGHTS, "application/octet-stream; application=safetensors", "safetensors")
    }
    if package.onnx_sha256 is not None:
        assets["onnx"] = _file("./" + ONNX, "application/octet-stream; framework=onnx", "onnx")
    return {
        "type": "Feature",
        "stac_version": VERSION,
        "stac_extensions": [MODEL, CLASSIFICATION],
        "id": folder.absolute().name,
        "geometry": None,
        "properties": {"datetime": utc_text(made), "title": f"Cropland model {folder.absolute().name}"}
        | model_properties(folder.absolute().name, package),
        "links": [],
        "assets": assets,
        "software": {"name": SOFTWARE, "version": __version__},
    }


def model_properties(name: str, package: ModelPackage) -> Json:
    """Properties of a model by the model extension.

    Args:
        name: Name of the model.
        package: Description of the package.
    """
    names = [text or f"band {band}" for text, band in zip(package.band_names, package.bands, strict=True)]
    probability = f"1 / (1 + exp(-(logit / {package.temperature!r} + {package.bias!r})))"
    architecture: Mapping[str, object] = package.architecture
    return {
        "mlm:name": name,
        "mlm:architecture": str(architecture["name"]),
        "mlm:tasks": [TASK],
        "mlm:framework": "PyTorch" if "torch" in package.versions else "ONNX",
        "mlm:pretrained": False,
        "mlm:hyperparameters": {"threshold": package.threshold, "stride": package.stride},
        "bands": [{"name": one} for one in names],
        "mlm:input": [
            {
                "name": "scene",
                "bands": names,
                "input": {
                    "shape": [-1, len(names), -1, -1],
                    "dim_order": ["batch", "bands", "height", "width"],
                    "data_type": "float32",
                },
            }
            | _preparation(package)
        ],
        "mlm:output": [
            {
                "name": "logits",
                "tasks": [TASK],
                "result": {
                    "shape": [-1, 1, -1, -1],
                    "dim_order": ["batch", "channel", "height", "width"],
                    "data_type": "float32",
                },
                "classification:classes": class_objects(),
                "post_processing_function": {
                    "format": "text",
                    "expression": f"cropland where {probability} > {package.threshold!r}",
                },
            }
        ],
    }


def _preparation(package: ModelPackage) -> Json:
    """Change of the values before the network, for a model that normalises each scene."""
    if not package.normalises_scenes:
        return {}
    formula = (
        f"for each band, (value - scene mean) / scene deviation * deviation + mean, with the deviations "
        f"{list(package.std)} and the means {list(package.mean)}"
    )
    return {"pre_processing_function": {"format": "text", "expression": formula}}


def _file(href: str, kind: str, title: str) -> Json:
    return {
        "href": href,
        "type": kind,
        "title": title,
        "roles": ["mlm:model", "mlm:weights"],
        "mlm:artifact_type": "safetensors.torch.save_file" if title == "safetensors" else "onnx",
    }
