"""Model packages of networks that other programs wrote as ONNX files."""

import hashlib
from importlib.metadata import version
from pathlib import Path

from seg import __version__
from seg.errors import ConfigError, require_option
from seg.files import sha256
from seg.models.foreign.converting import Converted, convert
from seg.package.description import ForeignNetwork, ModelPackage
from seg.package.foreign_settings import ForeignSettings
from seg.package.write import replace_package


def write_foreign_package(settings: ForeignSettings, folder: Path, threshold: float) -> ModelPackage:
    """Write the package of an ONNX network of another program.

    The ONNX file of the package holds the normalisation, the network and the logit of cropland. This function compares
    it with the original network, and measures its stride and receptive field.

    Args:
        settings: The file, and statements about it.
        folder: Folder to write, as in `seg.package.write.write_package`.
        threshold: Probability above which a pixel is cropland, 0 to 1.

    Raises:
        PackageError: The file is unsafe or damaged, or its network cannot be used, for example because its result
            depends on the position of the window.
        ConfigError: The settings lack the file, the bands, mean or std; or the threshold is out of range.
        ClaimError: Another process is writing the folder.
    """
    if settings.onnx_from is None or settings.bands is None or settings.mean is None or settings.std is None:
        raise ConfigError("wanted an ONNX file, its bands, mean and std")
    require_option(0 <= threshold <= 1, "threshold", threshold, "0 to 1")
    converted = convert(settings.onnx_from, settings.wanted)
    network, weights_sha256 = _stamped(converted)
    numbers = [band if isinstance(band, int) else place for place, band in enumerate(settings.bands, start=1)]
    package = ModelPackage(
        architecture={"name": "onnx", "arguments": {}},
        bands=tuple(numbers),
        image_bands=max(numbers),
        band_names=tuple("" if isinstance(band, int) else band for band in settings.bands),
        mean=tuple(settings.mean),
        std=tuple(settings.std),
        nodata=None,
        pixel_size_m=settings.pixel_size_m,
        temperature=1.0,
        bias=0.0,
        threshold=threshold,
        stride=converted.measured.stride,
        receptive_field=converted.measured.receptive_field,
        metrics={},
        versions={"cropland-seg": __version__} | {name: version(name) for name in ("onnx", "onnxruntime")},
        weights_sha256=weights_sha256,
        onnx_sha256=hashlib.sha256(network).hexdigest(),
        network=ForeignNetwork(
            file=settings.onnx_from.name,
            sha256=sha256(settings.onnx_from),
            classes=converted.scores.count,
            cropland=converted.scores.cropland,
            scores=converted.scores.kind,
            channels=converted.measured.channels,
        ),
    )
    replace_package(folder, network, package)
    return package


def _stamped(converted: Converted) -> tuple[bytes, str]:
    """Content of the ONNX file with the hash of its network in the metadata, and this hash."""
    from onnx import helper

    found = hashlib.sha256(converted.model.SerializeToString(deterministic=True)).hexdigest()
    helper.set_model_props(converted.model, {"weights_sha256": found})
    return converted.model.SerializeToString(deterministic=True), found
