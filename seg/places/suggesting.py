"""Choice of squares to label next. The model is uncertain in these squares. The squares differ and lie far apart."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import shapely
from rasterio.windows import Window

from seg.errors import PackageError, RasterError
from seg.inference.compute.backends import Backend, Features, Probability
from seg.inference.compute.choose_backend import open_backend
from seg.inference.settings import ComputeSettings
from seg.inference.unlikeness import pooled_patches
from seg.package.description import ModelPackage
from seg.package.features import Vectors
from seg.package.read import read_package
from seg.places.choosing import Candidates, choose_squares
from seg.places.ground import LabelledGround, example_points, labelled_ground, outline_of, pixel_of, zone_names
from seg.places.sampling import SIDE, Place, fitting_place
from seg.places.settings import PlaceSettings, SuggestionSettings
from seg.raster.chips import BoolMask
from seg.raster.grid import Grid
from seg.raster.windows import window_grid
from seg.terminal.progress import with_progress

MOST_CANDIDATES = 2000
"""Largest number of candidates. If a place has more squares, the candidates are selected at random."""

MOST_LOOKS = 16
"""Largest number of windows of SIDE x SIDE pixels that are computed in a square."""

SMALL_PATCH = 32
"""Side in pixels of the patches of a square that are compared with examples."""

LEAST_VALID = 0.5
"""Smallest share of valid pixels in a candidate."""


@dataclass(frozen=True)
class Square:
    """A suggested square.

    Attributes:
        grid: Grid of its scene.
        window: Its pixels.
        outline: Outline in WGS 84, longitude first.
        zone: Name of its zone; empty if there are no zones.
        score: Product of uncertainty and novelty, or similarity to the examples.
        reason: Explanation for the person who labels the square.
    """

    grid: Grid
    window: Window
    outline: shapely.Polygon
    zone: str
    score: float
    reason: str


@dataclass(frozen=True)
class _Look:
    """Measurements of a candidate."""

    grid: Grid
    window: Window
    entropy: float
    vector: Vectors
    similarity: float = math.nan


@dataclass(frozen=True)
class Suggestion:
    """Result of a search.

    Attributes:
        place: Scenes of the place.
        package: Description of the model.
        squares: Suggested squares, in the order in which to label them.
        candidates: Number of candidates.
        labelled: Number of squares that were left out because they have labels.
    """

    place: Place
    package: ModelPackage
    squares: Sequence[Square]
    candidates: int
    labelled: int


def suggest(model: Path, scenes: Sequence[Path], reading: PlaceSettings, settings: SuggestionSettings) -> Suggestion:
    """Suggest squares of a place to label.

    The scores combine uncertainty sampling with core sets (Sener and Savarese 2018, https://arxiv.org/abs/1708.00489).

    Args:
        model: Folder of a model package.
        scenes: Scenes of the place.
        reading: Bands, nodata, pixel size and device.
        settings: Number, size, distance, zones, labels and examples.

    Raises:
        RasterError: No scene can be read, a scene has no pixel size in metres, no square has enough data, or a vector
            file cannot be read.
        PackageError: The package is damaged, a scene does not fit the package, or its network has no features.
    """
    package = read_package(model)
    place = fitting_place(scenes, package, reading)
    backend = open_backend(model, package, ComputeSettings(device=reading.device))
    if not backend.has_features:
        raise PackageError(f"{model}: its network has no encoder, so squares cannot be compared; use another model")
    squares = _candidate_squares(place, settings.size_m)
    ground = labelled_ground(settings.labelled) if settings.labelled else None
    known, free = _parted(squares, ground)
    if not free:
        raise RasterError(f"{place.grids[0].path}: every square is labelled already; name other scenes")
    looks = _look_at(place, backend, package, free)
    if not looks:
        raise RasterError(
            f"{place.grids[0].path}: no square has data in half of its pixels; check the scene's nodata value"
        )
    if settings.like is not None:
        looks = _compared(place, backend, package, looks, settings.like)
    outlines = [outline_of(look.grid, look.window) for look in looks]
    zones = zone_names(outlines, settings.zones, settings.zone_column) if settings.zones else [""] * len(looks)
    candidates = Candidates(
        np.array([look.entropy for look in looks]),
        np.stack([look.vector for look in looks]),
        _centres(outlines),
        zones,
        None if settings.like is None else np.array([look.similarity for look in looks]),
        _vectors_of(place, backend, package, known) if settings.like is None else None,
    )
    chosen = choose_squares(candidates, settings.count, settings.least_distance_m)
    found = [
        Square(
            looks[one.index].grid, looks[one.index].window, outlines[one.index], zones[one.index], one.score, one.reason
        )
        for one in chosen
    ]
    return Suggestion(place, package, found, len(looks), len(known))


def _candidate_squares(place: Place, size_m: float) -> list[tuple[Grid, Window]]:
    """Squares that tile the scenes, with a side in metres; a scene that is smaller than a square is one candidate."""
    squares: list[tuple[Grid, Window]] = []
    for grid in place.grids:
        pixel = grid.pixel_size_m
        if pixel is None:
            raise RasterError(f"{grid.path}: has no CRS, so squares have no size in metres; georeference the scene")
        side = max(round(size_m / pixel), 1)
        rows, columns = min(side, grid.height), min(side, grid.width)
        squares += [
            (grid, window)
            for window in window_grid(grid.height, grid.width, side, side)
            if (window.height, window.width) == (rows, columns)
        ]
    order = np.random.default_rng(0).permutation(len(squares))[:MOST_CANDIDATES]
    return [squares[number] for number in sorted(order)]


def _parted(
    squares: Sequence[tuple[Grid, Window]], ground: LabelledGround | None
) -> tuple[list[tuple[Grid, Window]], list[tuple[Grid, Window]]]:
    """Squares that have labels, and squares that have none."""
    parts: tuple[list[tuple[Grid, Window]], ...] = [], []
    for square in squares:
        parts[0 if ground is not None and ground.overlaps(outline_of(*square)) else 1].append(square)
    return parts[0], parts[1]


def _vectors_of(
    place: Place, backend: Backend, package: ModelPackage, squares: Sequence[tuple[Grid, Window]]
) -> Vectors | None:
    """(M, F) pooled features of labelled squares; None if there are no such squares with enough data."""
    looks = _look_at(place, backend, package, squares)
    return np.stack([look.vector for look in looks]) if looks else None


def _look_at(
    place: Place, backend: Backend, package: ModelPackage, squares: Sequence[tuple[Grid, Window]]
) -> list[_Look]:
    looks = []
    for grid, window in with_progress(squares, "looking at squares"):
        entropies, vectors, valid = [], [], 0.0
        parts = _parts(window)
        for part in parts:
            seen = _seen(place, backend, package, grid, part)
            valid += float(seen.valid.mean()) / len(parts)
            pooled = pooled_patches(seen.features, seen.valid, package.stride)
            if len(pooled):
                vectors.append(pooled.mean(axis=0))
                entropies.append(float(_entropy(seen.probability())[seen.valid].mean()))
        if vectors and valid >= LEAST_VALID:
            looks.append(_Look(grid, window, float(np.mean(entropies)), np.mean(vectors, axis=0)))
    return looks


@dataclass(frozen=True)
class _Seen:
    """Features, validity and probability of a window; a small window is computed with context around it."""

    features: Features
    valid: BoolMask
    probability: Callable[[], Probability]


def _seen(place: Place, backend: Backend, package: ModelPackage, grid: Grid, window: Window) -> _Seen:
    stride = package.stride
    # The margin is a multiple of the stride, so that a cell of the features starts at the window's corner.
    above, left = (
        min(max(SIDE - int(length), 0) // 2, int(start)) // stride * stride
        for length, start in ((window.height, window.row_off), (window.width, window.col_off))
    )
    corner = window.col_off - left, window.row_off - above
    width = min(max(SIDE, left + int(window.width)), grid.width - corner[0])
    height = min(max(SIDE, above + int(window.height)), grid.height - corner[1])
    chip = place.network_input(grid, Window(*corner, width, height), package.mean)
    rows, columns = slice(above, above + int(window.height)), slice(left, left + int(window.width))
    cells = (slice(part.start // stride, -(-part.stop // stride)) for part in (rows, columns))
    features = backend.features(chip.image)[:, *cells]
    return _Seen(features, chip.valid[rows, columns], lambda: backend.start(chip.image)()[rows, columns])


def _parts(square: Window) -> list[Window]:
    """Windows of at most SIDE pixels that tile a square. At most MOST_LOOKS windows are kept, evenly spaced."""
    parts = [
        Window(square.col_off + part.col_off, square.row_off + part.row_off, part.width, part.height)
        for part in window_grid(int(square.height), int(square.width), SIDE, SIDE)
    ]
    step = max(1, len(parts) / MOST_LOOKS)
    return [parts[int(number * step)] for number in range(min(len(parts), MOST_LOOKS))]


def _entropy(probability: npt.NDArray[np.float32]) -> Vectors:
    """Entropy of each pixel in bits, 0 to 1."""
    p = np.clip(probability.astype(np.float64), 1e-9, 1 - 1e-9)
    bits: Vectors = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    return bits


def _compared(place: Place, backend: Backend, package: ModelPackage, looks: Sequence[_Look], like: Path) -> list[_Look]:
    """Candidates with their cosine similarity to examples, averaged over the most similar tenth of their patches.

    Features are centred first, since features after a ReLU are never negative and all have a high cosine similarity.
    """
    centre = np.mean([look.vector for look in looks], axis=0)
    examples = np.stack([_unit(vector - centre) for vector in _example_vectors(place, backend, package, like)])
    compared = []
    for look in with_progress(looks, "comparing with the examples"):
        similarities: list[float] = []
        for part in _parts(look.window):
            seen = _seen(place, backend, package, look.grid, part)
            patches = pooled_patches(seen.features, seen.valid, package.stride, SMALL_PATCH)
            similarities += (_unit(patches - centre) @ examples.T).max(axis=1).tolist()
        nearest = sorted(similarities)[-max(1, len(similarities) // 10) :]
        compared.append(replace(look, similarity=float(np.mean(nearest)) if nearest else -1.0))
    return compared


def _example_vectors(place: Place, backend: Backend, package: ModelPackage, like: Path) -> Iterator[Vectors]:
    """Mean features of the cells around each example within a scene."""
    found = False
    for point in example_points(like):
        for grid in place.grids:
            row, column = pixel_of(grid, point)
            if not (0 <= row < grid.height and 0 <= column < grid.width):
                continue
            side = max(SMALL_PATCH // package.stride, 1) * package.stride
            top, left = (max(0, centre - side // 2) // package.stride * package.stride for centre in (row, column))
            window = Window(left, top, min(side, grid.width - left), min(side, grid.height - top))
            found = True
            yield _seen(place, backend, package, grid, window).features.mean(axis=(1, 2), dtype=np.float64)
            break
    if not found:
        raise RasterError(f"{like}: no example is in a scene; check the CRS and the points of the file")


def _unit(vectors: Vectors) -> Vectors:
    lengths: Vectors = np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
    return vectors / lengths


def _centres(outlines: Sequence[shapely.Polygon]) -> Vectors:
    """(N, 2) longitude and latitude of the centre of each outline."""
    return np.array([(outline.centroid.x, outline.centroid.y) for outline in outlines])
