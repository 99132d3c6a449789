"""The distances at which boundaries are scored, on the ground and in the pixels of each scene."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from seg.evaluation.counts.boundary import Reach, reach
from seg.raster.grid import Grid
from seg.raster.ground.distances import ground_pixel

DEFAULT_PIXELS = (1, 2, 4)


@dataclass(frozen=True)
class Tolerances:
    """Distances at which boundaries are scored.

    Attributes:
        values: The distances, growing.
        metric: Whether they are in metres; in pixels otherwise.
    """

    values: tuple[float, ...]
    metric: bool

    def reaches(self, grid: Grid) -> list[Reach]:
        """What pixels of a scene lie within each.

        Args:
            grid: The scene's.
        """
        pixel = (ground_pixel(grid) if self.metric else None) or (1.0, 1.0)
        return [reach(value, pixel) for value in self.values]


def fitting_tolerances(grids: Sequence[Grid], wanted: Sequence[float] | None) -> Tolerances:
    """The tolerances for scenes: in metres if the place of all is known.

    Args:
        grids: The scenes'.
        wanted: What was asked for; None for one, two and four pixels of the scene whose are largest.
    """
    pixels = [ground_pixel(grid) for grid in grids]
    sides = [max(pixel) for pixel in pixels if pixel is not None]
    metric = len(sides) == len(pixels)
    if wanted is not None:
        return Tolerances(tuple(sorted(set(wanted))), metric)
    # Rounded up to centimetres, so that a pixel's own side is within them.
    side = math.ceil(round(max(sides) * 100, 6)) / 100 if metric else 1.0
    return Tolerances(tuple(side * pixels for pixels in DEFAULT_PIXELS), metric)
