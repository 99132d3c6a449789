"""Distance of a scene from the training images of a model, measured on the deepest features of the network."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from rasterio.windows import Window

from seg.errors import RasterError
from seg.inference.area_of_interest import Area
from seg.inference.compute.backends import Features
from seg.inference.compute.member import Member
from seg.package.features import Vectors
from seg.raster.chips import BoolMask, Reading, read_chip
from seg.raster.grid import Grid, open_raster
from seg.raster.sources import reads_server
from seg.raster.windows import window_grid

SIDE = 256
"""Side in pixels of a sampled window, in training and in a scene."""

PATCH = 64
"""Side in pixels of the patches whose features are averaged; a patch holds a few fields."""

MOST = 16
"""Largest number of windows that are sampled in a scene."""

WORTH = 0.05
"""Largest share of the scene that is sampled."""

FEWEST = 4
"""Smallest number of sampled windows. In a small scene, they may cover more than the share WORTH."""

FULL_ENOUGH = 0.5
"""A patch is used if at least this share of its pixels is valid."""


@dataclass(frozen=True)
class Unlikeness:
    """Distance of a scene from the training images.

    Attributes:
        distance: Median distance of the sampled windows; about 1 for training images.
        limit: 99th percentile of the distances of the training windows.
        share_nearer: Share of the training windows with a smaller distance, 0 to 1.
    """

    distance: float
    limit: float
    share_nearer: float

    @property
    def unlike(self) -> bool:
        """True if the scene lies beyond the limit."""
        return self.distance > self.limit

    def __str__(self) -> str:
        where = "beyond" if self.unlike else "within"
        return (
            f"distance {self.distance:.2f} from the training images, {where} their 99th percentile of {self.limit:.2f} "
            f"({self.share_nearer:.0%} of the training windows are nearer)"
        )


def pooled_patches(features: Features, valid: BoolMask, stride: int, patch: int = PATCH) -> Vectors:
    """(N, F) mean features of each patch of a window; patches with too few valid pixels are left out.

    Args:
        features: (F, h, w) of the window.
        valid: (H, W) validity of the window's pixels.
        stride: Distance in pixels between neighbouring cells of the features.
        patch: Side of a patch in pixels.
    """
    cells = max(patch // stride, 1)
    side = cells * stride
    vectors = [
        features[:, top : top + cells, left : left + cells].mean(axis=(1, 2), dtype=np.float64)
        for top in range(0, features.shape[1], cells)
        for left in range(0, features.shape[2], cells)
        if _full_enough(valid[top * stride : top * stride + side, left * stride : left * stride + side])
    ]
    return np.array(vectors, dtype=np.float64).reshape(-1, features.shape[0])


def _full_enough(valid: BoolMask) -> bool:
    return bool(valid.mean() >= FULL_ENOUGH)


def scene_unlikeness(grid: Grid, area: Area | None, reading: Reading, members: Sequence[Member]) -> Unlikeness | None:
    """Distance of a scene from the training images.

    If there are several models, the result belongs to the model with the highest ratio of distance to limit.

    Args:
        grid: Grid of the scene.
        area: The part to map; None for the whole scene.
        reading: Bands, fill values and nodata.
        members: The models.

    Returns:
        None if no model describes its training features, if no sampled window holds enough data, or if the scene is on
        a server, since its tiles would be fetched twice.

    Raises:
        RasterError: The scene cannot be opened.
    """
    known = [(member, member.features) for member in members if member.features and member.backend.has_features]
    if not known or reads_server(grid.path):
        return None
    found: list[list[float]] = [[] for _ in known]
    with open_raster(grid.path) as dataset:
        for window in sampled_windows(grid, area):
            try:
                chip = read_chip(dataset, window, reading)
            except RasterError:
                continue  # Mapping reports windows that cannot be read.
            for (member, description), distances in zip(known, found, strict=True):
                features = member.backend.features(member.own_pixels(chip.image))
                vectors = pooled_patches(features, chip.valid, member.package.stride)
                if len(vectors):
                    distances.append(description.window_distance(vectors))
    measured = [
        Unlikeness(
            float(np.median(distances)), description.limit, description.share_nearer(float(np.median(distances)))
        )
        for (_, description), distances in zip(known, found, strict=True)
        if distances
    ]
    return max(measured, key=lambda one: one.distance / one.limit, default=None)


def sampled_windows(grid: Grid, area: Area | None) -> list[Window]:
    """Windows spread over the mapped part of a scene; each call gives the same windows."""
    windows = list(window_grid(grid.height, grid.width, SIDE, SIDE))
    count = min(MOST, max(FEWEST, int(WORTH * len(windows))))
    order = (windows[number] for number in np.random.default_rng(0).permutation(len(windows)))
    return list(islice((window for window in order if area is None or area.intersects(window)), count))
