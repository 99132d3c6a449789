"""Cut parcels at the lines between zones, and spool the pieces by zone."""

import threading
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from seg.delivery.areas import AreaMeasure
from seg.delivery.zones import Zones
from seg.errors import RasterError
from seg.raster.chips import Polygons
from seg.raster.ground.outlines import metres_per_unit
from seg.raster.vectors.features import require_near

SLIVER_M2 = 0.01
"""Smaller pieces come from rounding at the lines between zones and are dropped."""

WHOLE = "whole area in m2"
"""Column of the area of a parcel before it was cut, in square metres; NaN for a parcel that was not cut."""

PENDING = 65_536
"""Number of pieces in memory before they are written to the spool."""

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Pieces:
    """Pieces of the parcels of one batch.

    Attributes:
        rows: K rows: columns of the parcels, geometry of the pieces as WKB, and WHOLE.
        zones: (K,) number of the zone of each piece.
        bounds: (4,) bounds of the parcels; NaN for an empty batch.
        outside: Number of parcels that have a part outside all zones.
        outside_m2: Area of these parts in square metres.
    """

    rows: pa.RecordBatch
    zones: Integers
    bounds: NDArray[np.float64]
    outside: int
    outside_m2: float


@dataclass(frozen=True)
class _Cut:
    """Pieces of the parcels that reach beyond a zone, have several parts, or have heights.

    Attributes:
        parcel: (K,) number of the parcel of each piece.
        zone: (K,) number of the zone of each piece.
        polygons: (K,) the pieces.
        whole_m2: (K,) area of the uncut parcel of each piece in square metres.
        covered: (P,) planar area of all pieces of each parcel of the batch.
    """

    parcel: Integers
    zone: Integers
    polygons: Polygons
    whole_m2: NDArray[np.float64]
    covered: NDArray[np.float64]


class Cutter:
    """Cut parcels at the lines between zones.

    Args:
        zones: Zones in the CRS of the parcels.
        name: File of the parcels, for errors.
    """

    def __init__(self, zones: Zones, name: str) -> None:
        self._zones, self._name = zones, name
        self._own = threading.local()
        self._tree = shapely.STRtree(zones.polygons)
        self._measure = AreaMeasure(zones.crs)
        self._sliver = SLIVER_M2 / metres_per_unit(zones.crs) ** 2

    def cut(self, batch: pa.RecordBatch) -> Pieces:
        """Pieces of a batch of parcels.

        Args:
            batch: Columns of parcels; the geometry is WKB in the last column.

        Raises:
            RasterError: A parcel is not a valid polygon.
        """
        wkb = batch.column("geometry").to_numpy(zero_copy_only=False)
        polygons = shapely.from_wkb(wkb)
        require_near(self._name, polygons)
        self._require_polygons(polygons)
        parcel, zone, whole = self._assigned(polygons)
        # A plain parcel lies within a zone, has one part and has no heights. Its geometry stays as it is; all other
        # parcels are cut.
        plain = whole & (shapely.get_type_id(polygons[parcel]) == shapely.GeometryType.POLYGON)
        plain &= ~shapely.has_z(polygons[parcel])
        cut = self._cut(polygons, parcel[~plain], zone[~plain], whole[~plain])
        parcel, zone = np.concatenate([parcel[plain], cut.parcel]), np.concatenate([zone[plain], cut.zone])
        order = np.lexsort((zone, parcel))
        geometry = np.concatenate([wkb[parcel[: plain.sum()]], shapely.to_wkb(cut.polygons)])[order]
        areas = np.concatenate([np.full(plain.sum(), np.nan), cut.whole_m2])[order]
        columns = [column.take(pa.array(parcel[order])) for column in batch.columns[:-1]]
        names = [*batch.schema.names[:-1], "geometry", WHOLE]
        rows = pa.record_batch([*columns, pa.array(geometry, pa.binary()), pa.array(areas)], names=names)
        # Parcels that are not plain may lie outside all zones, entirely or in part.
        lost = np.setdiff1d(np.arange(len(polygons)), parcel[: plain.sum()])
        lost_m2 = self._measure.square_metres(polygons[lost])
        lost_m2 = lost_m2 * np.maximum(1 - cut.covered[lost] / shapely.area(polygons[lost]), 0)
        outside = lost_m2 > SLIVER_M2
        bounds = shapely.total_bounds(polygons)
        return Pieces(rows, zone[order], bounds, int(outside.sum()), float(lost_m2[outside].sum()))

    def _cut(self, polygons: Polygons, parcel: Integers, zone: Integers, whole: NDArray[np.bool_]) -> "_Cut":
        """Pieces of parcels in zones, one polygon each."""
        flat = shapely.force_2d(polygons[parcel])
        crossing = ~whole
        if crossing.any():
            flat[crossing] = shapely.intersection(flat[crossing], self._prepared()[zone[crossing]])
        part, index = shapely.get_parts(flat, return_index=True)
        kept = (shapely.get_type_id(part) == shapely.GeometryType.POLYGON) & (shapely.area(part) > self._sliver)
        part, parcel, zone = part[kept], parcel[index[kept]], zone[index[kept]]
        covered = np.zeros(len(polygons))
        np.add.at(covered, parcel, shapely.area(part))
        return _Cut(parcel, zone, part, self._measure.square_metres(polygons[parcel]), covered)

    def _require_polygons(self, polygons: Polygons) -> None:
        kinds = shapely.get_type_id(polygons)
        wrong = ~np.isin(kinds, (3, 6)) | shapely.is_empty(polygons) | ~shapely.is_valid(polygons)
        for place in np.flatnonzero(wrong).tolist()[:1]:
            is_areal = kinds[place] in (3, 6)
            reason = f"is invalid: {shapely.is_valid_reason(polygons[place])}" if is_areal else "is not a polygon"
            raise RasterError(f"{self._name}: a parcel {reason}; repair it first, such as with ogr2ogr -makevalid")

    def _assigned(self, polygons: Polygons) -> tuple[Integers, Integers, NDArray[np.bool_]]:
        """Pairs of a parcel and a zone that it meets, and True where the zone covers the whole parcel."""
        if not len(self._zones.polygons):
            everything = np.arange(len(polygons))
            return everything, np.zeros_like(everything), np.ones(len(polygons), dtype=bool)
        parcel, zone = self._tree.query(polygons)
        zones = self._prepared()
        within = shapely.covers(zones[zone], polygons[parcel])
        # If a parcel lies within one zone, other zones can touch the parcel but not cut it.
        crossing = ~within & ~np.isin(parcel, parcel[within])
        crossing[crossing] = shapely.intersects(zones[zone[crossing]], polygons[parcel[crossing]])
        kept = within | crossing
        return parcel[kept], zone[kept], within[kept]

    def _prepared(self) -> Polygons:
        """Zones of this thread; threads need copies, since GEOS does not lock the index of a prepared polygon."""
        if not hasattr(self._own, "zones"):
            zones: Polygons = shapely.from_wkb(shapely.to_wkb(self._zones.polygons))
            shapely.prepare(zones)
            self._own.zones = zones
        found: Polygons = self._own.zones
        return found


