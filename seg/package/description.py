"""Description of a model package, which can be read without loading the weights.

The network outputs uncalibrated logits, whether it is run from the weights or from the ONNX file. The probability of
cropland is sigmoid(logit / temperature + bias), with `temperature` and `bias` of the description.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from seg.errors import PackageError
from seg.files import read_json
from seg.labels import LABEL_NAMES

WEIGHTS = "model.safetensors"
DESCRIPTION = "model.json"
ONNX = "model.onnx"
FEATURES = "features.safetensors"
SCREENER = "screener.safetensors"
QGIS = "qgis.onnx"
FORMAT, FOREIGN_FORMAT = 3, 4
"""Format of a package with weights of this project, and of a package with a network of another program. Earlier
versions of this project read only format 3, so they refuse a package of the second kind with a message."""

LARGEST_PIXEL_M = 1e6
"""Largest plausible pixel side in metres."""


@dataclass(frozen=True, kw_only=True)
class Adaptation:
    """Origin of a package whose statistics were adapted to a new place.

    Attributes:
        parent_sha256: Hash of the weight file of the package that was adapted.
        scenes: Hash of each scene's sampled pixels, by the name of the scene.
        mix: Weight of the new place's statistics in BatchNorm, 0 to 1.
        pixels: Number of valid pixels in the sample.
    """

    parent_sha256: str
    scenes: Mapping[str, str]
    mix: float
    pixels: int


@dataclass(frozen=True, kw_only=True)
class ForeignNetwork:
    """Origin of a package whose network is an ONNX file of another program.

    Attributes:
        file: Name of the file.
        sha256: Hash of the file, without weights that are stored in separate files.
        classes: Number of classes of the network.
        cropland: Numbers of the classes that are cropland, from 0.
        scores: Kind of the network's scores: logits, softmax or sigmoid.
        channels: Size of the largest feature map, in values per pixel of the image.
    """

    file: str
    sha256: str
    classes: int
    cropland: tuple[int, ...]
    scores: str
    channels: int


@dataclass(frozen=True, kw_only=True)
class ModelPackage:
    """Description of a trained model.

    Attributes:
        architecture: Name of the network ("name") and its arguments ("arguments").
        bands: 1-based bands of the training images, in the order of the model's input.
        image_bands: Number of bands of the training images.
        band_names: Name of each of `bands`; an empty string if the training images had no name for a band.
        mean: Mean of each band in the training split, in stored units; invalid pixels get this value.
        std: Standard deviation of each band in the training split, in stored units.
        nodata: Additional value that means "no data", for training images that do not declare their nodata value; None
            if there was none.
        pixel_size_m: Pixel side of the training images in metres; None if they had no CRS.
        temperature: Divisor of the cropland logits before the sigmoid; 1 changes nothing.
        bias: Summand of the logits after the division by the temperature; 0 changes nothing.
        threshold: Calibrated probability above which a pixel is cropland.
        stride: Shift in pixels under which the model is equivariant. Blocks start at multiples of this number.
        receptive_field: Largest distance in pixels at which an input pixel can change a logit. If None, the distance is
            unbounded, and maps depend on the tiling.
        metrics: Scores of the checkpoint by name; calibration scores have the prefix `calibration/`.
        versions: Versions of this project and of the libraries that wrote the package.
        weights_sha256: Hash of the weight file. For a network of another program, hash of the network in the ONNX file,
            without the file's metadata.
        onnx_sha256: Hash of the ONNX file; None if there is no ONNX file.
        scales: Scale of each band in the training images (measured = stored * scale + offset); None if unknown.
        offsets: Offset of each band in the training images; None if unknown.
        taught_by: Teacher of the training: its kind; names and hashes of its packages, or the hash of its maps; and
            number and hash of the unlabelled scenes. None if there was no teacher.
        adaptation: Origin of statistics that were adapted to a new place; None if the package was not adapted. In an
            adapted package, bands, mean, std, nodata, scales and offsets are those of the new place.
        features_sha256: Hash of the file that describes the features of the training images (`seg.package.features`);
            None if there is none.
        network: Origin of a network of another program, which has an ONNX file and no weight file. None for a network
            of this project.
        screener_sha256: Hash of the screener's file (`seg.package.screener`); None without a screener.
    """

    architecture: Mapping[str, Any]
    bands: tuple[int, ...]
    image_bands: int
    band_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    nodata: float | None
    pixel_size_m: float | None
    temperature: float
    bias: float
    threshold: float
    stride: int
    receptive_field: int | None
    metrics: Mapping[str, float]
    versions: Mapping[str, str]
    weights_sha256: str
    onnx_sha256: str | None = None
    scales: tuple[float, ...] | None = None
    offsets: tuple[float, ...] | None = None
    taught_by: Mapping[str, Any] | None = None
    adaptation: Adaptation | None = None
    features_sha256: str | None = None
    network: ForeignNetwork | None = None
    screener_sha256: str | None = None

    @property
    def normalises_scenes(self) -> bool:
        """True if the values of each scene must be matched to `mean` and `std` before the network gets them.

        See `seg.raster.scene_statistics.Matching`.
        """
        return bool(self.architecture["arguments"].get("normalisation") == "scene")

    @property
    def decision(self) -> str:
        """Threshold and calibration in words."""
        known = "not calibrated"
        if self.adaptation is not None:
            known = "as before the adaptation, and not measured since"
        if "calibration/ece_after" in self.metrics:
            before, after = (self.metrics[f"calibration/ece_{when}"] for when in ("before", "after"))
            known = f"calibration error {before:.3f} before, {after:.3f} after"
        scaling = f"temperature {self.temperature:.4g}, bias {self.bias:.4g}"
        return f"threshold {self.threshold:.4g}, {scaling} ({known})"

    def __post_init__(self) -> None:
        """Check types and ranges, which may be wrong in a damaged or edited file.

        Raises:
            ValueError: A value has another type or is out of range; the message names it.
        """
        for name, (fits, wanted) in _SCHEMA.items():
            value = getattr(self, name)
            if not fits(value):
                shown = " ".join(repr(value).split())
                raise ValueError(f"{name} is {shown if len(shown) <= 60 else shown[:57] + '...'}; wanted {wanted}")
        if len({len(self.bands), len(self.band_names), len(self.mean), len(self.std)}) != 1:
            raise ValueError("bands, band_names, mean and std have different lengths")
        for name in ("scales", "offsets"):
            if len(getattr(self, name) or self.bands) != len(self.bands):
                raise ValueError(f"{name} and bands have different lengths")
        if self.network is not None and self.onnx_sha256 is None:
            raise ValueError("onnx_sha256 is null, but the network is an ONNX file of another program")
        if max(self.bands) > self.image_bands:
            raise ValueError(f"bands are {list(self.bands)}, but image_bands is {self.image_bands}")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return _is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_hash(value: object) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")


def _all(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda values: isinstance(values, Sequence) and len(values) > 0 and all(map(fits, values))


def _in_range(least: float, most: float) -> Callable[[Any], bool]:
    return lambda value: _is_number(value) and least <= value <= most


def _or_none(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or fits(value)


def _of_texts(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda values: (
        isinstance(values, Mapping) and all(_is_text(key) and fits(value) for key, value in values.items())
    )


def _is_architecture(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and value.keys() == {"name", "arguments"}
        and _is_text(value["name"])
        and isinstance(value["arguments"], Mapping)
    )


def _is_adaptation(value: object) -> bool:
    return (
        isinstance(value, Adaptation)
        and _is_hash(value.parent_sha256)
        and _of_texts(_is_hash)(value.scenes)
        and _in_range(0, 1)(value.mix)
        and _is_whole(value.pixels)
    )


def _is_network(value: object) -> bool:
    return (
        isinstance(value, ForeignNetwork)
        and _is_text(value.file)
        and _is_hash(value.sha256)
        and _is_whole(value.classes)
        and _all(lambda number: _is_whole(number) and 0 <= number < value.classes)(value.cropland)
        and value.scores in {"logits", "softmax", "sigmoid"}
        and _is_whole(value.channels)
        and value.channels >= 1
    )


_SCHEMA: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "architecture": (_is_architecture, "an object with name and arguments"),
    "bands": (_all(lambda band: _is_whole(band) and band >= 1), "whole numbers from 1 on"),
    "image_bands": (lambda count: _is_whole(count) and count >= 1, "a whole number from 1 on"),
    "band_names": (_all(_is_text), "a list of texts"),
    "mean": (_all(_is_number), "finite numbers"),
    "std": (_all(lambda std: _is_number(std) and std > 0), "numbers above 0"),
    "nodata": (
        lambda value: value is None or _is_whole(value) or isinstance(value, float),
        "a number or null",
    ),
    "pixel_size_m": (
        _or_none(lambda side: _is_number(side) and 0 < side <= LARGEST_PIXEL_M),
        f"metres above 0, at most {LARGEST_PIXEL_M:,.0f}, or null",
    ),
    "temperature": (lambda value: _is_number(value) and value > 0, "a number above 0"),
    "bias": (_is_number, "a finite number"),
    "threshold": (_in_range(0, 1), "a number from 0 to 1"),
    "stride": (lambda stride: _is_whole(stride) and stride >= 1, "a whole number from 1 on"),
    "receptive_field": (
        _or_none(lambda radius: _is_whole(radius) and radius >= 0),
        "a whole number from 0 on, or null",
    ),
    "metrics": (_of_texts(lambda score: _is_whole(score) or isinstance(score, float)), "numbers by name"),
    "versions": (_of_texts(_is_text), "texts by name"),
    "weights_sha256": (_is_hash, "64 hexadecimal digits"),
    "onnx_sha256": (_or_none(_is_hash), "64 hexadecimal digits or null"),
    "scales": (_or_none(_all(_is_number)), "finite numbers or null"),
    "offsets": (_or_none(_all(_is_number)), "finite numbers or null"),
    "taught_by": (
        _or_none(lambda teacher: isinstance(teacher, Mapping) and _is_text(teacher.get("kind"))),
        "an object with the kind of the teacher, or null",
    ),
    "features_sha256": (_or_none(_is_hash), "64 hexadecimal digits or null"),
    "screener_sha256": (_or_none(_is_hash), "64 hexadecimal digits or null"),
    "adaptation": (_or_none(_is_adaptation), "an object with parent_sha256, scenes, mix and pixels, or null"),
    "network": (_or_none(_is_network), "an object with file, sha256, classes, cropland, scores and channels, or null"),
}


def description_text(package: ModelPackage) -> str:
    """Content of the description file of a package."""
    labels = {str(value): name for value, name in LABEL_NAMES.items()}
    values = asdict(package)
    # Earlier versions do not know these two names, and read packages without them.
    for name in ("network", "screener_sha256"):
        if values[name] is None:
            del values[name]
    number = FORMAT if package.network is None else FOREIGN_FORMAT
    return json.dumps({"format": number, "labels": labels, **values}, indent=2) + "\n"


def read_description(path: Path) -> ModelPackage:
    """Read a description file.

    Raises:
        PackageError: The file is damaged, has another format, or holds a value of a wrong type or range.
    """
    try:
        content: Any = read_json(path)
        found = content.pop("format")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _no_description(path, error) from error
    if found not in (FORMAT, FOREIGN_FORMAT):
        raise PackageError(
            f"{path}: has format {found}, this version reads {FORMAT} and {FOREIGN_FORMAT}; export the model again"
        )
    try:
        content.pop("labels")
        sequences = ("bands", "band_names", "mean", "std")
        values: dict[str, Any] = content | {name: tuple(content[name]) for name in sequences}
        for name in ("scales", "offsets"):  # Earlier versions wrote no scales and offsets.
            values[name] = None if content.get(name) is None else tuple(content[name])
        if content.get("adaptation") is not None:
            values["adaptation"] = Adaptation(**content["adaptation"])
        if content.get("network") is not None:
            network: dict[str, Any] = content["network"]
            values["network"] = ForeignNetwork(**network | {"cropland": tuple(network["cropland"])})
        if (found == FOREIGN_FORMAT) != (values.get("network") is not None):
            raise ValueError(f"format {FOREIGN_FORMAT} and a network of another program belong together")
        return ModelPackage(**values)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _no_description(path, error) from error


def _no_description(path: Path, error: Exception) -> PackageError:
    reason = " ".join(str(error).split())[:200]
    return PackageError(f"{path}: not a description of a model package ({reason}); export the model again")
