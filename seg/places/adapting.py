"""Adapt the statistics of a model package to a new place, and measure the change."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from seg.errors import ConfigError
from seg.inference.compute.torch_backend import TorchBackend
from seg.inference.settings import ComputeSettings
from seg.labels import IGNORE
from seg.package.description import Adaptation, ModelPackage
from seg.package.features import add_features, read_features
from seg.package.read import read_package
from seg.package.write import write_derived
from seg.places.norms import Movement, mix_in
from seg.places.sampling import (
    Batch,
    Place,
    SampledWindow,
    fitting_place,
    read_batches,
    sample_windows,
    scene_hashes,
)
from seg.places.settings import AdaptationSettings, PlaceSettings
from seg.raster.statistics import band_statistics
from seg.terminal.progress import with_progress

LOG = logging.getLogger(__name__)

BATCH = 8
"""Number of windows in a batch. Eight windows have half a megapixel, and their feature maps take about half a GiB in
the default network."""

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Adapted:
    """An adapted package, and its differences from the package that was adapted.

    Attributes:
        parent: Description of the package that was adapted.
        package: Description of the new package.
        place: Scenes of the new place.
        windows: Sampled windows.
        before: (SIDE, SIDE) probability of each window by the parent, in percent; 255 where there is no data.
        after: Probability by the new package, in the same form.
        movements: Change of the statistics of each norm.
    """

    parent: ModelPackage
    package: ModelPackage
    place: Place
    windows: Sequence[SampledWindow]
    before: Sequence[Bytes]
    after: Sequence[Bytes]
    movements: Sequence[Movement]


def adapt(
    model: Path, scenes: Sequence[Path], output: Path, reading: PlaceSettings, settings: AdaptationSettings
) -> Adapted:
    """Write a package with the band statistics and mixed BatchNorm statistics of a new place.

    The statistics are fixed before any map is made, so maps do not depend on the tiling. Only a few windows are in
    memory at a time, so memory does not depend on the number or size of the scenes.

    Args:
        model: Folder of the package to adapt; the package does not change.
        scenes: Scenes of the new place.
        output: Folder of the new package; an older package in it is replaced.
        reading: Bands, nodata, pixel size and device.
        settings: Mix and size of the sample.

    Raises:
        ConfigError: The output is the model's own folder, the device is unknown, or the model normalises each scene
            and the mix is 0, so that nothing would change.
        RasterError: No scene can be read, or no scene has a valid pixel.
        PackageError: The package is damaged or has an older format, a scene does not fit the package, or the output
            cannot be written.
    """
    if output.resolve() == model.resolve():
        raise ConfigError(
            f"output {output} is the folder of the model, which must not be replaced; name another folder"
        )
    parent = read_package(model)
    if parent.normalises_scenes and not settings.mix:
        raise ConfigError(
            f"{model}: normalises each scene by its own statistics, so it needs no new band statistics; map the scenes "
            "with this model, or adapt BatchNorm too with --mix above 0"
        )
    place = fitting_place(scenes, parent, reading)
    backend = TorchBackend(model, parent, ComputeSettings(device=reading.device, precision="32"))
    windows = sample_windows(place, settings.windows)
    before = _probabilities(backend, place, windows, "before")
    statistics = band_statistics(_valid_pixels(place, windows))
    network = backend.model
    if not parent.normalises_scenes:
        network.normalization.fill(statistics.mean, statistics.std)
    fill = network.normalization.mean.tolist()
    batches = (
        (torch.from_numpy(image).to(backend.device), torch.from_numpy(valid).to(backend.device))
        for image, valid in with_progress(_mingled_batches(place, windows, fill), "adapting")
    )
    movements = mix_in(network, batches, settings.mix)
    after = _probabilities(backend, place, windows, "after")
    origin = Adaptation(
        parent_sha256=parent.weights_sha256, scenes=scene_hashes(windows), mix=settings.mix, pixels=statistics.count
    )
    features = read_features(model, parent)
    package = write_derived(network, _of_place(parent, place, origin), output)
    if features is not None:
        # The features still describe the training images, so that `predict.py` can compare the place with these images.
        package = add_features(output, features)
    return Adapted(parent, package, place, windows, before, after, movements)


def _of_place(parent: ModelPackage, place: Place, origin: Adaptation) -> ModelPackage:
    """Description of the parent, changed where the images of the new place differ."""
    first = place.grids[0]
    names = tuple(first.band_names[band - 1] for band in place.bands) if first.band_names else ()
    scaling = [first.scaling[band - 1] for band in place.bands] if first.scaling else []
    if any(grid.scaling != first.scaling for grid in place.grids):
        LOG.warning(
            "%s and other scenes state different scales or offsets, so the new package has none; convert the scenes "
            "to the same units",
            first.path,
        )
        scaling = []
    return replace(
        parent,
        bands=place.bands,
        image_bands=first.bands,
        band_names=names if all(names) and names else parent.band_names,
        nodata=place.nodata,
        scales=tuple(scale for scale, _ in scaling) or None,
        offsets=tuple(offset for _, offset in scaling) or None,
        metrics={},
        adaptation=origin,
    )


def _mingled_batches(place: Place, windows: Sequence[SampledWindow], fill: Sequence[float]) -> Iterator[Batch]:
    """Batches of equal size; each batch has windows from all parts of the place."""
    batches = -(-len(windows) // BATCH)
    mingled = [window for start in range(batches) for window in windows[start::batches]]
    return read_batches(place, mingled, fill, -(-len(windows) // batches))


def _valid_pixels(place: Place, windows: Sequence[SampledWindow]) -> Iterator[npt.NDArray[np.float32]]:
    """(C, N) valid pixels of each window."""
    for window in windows:
        chip = place.read(window.grid, window.window, [0.0] * len(place.bands))
        yield chip.image[:, chip.valid]


def _probabilities(backend: TorchBackend, place: Place, windows: Sequence[SampledWindow], when: str) -> list[Bytes]:
    """Probability of each window in percent, 255 where there is no data."""
    maps = []
    mean = backend.model.normalization.mean.tolist()
    for images, valid in with_progress(read_batches(place, windows, mean, 1), f"map {when}", len(windows)):
        percent = np.rint(backend.start(images[0])() * 100).astype(np.uint8)
        maps.append(np.where(valid[0], percent, np.uint8(IGNORE)))
    return maps
