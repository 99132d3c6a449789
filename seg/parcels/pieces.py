"""Parts of parcels from one or more blocks, and whole parcels joined from parts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seg.parcels.corners import Corners, Integers, concatenated, summed
from seg.parcels.rings import Outlines, traced

TALLIES = 3
"""Number of counts per parcel: pixels with a probability, sum of their percents, uncertain pixels."""


@dataclass(frozen=True)
class Pieces:
    """Parts of parcels; one parcel may have several parts.

    Attributes:
        corners: Corners of all parts, on the lattice of the whole raster.
        parcels: (P,) parcel number of each part.
        units: (P,) unit number of each part; a unit is a group of parcels that are finished together.
        tallies: (P, TALLIES) counts of each part.
    """

    corners: Corners
    parcels: Integers
    units: Integers
    tallies: Integers


@dataclass(frozen=True)
class WholeParcels:
    """Whole parcels with their outlines.

    Attributes:
        outlines: Outlines of the parcels.
        units: (P,) unit of each parcel.
        tallies: (P, TALLIES) counts in each parcel.
    """

    outlines: Outlines
    units: Integers
    tallies: Integers


def joined(parts: list[Pieces]) -> WholeParcels:
    """Join parts to whole parcels.

    Args:
        parts: All parts of the parcels.
    """
    outlines = traced(summed(concatenated([part.corners for part in parts])))
    place = np.searchsorted(outlines.numbers, np.concatenate([part.parcels for part in parts]))
    units = np.zeros(len(outlines.numbers), dtype=np.int64)
    units[place] = np.concatenate([part.units for part in parts])
    tallies = np.zeros((len(outlines.numbers), TALLIES), dtype=np.int64)
    np.add.at(tallies, place, np.concatenate([part.tallies for part in parts]))
    return WholeParcels(outlines, units, tallies)


def by_unit(pieces: Pieces) -> dict[int, Pieces]:
    """Copy the parts of each unit separately, so that the memory of one unit can be freed."""
    unit_of_corner = pieces.units[np.searchsorted(pieces.parcels, pieces.corners.parcel)]
    corner_order, order = (np.argsort(units, kind="stable") for units in (unit_of_corner, pieces.units))
    found = np.unique(pieces.units)
    corner_cuts, cuts = (_cuts(units, found) for units in (np.sort(unit_of_corner), np.sort(pieces.units)))
    parts = {}
    for unit, corners, rows in zip(found.tolist(), corner_cuts, cuts, strict=True):
        chosen = order[rows]
        parts[unit] = Pieces(
            pieces.corners[corner_order[corners]], pieces.parcels[chosen], pieces.units[chosen], pieces.tallies[chosen]
        )
    return parts


def _cuts(units: Integers, found: Integers) -> list[slice]:
    starts, ends = (np.searchsorted(units, found, side) for side in ("left", "right"))
    return [slice(start, end) for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


def chosen(pieces: Pieces, units: NDArray[np.bool_]) -> Pieces:
    """The parts of chosen units.

    Args:
        pieces: Parts whose parcels have small numbers, such as the parts of one block.
        units: (U,) True for a chosen unit; the index is the unit's number.
    """
    kept = units[pieces.units]
    by_parcel = np.zeros(int(pieces.parcels.max(initial=0)) + 1, dtype=bool)
    by_parcel[pieces.parcels] = kept
    return Pieces(
        pieces.corners[by_parcel[pieces.corners.parcel]],
        pieces.parcels[kept],
        pieces.units[kept],
        pieces.tallies[kept],
    )
