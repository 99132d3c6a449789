"""Join parts of parcels across block edges, one row of blocks after the other."""

import numpy as np

from seg.parcels.corners import Corners, Integers, Labels
from seg.parcels.pieces import Pieces, WholeParcels, by_unit, joined
from seg.parcels.read_block import BlockParcels
from seg.raster.components import Seams


class Joining:
    """Hold parts of parcels until the parcels are complete.

    A unit is a parcel or a cluster of touching parcels; its parcels are completed together. Memory holds the corners of
    unfinished units and the corners of one row of blocks. It also holds two numbers for each raster column, and one
    number for each part that reached an edge of its block.

    Args:
        width: Columns of the raster.
        by_cluster: True if a unit is a cluster of touching parcels, False if a unit is a single parcel.
    """

    def __init__(self, width: int, by_cluster: bool) -> None:
        self._parcels = Seams(width)
        self._units = Seams(width, diagonal=by_cluster)
        self._held: dict[int, list[Pieces]] = {}

    def add(self, seen: BlockParcels) -> None:
        """Add the parts in a block.

        Args:
            seen: The next block; blocks come row by row, from left to right.
        """
        parts, borders, core = seen.parts, seen.borders, seen.block.core
        parcel_numbers = _numbered(self._parcels, parts.parcels)
        unit_numbers = _numbered(self._units, seen.reaching)
        self._parcels.add(core, _renumbered(parcel_numbers, borders.parcels), (borders.joins_above, borders.joins_left))
        self._units.add(core, _renumbered(unit_numbers, borders.units))
        corners = parts.corners
        numbered = Pieces(
            Corners(parcel_numbers[corners.parcel], corners.row, corners.column, corners.weight),
            parcel_numbers[parts.parcels],
            unit_numbers[parts.units],
            parts.tallies,
        )
        self._held |= {unit: [pieces] for unit, pieces in by_unit(numbered).items()}

    def end_row(self, last: bool) -> WholeParcels | None:
        """End a row of blocks and return the parcels that are now complete; None if no parcel is complete.

        Args:
            last: True for the last row.
        """
        for seams in (self._parcels, self._units):
            seams.end_row()
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


def _numbered(seams: Seams, labels: Integers) -> Integers:
    """Numbers that no other block has, (L + 1,) by label; 0 for a label that is not in `labels`."""
    numbers = np.zeros(int(labels.max(initial=0)) + 1, dtype=np.int64)
    numbers[labels] = len(seams.sets) + np.arange(len(labels))
    seams.sets.add(len(labels))
    return numbers


def _renumbered(numbers: Integers, sides: tuple[Labels, ...]) -> tuple[Integers, ...]:
    # A label above the largest numbered label belongs to a parcel that reaches no other block.
    return tuple(np.where(side < len(numbers), numbers[np.minimum(side, len(numbers) - 1)], 0) for side in sides)


def _rooted(part: Pieces, parcels: Integers, units: Integers) -> Pieces:
    corners = part.corners
    rooted = Corners(parcels[corners.parcel], corners.row, corners.column, corners.weight)
    return Pieces(rooted, parcels[part.parcels], units[part.units], part.tallies)
