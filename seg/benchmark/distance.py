"""Distance of changed images from the training images, compared with the loss of IoU that the changes cause."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr

from seg.benchmark.reporting import check_results, use_threads, write_results
from seg.benchmark.settings import DistanceSettings
from seg.data.dataset.catalogue import Scene, read_catalogue
from seg.errors import PackageError
from seg.evaluation.counts.confusion import ConfusionCounts, count_pixels, ratio
from seg.inference.compute.member import Member
from seg.inference.compute.torch_backend import TorchBackend
from seg.inference.settings import ComputeSettings
from seg.inference.unlikeness import pooled_patches
from seg.labels import IGNORE
from seg.package.description import ModelPackage
from seg.package.features import FeatureDescription, read_features
from seg.package.read import read_package
from seg.places.sampling import fitting_place, sample_windows
from seg.places.settings import PlaceSettings
from seg.raster.chips import BoolMask, ByteMask, FloatImage
from seg.raster.classes import read_classes
from seg.raster.grid import open_raster
from seg.raster.statistics import scene_band_statistics
from seg.terminal.progress import with_progress
from seg.terminal.text import text_table

Shift = Callable[[FloatImage], FloatImage]
"""Change of a (C, H, W) image in stored units."""

PLAIN = "none"
"""Name of the images as they are stored."""

GREAT_LOSS = 0.1
"""Loss of IoU above which a warning is due."""


@dataclass(frozen=True)
class Shifted:
    """Results on the images of one shift.

    Attributes:
        name: Name of the shift, or of another dataset.
        distance: Median distance of the windows from the training images.
        unlike: True if the distance is beyond the limit of the model.
        iou: IoU of cropland, 0 to 1.
        mean_iou: Mean IoU of cropland and other, 0 to 1.
    """

    name: str
    distance: float
    unlike: bool
    iou: float
    mean_iou: float


@dataclass(frozen=True)
class _Window:
    """Pixels of a window with NaN without data, validity, labels, and path of its scene."""

    image: FloatImage
    valid: BoolMask
    labels: ByteMask
    scene: Path


def shifts(package: ModelPackage) -> dict[str, Shift]:
    """Changes of images by name: gain, offset, haze, blur, noise, and other orders of the bands.

    Args:
        package: Model whose band statistics scale the changes.
    """
    std = np.asarray(package.std, np.float32)[:, None, None]
    bands = len(std)
    falling = np.linspace(1, 1 / bands, bands, dtype=np.float32)[:, None, None]
    uneven = np.linspace(0.7, 1.4, bands, dtype=np.float32)[:, None, None]
    found = {PLAIN: _linear(1.0, np.zeros_like(std))}
    found |= {f"gain {gain}": _linear(gain, 0 * std) for gain in (0.6, 0.8, 1.25, 1.6, 2.2)}
    found |= {f"offset {by:+g} deviations": _linear(1.0, by * std) for by in (-1.0, -0.5, 0.5, 1.0, 2.0)}
    found |= {f"haze {by:g} deviations": _linear(1.0, by * std * falling) for by in (0.5, 1.0, 2.0)}
    found |= {f"blur {sigma:g} pixels": _blur(sigma) for sigma in (1.0, 2.0, 4.0)}
    found |= {f"noise {by:g} deviations": _noise(by * std) for by in (0.3, 1.0)}
    if bands > 1:
        found["gain rising over the bands"] = lambda image: image * uneven
        found["gain falling over the bands"] = lambda image: image * uneven[::-1]
        found["bands in reverse order"] = lambda image: image[::-1]
        found["bands in another order"] = lambda image: np.roll(image, 1, axis=0)
        found["every band grey"] = lambda image: np.broadcast_to(image.mean(axis=0), image.shape)
    return found


def _linear(gain: float, offset: FloatImage) -> Shift:
    return lambda image: image * np.float32(gain) + offset


def _blur(sigma: float) -> Shift:
    """Gaussian blur of a standard deviation in pixels; pixels without data widen by the blur."""
    return lambda image: np.stack([gaussian_filter(band, sigma, mode="nearest", truncate=2) for band in image])


def _noise(std: FloatImage) -> Shift:
    random = np.random.default_rng(0)
    return lambda image: image + random.standard_normal(image.shape, dtype=np.float32) * std


def compare_distances(settings: DistanceSettings) -> list[Shifted]:
    """Distance and scores of a model on the held-out images of a dataset under every shift, and on other datasets.

    Args:
        settings: Options of the benchmark.

    Raises:
        PackageError: The model does not describe the features of its training images, or does not fit a dataset.
        DatasetError: A dataset is damaged, or its fold holds no scene.
        RasterError: A file cannot be read.
    """
    package = read_package(settings.model)
    known = read_features(settings.model, package)
    backend = TorchBackend(settings.model, package, ComputeSettings(device="cpu"))
    if known is None or not backend.has_features:
        raise PackageError(
            f"{settings.model}: does not describe the features of its training images; export it again with --data"
        )
    member = Member(backend, package, features=known)
    held_out = [scene for scene in read_catalogue(settings.root, settings.folds) if scene.fold == settings.fold]
    windows = _windows(held_out, package, settings.windows)
    cases: list[tuple[str, Sequence[_Window], Shift]] = [
        (name, windows, shift) for name, shift in shifts(package).items()
    ]
    for other in settings.others:
        pictured = _windows(read_catalogue(other, settings.folds), package, settings.windows)
        cases.append((str(other), pictured, lambda image: image))
    return [_measured(name, parts, shift, member, known) for name, parts, shift in with_progress(cases, "shifts")]


def _windows(scenes: Sequence[Scene], package: ModelPackage, count: int) -> list[_Window]:
    """Sampled windows of labelled scenes with their labels."""
    by_image: Mapping[Path, Scene] = {scene.image: scene for scene in scenes}
    place = fitting_place(list(by_image), package, PlaceSettings(device="cpu"))
    found = []
    for sampled in sample_windows(place, count):
        scene = by_image[sampled.grid.path]
        chip = place.read(sampled.grid, sampled.window, [np.nan] * len(place.bands))
        with open_raster(scene.mask) as mask:
            labels = read_classes(mask, sampled.window, scene.labels)
        found.append(_Window(chip.image, chip.valid, labels, scene.image))
    return found


def _measured(
    name: str, windows: Sequence[_Window], shift: Shift, member: Member, known: FeatureDescription
) -> Shifted:
    counts, distances = ConfusionCounts(), []
    for scene in dict.fromkeys(window.scene for window in windows):
        parts = [window for window in windows if window.scene == scene]
        images = [np.ascontiguousarray(shift(window.image)) for window in parts]
        for window, image in zip(parts, _as_read(images, parts, member), strict=True):
            vectors = pooled_patches(member.backend.features(image), window.valid, member.package.stride)
            if len(vectors):
                distances.append(known.window_distance(vectors))
            mapped = (member.backend.start(image)() > member.package.threshold).astype(np.uint8)
            counts += count_pixels(np.where(window.valid, mapped, np.uint8(IGNORE)), window.labels)
    distance = float(np.median(distances))
    cropland, other = (ratio(right, counts.compared - wrong) or 0.0 for right, wrong in _sides(counts))
    return Shifted(name, distance, distance > known.limit, cropland, (cropland + other) / 2)


def _as_read(images: Sequence[FloatImage], windows: Sequence[_Window], member: Member) -> Iterator[FloatImage]:
    """The images of one scene as the network gets them; the shifted windows count as the scene."""
    if member.package.normalises_scenes:
        pixels = [image[:, window.valid] for image, window in zip(images, windows, strict=True)]
        member = member.of_scene(scene_band_statistics(pixels, len(images[0])))
    return (member.own_pixels(image) for image in images)


def _sides(counts: ConfusionCounts) -> tuple[tuple[int, int], tuple[int, int]]:
    """Correct pixels of each class, and correct pixels of the other class, which its union does not hold."""
    return (counts.tp, counts.tn), (counts.tn, counts.tp)


def benchmark_distance(settings: DistanceSettings, output: Path | None) -> None:
    """Run the benchmark, and print its table and the rank correlations.

    Args:
        settings: Options of the benchmark.
        output: JSON file for the figures; None for text only.

    Raises:
        ConfigError: The file cannot be written.
        SegError: As for `compare_distances`.
    """
    check_results(output)
    use_threads(settings.threads)
    results = compare_distances(settings)
    print(text_of(results))
    correlations = {"iou": rank_correlation(results, "iou"), "mean_iou": rank_correlation(results, "mean_iou")}
    write_results({"shifts": [asdict(result) for result in results], "rank_correlation": correlations}, output)


def rank_correlation(results: Sequence[Shifted], score: str) -> float:
    """Spearman's rank correlation between the distance and the loss of a score over all shifts.

    Args:
        results: Results of all shifts; the first is without a shift and does not count.
        score: "iou" or "mean_iou".
    """
    plain, *shifted = results
    losses = [getattr(plain, score) - getattr(one, score) for one in shifted]
    return float(spearmanr([one.distance for one in shifted], losses).statistic)


def text_of(results: Sequence[Shifted]) -> str:
    """Table of the shifts in the order of their distances, and the rank correlations."""
    plain, *shifted = results
    rows = [
        [one.name, f"{one.distance:.2f}", "yes" if one.unlike else "", f"{one.iou:.3f}", f"{one.mean_iou:.3f}"]
        for one in [plain, *sorted(shifted, key=lambda one: one.distance)]
    ]
    table = text_table(["shift", "distance", "warns", "IoU of cropland", "mean IoU of both classes"], rows)
    great = [one for one in shifted if plain.mean_iou - one.mean_iou > GREAT_LOSS]
    small = [one for one in shifted if one not in great]
    return "\n".join(
        [
            table,
            f"rank correlation over {len(shifted)} shifts: {rank_correlation(results, 'iou'):.2f} with the loss of the "
            f"IoU of cropland, {rank_correlation(results, 'mean_iou'):.2f} with the loss of the mean IoU",
            f"warnings: {sum(one.unlike for one in great)} of {len(great)} shifts that lower the mean IoU by more than "
            f"{100 * GREAT_LOSS:g} points, {sum(one.unlike for one in small)} of {len(small)} others",
        ]
    )
