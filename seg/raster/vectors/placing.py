"""Transform vector labels to the grid of an image, as valid simple polygons in pixels."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyproj
import shapely

from seg.errors import NoOverlapError, RasterError
from seg.raster.chips import ByteMask, Polygons
from seg.raster.grid import Grid
from seg.raster.ground.crs import crs_name
from seg.raster.ground.outlines import STRAIGHT_M, metres_per_unit
from seg.raster.vectors.features import Box, VectorLabels

REACH = 16_384
"""Polygons are cut off at this distance from the raster, in pixels, since larger coordinates would lose precision."""

_AREAS = ("Polygon", "MultiPolygon", "GeometryCollection")


@dataclass(frozen=True)
class GivenBox:
    """A box given by its coordinates.

    Attributes:
        path: Name of the box in messages.
        sides: Left, bottom, right, top.
        crs: CRS of the sides, longitude before latitude.
    """

    path: str
    sides: Box
    crs: pyproj.CRS


@dataclass(frozen=True)
class GivenShapes:
    """Geometries in a CRS.

    Attributes:
        path: Name of their file in messages.
        shapes: (N,) geometries with areas.
        crs: CRS of the geometries.
    """

    path: str
    shapes: npt.NDArray[np.object_]
    crs: pyproj.CRS


@dataclass(frozen=True)
class Parcels:
    """Labelled polygons on the grid of an image.

    Attributes:
        polygons: (N,) simple polygons in pixels of the image, x to the right and y down.
        labels: (N,) label of each polygon.
        features: Number of features that the polygons come from; a feature of several parts counts once.
    """

    polygons: Polygons
    labels: ByteMask
    features: int


def require_georeference(grid: Grid) -> None:
    """Check that an image has a georeference.

    Raises:
        RasterError: The image has no CRS, no transform, or a degenerate transform.
    """
    lacking = "CRS" if grid.crs is None else "transform"
    if grid.crs is None or grid.transform.is_identity or grid.transform.determinant == 0:
        raise RasterError(
            f"{grid.path}: has no valid georeference ({lacking} missing), so polygons cannot be placed on it; "
            "georeference it first, such as with gdal_edit.py -a_srs ... -a_ullr ..."
        )


def read_parcels(source: VectorLabels, grid: Grid, margin: int = 0) -> Parcels:
    """The polygons that lie on an image or within a margin around it.

    Invalid geometries are repaired. Of a geometry collection, only the polygons are used.

    Args:
        source: The labels.
        grid: Grid of the image.
        margin: Width of the margin in pixels.

    Raises:
        NoOverlapError: No polygon intersects the image.
        RasterError: The image has no valid georeference, a feature is a line or a point, or a polygon cannot be
            transformed to the CRS of the image.
    """
    require_georeference(grid)
    to_image = _Transform(source, grid)
    box = to_image.box(margin)
    turn = _turn(source, box)
    frame, labels = source.features(_turned(box, turn))
    shapes = frame.geometry.to_numpy()
    _require_areas(source, shapes)
    if turn:
        shapes = shapely.transform(shapely.force_2d(shapes), lambda x, y: (x - turn, y), interleaved=False)
    polygons, feature = _within_reach(to_image.pixels(shapes, box), grid)
    frame_box = shapely.box(-margin, -margin, grid.width + margin, grid.height + margin)
    near = shapely.intersects(polygons, frame_box)
    if not shapely.intersects(polygons[near], shapely.box(0, 0, grid.width, grid.height)).any():
        raise NoOverlapError(
            f"{source.path}: none of its polygons lies on {grid.path}, whose CRS is {crs_name(grid.crs)}; "
            "check that both cover the same region and that the CRS of the polygons is right"
        )
    return Parcels(polygons[near], labels[feature[near]], len(np.unique(feature[near])))


def _turn(source: VectorLabels, box: Box | None) -> int:
    """Degrees to add to longitudes of an image to match a layer, such as 360 for a layer with longitudes 0 to 360."""
    if box is None or source.bounds is None:
        return 0
    left, _, right, _ = source.bounds
    turns = (turn for turn in (0, 360, -360) if box[0] + turn <= right and box[2] + turn >= left)
    return next(turns, 0)


def _turned(box: Box | None, turn: int) -> Box | None:
    return None if box is None else (box[0] + turn, box[1], box[2] + turn, box[3])


def missed(polygons: Polygons, grid: Grid) -> int:
    """Number of small polygons that cover no pixel centre; burning changes no pixel for such a polygon.

    Args:
        polygons: Polygons in pixels; only those of less than two pixels in width and height are examined.
        grid: Grid of the image; polygons that reach beyond the image do not count.
    """
    left, top, right, bottom = shapely.bounds(polygons).T
    inside = (left >= 0) & (top >= 0) & (right <= grid.width) & (bottom <= grid.height)
    small = np.flatnonzero(inside & (right - left < 2) & (bottom - top < 2))
    covers = np.zeros(len(small), dtype=bool)
    corner = np.floor(np.stack([left, top])[:, small]) + 0.5
    for down, across in np.ndindex(3, 3):  # A box of less than two pixels touches three rows at most.
        covers |= shapely.contains_xy(polygons[small], corner[0] + across, corner[1] + down)
    return int((~covers).sum())


def place_box(box: GivenBox, grid: Grid) -> Polygons:
    """A box as (N,) simple polygons in pixels of an image; the box may lie outside the image.

    Args:
        box: The box. If its CRS differs from the CRS of the image, its sides become curves in the image.
        grid: Grid of the image.

    Raises:
        RasterError: The image has no valid georeference, or the box cannot be transformed to its CRS.
    """
    require_georeference(grid)
    to_image = _Transform(box, grid)
    return _within_reach(to_image.pixels(np.array([shapely.box(*box.sides)]), to_image.box(margin=0)), grid)[0]


def place_shapes(given: GivenShapes, grid: Grid) -> tuple[Polygons, npt.NDArray[np.intp]]:
    """Geometries as (P,) simple polygons in pixels of an image, and the index of the geometry of each polygon, (P,).

    Polygons may lie outside the image; parts far outside are cut off, so a distant geometry may have no polygon.

    Args:
        given: The geometries.
        grid: Grid of the image.

    Raises:
        RasterError: The image has no valid georeference, or a geometry cannot be transformed to its CRS.
    """
    require_georeference(grid)
    to_image = _Transform(given, grid)
    return _within_reach(to_image.pixels(given.shapes, to_image.box(margin=0)), grid)


def _within_reach(shapes: npt.NDArray[np.object_], grid: Grid) -> tuple[Polygons, npt.NDArray[np.intp]]:
    """Polygons of geometries, cut off far outside the image, and the index of the geometry of each polygon."""
    valid, feature = flat_polygons(shapes)
    beyond = shapely.box(-REACH, -REACH, grid.width + REACH, grid.height + REACH)
    reaching = ~shapely.covered_by(valid, beyond)
    valid[reaching] = shapely.intersection(valid[reaching], beyond)
    polygons, part = flat_polygons(valid)
    return polygons, feature[part]


class _Transform:
    """Transform from the CRS of polygons to the pixels of an image."""

    def __init__(self, source: VectorLabels | GivenBox | GivenShapes, grid: Grid) -> None:
        self._source, self._grid = source, grid
        assert grid.crs is not None  # require_georeference has rejected grids without a CRS.
        try:
            image_crs = pyproj.CRS.from_wkt(grid.crs.to_wkt())
            self._same = image_crs.equals(source.crs, ignore_axis_order=True)
            self._project = pyproj.Transformer.from_crs(source.crs, image_crs, always_xy=True)
            self._back = pyproj.Transformer.from_crs(image_crs, source.crs, always_xy=True)
        except pyproj.exceptions.ProjError as error:
            raise self._failed(str(error)) from error

    def box(self, margin: int) -> Box | None:
        """Box of the image in the CRS of the polygons; None if the image does not fit into a box there."""
        grid = self._grid
        frame = shapely.box(-margin, -margin, grid.width + margin, grid.height + margin)
        covered: Box = shapely.transform(frame, lambda x, y: grid.transform @ (x, y), interleaved=False).bounds
        if self._same:
            return covered
        try:
            box = self._back.transform_bounds(*covered, 51)
        except pyproj.exceptions.ProjError:
            return None
        left, bottom, right, top = box
        # If the box crosses the antimeridian, left is larger than right. In that case, all features are read.
        if not np.isfinite(box).all() or left >= right:
            return None
        # `transform_bounds` samples each edge at 51 points. The resulting error is far below the padding of 1 %.
        pad = 0.01 * max(right - left, top - bottom)
        return left - pad, bottom - pad, right + pad, top + pad

    def pixels(self, shapes: npt.NDArray[np.object_], box: Box | None) -> npt.NDArray[np.object_]:
        """Geometries in pixels of the image, without heights; parts far from the box may be cut off."""
        shapes = shapely.force_2d(shapes)
        if not self._same:
            if box is not None:
                shapes = _cut(shapes, box)
            shapes = shapely.segmentize(shapes, STRAIGHT_M / metres_per_unit(self._source.crs))
            shapes = shapely.transform(shapes, self._project.transform, interleaved=False)
            if not np.isfinite(shapely.get_coordinates(shapes)).all():
                raise self._failed("a polygon reaches beyond the area of that CRS")
        to_pixels = ~self._grid.transform
        placed: npt.NDArray[np.object_] = shapely.transform(shapes, lambda x, y: to_pixels @ (x, y), interleaved=False)
        return placed

    def _failed(self, reason: str) -> RasterError:
        return RasterError(
            f"{self._source.path}: cannot be transformed to the CRS of {self._grid.path}, {crs_name(self._grid.crs)} "
            f"({' '.join(reason.split())[:150]}); cut the polygons to the region, or reproject them first"
        )


def _cut(shapes: npt.NDArray[np.object_], box: Box) -> npt.NDArray[np.object_]:
    """Clip geometries to `box` enlarged by its own size on every side, so that no cut lies near `box`.

    Far outside the area of a projection, PROJ returns wrong coordinates without an error.
    """
    left, bottom, right, top = box
    wide, high = right - left, top - bottom
    kept = shapely.box(left - wide, bottom - high, right + wide, top + high)
    cut: npt.NDArray[np.object_] = shapely.make_valid(shapes)
    reaching = ~shapely.covered_by(cut, kept)
    cut[reaching] = shapely.intersection(cut[reaching], kept)
    return cut


def _require_areas(source: VectorLabels, shapes: npt.NDArray[np.object_]) -> None:
    kinds = [shape.geom_type for shape in shapes]
    wrong = [kind for kind in kinds if kind not in _AREAS]
    if wrong:
        raise RasterError(
            f"{source.path}: {len(wrong)} of {len(kinds)} features are not polygons but {wrong[0]}; wanted polygons: "
            f"choose another layer with {source.options.format('layer')}, or leave other geometries out "
            "(as SQL: OGR_GEOMETRY LIKE '%POLYGON')"
        )


def flat_polygons(shapes: npt.NDArray[np.object_]) -> tuple[Polygons, npt.NDArray[np.intp]]:
    """Polygons of repaired geometries, and the index of the geometry of each polygon.

    Args:
        shapes: (N,) geometries; lines and points of collections are left out.
    """
    parts, index = shapely.get_parts(shapely.make_valid(shapes), return_index=True)
    # Parts of a collection can have several parts themselves.
    parts, inner = shapely.get_parts(parts, return_index=True)
    flat = (shapely.get_type_id(parts) == shapely.GeometryType.POLYGON) & ~shapely.is_empty(parts)
    return parts[flat], index[inner][flat]
