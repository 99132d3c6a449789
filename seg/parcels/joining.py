"""Join what blocks see of the parcels that cross their edges, row of blocks by row of blocks."""

import numpy as np

from seg.parcels.corners import Corners, Integers, Labels
from seg.parcels.pieces import (
    Pieces,
    WholeParcels,
    by_unit,
    joined,
)
from seg.parcels.read_block import BlockParcels
from seg.raster.chips import BoolMask
from seg.raster.components import UnionFind

_TOP, _LEFT, _BOTTOM, _RIGHT = range(4)


class _Frontier:
    """Joins the numbers that meet along the edges of blocks.

    Args:
        width: Columns of the raster.
        diagonal: Whether pixels that touch at a corner meet.
    """

    def __init__(self, width: int, diagonal: bool) -> None:
        self.sets = UnionFind()
        self.sets.add(1)
        self._steps = (-1, 0, 1) if diagonal else (0,)
        # One column more on each side, which no pixel is in.
        self.above = np.zeros(width + 2, dtype=np.int64)
        self.below = np.zeros(width + 2, dtype=np.int64)
        self._left: Integers = np.zeros(0, dtype=np.int64)

    def add(self, seen: BlockParcels, sides: tuple[Integers, ...], where: tuple[BoolMask, BoolMask] | None) -> None:
        """Join the sides of a block with its neighbours above and to the left.

        Args:
            seen: The block.
            sides: Its numbers along its top row, left column, bottom row and right column.
            where: Which pixels of its top row and left column may be joined; None for all.
        """
        core = seen.block.core
        columns = np.arange(core.col_off, core.col_off + core.width)
        if core.row_off > 0:
            for step in self._steps:
                self._join(self.above[columns + 1 + step], sides[_TOP], None if where is None else where[0])
        if core.col_off > 0:
            beside = np.pad(self._left, 1)
            for step in self._steps:
                left = beside[1 + step : 1 + step + core.height]
                self._join(left, sides[_LEFT], None if where is None else where[1])
        self.below[columns + 1], self._left = sides[_BOTTOM], sides[_RIGHT]

    def end_row(self) -> None:
        """The row of blocks is over: what was below it is above the next."""
        self.above, self.below = self.below, np.zeros_like(self.below)

    def _join(self, beyond: Integers, here: Integers, where: BoolMask | None) -> None:
        touching = (beyond > 0) & (here > 0)
        if where is not None:
            touching &= where
        self.sets.join(np.unique(np.stack([beyond[touching], here[touching]], axis=1), axis=0))


class Joining:
    """Holds parts of parcels until they are whole.

    Memory holds the corners of the units that are not whole yet and of those of one row of blocks, two numbers for each
    column of the raster, and one for each part that ever reached an edge of its block.

    Args:
        width: Columns of the raster.
        by_cluster: Whether units are clusters of touching parcels rather than single parcels.
    """

    def __init__(self, width: int, by_cluster: bool) -> None:
        self._parcels = _Frontier(width, diagonal=False)
        self._units = _Frontier(width, diagonal=by_cluster)
        self._held: dict[int, list[Pieces]] = {}

    def add(self, seen: BlockParcels) -> None:
        """Take the parts that a block sees; blocks come row by row, each row from left to right."""
        parts, borders = seen.parts, seen.borders
        parcel_numbers = _numbered(self._parcels, parts.parcels)
        unit_numbers = _numbered(self._units, seen.reaching)
        self._parcels.add(seen, _renumbered(parcel_numbers, borders.parcels), (borders.joins_above, borders.joins_left))
        self._units.add(seen, _renumbered(unit_numbers, borders.units), None)
        corners = parts.corners
        numbered = Pieces(
            Corners(parcel_numbers[corners.parcel], corners.row, corners.column, corners.weight),
            parcel_numbers[parts.parcels],
            unit_numbers[parts.units],
            parts.tallies,
        )
        self._held |= {unit: [pieces] for unit, pieces in by_unit(numbered).items()}

    def end_row(self, last: bool) -> WholeParcels | None:
        """The parcels that are whole now that a row of blocks is over; None if there are none.

        Args:
            last: Whether it was the last one.
        """
        for frontier in (self._parcels, self._units):
            frontier.end_row()
        roots = self._units.sets.roots()
        held: dict[int, list[Pieces]] = {}
        for unit, parts in self._held.items():
            held.setdefault(int(roots[unit]), []).extend(parts)
        going_on = set() if last else set(roots[np.unique(self._units.above)].tolist())
        whole = [part for unit, parts in held.items() if unit not in going_on for part in parts]
        self._held = {unit: parts for unit, parts in held.items() if unit in going_on}
        if not whole:
            return None
        parcels = self._parcels.sets.roots()
        return joined([_rooted(part, parcels, roots) for part in whole])


def _numbered(frontier: _Frontier, labels: Integers) -> Integers:
    """A number that no other block has, by label; 0 for labels that have none."""
    numbers = np.zeros(int(labels.max(initial=0)) + 1, dtype=np.int64)
    numbers[labels] = len(frontier.sets) + np.arange(len(labels))
    frontier.sets.add(len(labels))
    return numbers


def _renumbered(numbers: Integers, sides: tuple[Labels, ...]) -> tuple[Integers, ...]:
    # Labels beyond the last that has a number do not reach another block.
    return tuple(np.where(side < len(numbers), numbers[np.minimum(side, len(numbers) - 1)], 0) for side in sides)


def _rooted(part: Pieces, parcels: Integers, units: Integers) -> Pieces:
    corners = part.corners
    rooted = Corners(parcels[corners.parcel], corners.row, corners.column, corners.weight)
    return Pieces(rooted, parcels[part.parcels], units[part.units], part.tallies)
