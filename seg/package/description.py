"""What a model package says of its network, without loading the weights.

The network, as weights and as ONNX, gives plain logits. Whoever makes probabilities of those of cropland takes
`temperature` and `bias` of the description: probability = sigmoid(logit / temperature + bias).
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from seg.errors import PackageError
from seg.labels import LABEL_NAMES

WEIGHTS = "model.safetensors"
DESCRIPTION = "model.json"
ONNX = "model.onnx"
FORMAT = 3


@dataclass(frozen=True, kw_only=True)
class ModelPackage:
    """What is known of a trained model without loading its weights.

    Attributes:
        architecture: Name of the network and the arguments that build it.
        bands: 1-based bands of the training images, in the order the model wants them.
        image_bands: How many bands the training images had.
        band_names: One for each of `bands`; empty strings where the training images had none.
        mean: The training split's mean of each band, in stored units; invalid pixels are filled with it.
        std: The training split's standard deviation of each band.
        nodata: A value that meant "no data" in training although the files did not say so, or None.
        pixel_size_m: Pixel side of the training images in metres, or None where they had no CRS.
        temperature: What logits of cropland are divided by before they become probabilities; 1 changes nothing.
        bias: What is added to them then; 0 changes nothing.
        threshold: Probability, after temperature and bias, above which a pixel is cropland.
        stride: Pixels after which the model repeats itself; blocks align to it.
        receptive_field: Pixels over which an input can reach a logit, to each side; None where the network sees the
            whole of a window, so that a map depends on how the scene was cut.
        metrics: Scores of the checkpoint, by name; those of its calibration begin with `calibration/`.
        versions: Of this project and of the libraries that wrote the package.
        weights_sha256: Hash of the weight file.
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

    @property
    def decision(self) -> str:
        """How logits become classes, in words."""
        known = "not calibrated"
        if "calibration/ece_after" in self.metrics:
            before, after = (self.metrics[f"calibration/ece_{when}"] for when in ("before", "after"))
            known = f"calibration error {before:.3f}, {after:.3f} after it"
        scaling = f"temperature {self.temperature:.4g}, bias {self.bias:.4g}"
        return f"threshold {self.threshold:.4g}, {scaling} ({known})"

    def __post_init__(self) -> None:
        """Check what a damaged or edited description could break.

        Raises:
            ValueError: A value cannot be.
        """
        if len({len(self.bands), len(self.band_names), len(self.mean), len(self.std)}) != 1 or not self.bands:
            raise ValueError("bands, band_names, mean and std must be as many")
        if min(self.bands) < 1 or max(self.bands) > self.image_bands:
            raise ValueError(f"bands are {self.bands} of {self.image_bands}")
        if not min(self.std) > 0 or not 0 <= self.threshold <= 1 or self.stride < 1 or (self.receptive_field or 0) < 0:
            raise ValueError("std, threshold, stride or receptive_field is out of range")
        if not 0 < self.temperature < math.inf or not math.isfinite(self.bias):
            raise ValueError(f"temperature is {self.temperature} and bias {self.bias}")


def description_text(package: ModelPackage) -> str:
    """The contents of the description file of a package."""
    labels = {str(value): name for value, name in LABEL_NAMES.items()}
    return json.dumps({"format": FORMAT, "labels": labels, **asdict(package)}, indent=2) + "\n"


def read_description(path: Path) -> ModelPackage:
    """What a description file says.

    Raises:
        PackageError: It is damaged, of another format, or has a value that cannot be.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = content.pop("format")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _no_description(path, error) from error
    if found != FORMAT:
        raise PackageError(f"{path}: has format {found}, this version reads {FORMAT}; export the model again")
    try:
        content.pop("labels")
        sequences = ("bands", "band_names", "mean", "std")
        values: dict[str, Any] = content | {name: tuple(content[name]) for name in sequences}
        return ModelPackage(**values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _no_description(path, error) from error


def _no_description(path: Path, error: Exception) -> PackageError:
    return PackageError(f"{path}: not a description of a model package ({error}); export the model again")