class ZoneSpool:
    """Pieces on disk by zone, in the order in which they were added.

    Args:
        folder: An empty folder.
        zones: Number of zones.
    """

    def __init__(self, folder: Path, zones: int) -> None:
        self._folder, self._files = folder, np.zeros(zones, dtype=int)
        self._pending: list[Pieces] = []
        self._count = 0

    def add(self, pieces: Pieces) -> None:
        """Add the pieces of a batch.

        Raises:
            OSError: The disk is full.
        """
        self._pending.append(pieces)
        self._count += len(pieces.zones)
        if self._count >= PENDING:
            self.flush()

    def flush(self) -> None:
        """Write the pieces in memory.

        Raises:
            OSError: The disk is full.
        """
        if not self._count:
            return
        by_zone: dict[int, list[pa.RecordBatch]] = {}
        for pieces in self._pending:
            for zone in np.unique(pieces.zones).tolist():
                by_zone.setdefault(zone, []).append(pieces.rows.filter(pa.array(pieces.zones == zone)))
        self._pending, self._count = [], 0
        for zone, batches in by_zone.items():
            path = str(self._file(zone, self._files[zone]))
            with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, batches[0].schema) as writer:
                for batch in batches:
                    writer.write_batch(batch)
            self._files[zone] += 1

    def read(self, zone: int) -> Generator[pa.RecordBatch, None, None]:
        """Batches of a zone; each file is removed after it was read.

        Args:
            zone: Number of the zone.
        """
        for number in range(self._files[zone]):
            with pa.OSFile(str(self._file(zone, number))) as source, pa.ipc.open_file(source) as reader:
                for place in range(reader.num_record_batches):
                    yield reader.get_batch(place)
            self._file(zone, number).unlink()

    def _file(self, zone: int, number: int) -> Path:
        return self._folder / f"{zone}-{number}.arrow"
