"""Bring vector labels onto the grid of an image: valid, simple polygons in its pixels."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyproj
import shapely

from seg.errors import NoOverlapError, RasterError
from seg.raster.chips import ByteMask
from seg.raster.grid import Grid, crs_name
from seg.raster.vectors.crossed_pixels import Polygons
from seg.raster.vectors.features import Box, VectorLabels

REACH = 16_384
"""Polygons are cut off so many pixels beyond the raster: numbers of pixels then stay exact, however large they are."""

_STRAIGHT_M = 1000.0
"""Edges are split so finely before they are reprojected: one of 1 km bends by about 2 cm, one of 100 km by 200 m."""
_EARTH_M = 6_371_000.0

_AREAS = ("Polygon", "MultiPolygon", "GeometryCollection")


@dataclass(frozen=True)
class GivenBox:
    """A box that was given by its coordinates.

    Attributes:
        path: What messages call it.
        sides: Left, bottom, right, top.
        crs: CRS of these; longitude before latitude.
    """

    path: str
    sides: Box
    crs: pyproj.CRS


@dataclass(frozen=True)
class Parcels:
    """Labelled polygons on the grid of an image.

    Attributes:
        polygons: (N,) simple polygons in pixels of the image, x to the right and y down.
        labels: (N,) the label of each.
        features: Number of features that they come from; one of several parts counts once.
    """

    polygons: Polygons
    labels: ByteMask
    features: int


def require_georeference(grid: Grid) -> None:
    """Check that an image says where it lies.

    Raises:
        RasterError: It has no CRS, or no transform, or one without an area.
    """
    lacking = "CRS" if grid.crs is None else "transform"
    if grid.crs is None or grid.transform.is_identity or grid.transform.determinant == 0:
        raise RasterError(
            f"{grid.path}: has no valid georeference ({lacking} missing), so polygons cannot be placed on it; "
            "georeference it first, such as with gdal_edit.py -a_srs ... -a_ullr ..."
        )


def read_parcels(source: VectorLabels, grid: Grid, margin: int = 0) -> Parcels:
    """The polygons that lie on an image or within a margin around it.

    Invalid geometries are repaired; of a collection, its polygons are taken.

    Args:
        source: The labels.
        grid: The grid of the image.
        margin: In pixels.

    Raises:
        NoOverlapError: No polygon meets the image.
        RasterError: The image has no valid georeference, a feature has lines or points, or a polygon cannot be brought
            into its CRS.
    """
    require_georeference(grid)
    to_image = _Transform(source, grid)
    box = to_image.box(margin)
    frame, labels = source.features(box)
    shapes = frame.geometry.to_numpy()
    _require_areas(source, shapes)
    polygons, feature = _within_reach(to_image.pixels(shapes, box), grid)
    frame_box = shapely.box(-margin, -margin, grid.width + margin, grid.height + margin)
    near = shapely.intersects(polygons, frame_box)
    if not shapely.intersects(polygons[near], shapely.box(0, 0, grid.width, grid.height)).any():
        raise NoOverlapError(
            f"{source.path}: none of its polygons lies on {grid.path}, whose CRS is {crs_name(grid.crs)}; "
            "check that both are of one region and that its CRS is right"
        )
    return Parcels(polygons[near], labels[feature[near]], len(np.unique(feature[near])))


def place_box(box: GivenBox, grid: Grid) -> Polygons:
    """A box as (N,) simple polygons in pixels of an image, wherever it lies.

    Args:
        box: A box in a CRS, which becomes a curved shape in another one.
        grid: The grid of the image.

    Raises:
        RasterError: The image has no valid georeference, or the box cannot be brought into its CRS.
    """
    require_georeference(grid)
    to_image = _Transform(box, grid)
    return _within_reach(to_image.pixels(np.array([shapely.box(*box.sides)]), to_image.box(margin=0)), grid)[0]


def _within_reach(shapes: npt.NDArray[np.object_], grid: Grid) -> tuple[Polygons, npt.NDArray[np.intp]]:
    """The polygons in geometries, cut off far beyond the image, and the index of the geometry that each comes from."""
    valid, feature = _polygons(shapes)
    beyond = shapely.box(-REACH, -REACH, grid.width + REACH, grid.height + REACH)
    reaching = ~shapely.covered_by(valid, beyond)
    valid[reaching] = shapely.intersection(valid[reaching], beyond)
    polygons, part = _polygons(valid)
    return polygons, feature[part]


class _Transform:
    """From the CRS of polygons to the pixels of an image."""

    def __init__(self, source: VectorLabels | GivenBox, grid: Grid) -> None:
        self._source, self._grid = source, grid
        assert grid.crs is not None  # require_georeference
        try:
            image_crs = pyproj.CRS.from_wkt(grid.crs.to_wkt())
            self._same = image_crs.equals(source.crs, ignore_axis_order=True)
            self._project = pyproj.Transformer.from_crs(source.crs, image_crs, always_xy=True)
            self._back = pyproj.Transformer.from_crs(image_crs, source.crs, always_xy=True)
        except pyproj.exceptions.ProjError as error:
            raise self._failed(str(error)) from error

    def box(self, margin: int) -> Box | None:
        """What the image covers, in the CRS of the polygons; None where that is no box."""
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
        # Across the antimeridian, left lies right of right; there, all features are read.
        if not np.isfinite(box).all() or left >= right:
            return None
        # What densifying the box's edges leaves out is far less.
        pad = 0.01 * max(right - left, top - bottom)
        return left - pad, bottom - pad, right + pad, top + pad

    def pixels(self, shapes: npt.NDArray[np.object_], box: Box | None) -> npt.NDArray[np.object_]:
        """Geometries in pixels of the image, without heights; what lies far from the box may be cut off."""
        shapes = shapely.force_2d(shapes)
        if not self._same:
            if box is not None:
                shapes = _cut(shapes, box)
            shapes = shapely.segmentize(shapes, self._straight())
            shapes = shapely.transform(shapes, self._project.transform, interleaved=False)
            if not np.isfinite(shapely.get_coordinates(shapes)).all():
                raise self._failed("a polygon reaches beyond where that CRS is defined")
        to_pixels = ~self._grid.transform
        placed: npt.NDArray[np.object_] = shapely.transform(shapes, lambda x, y: to_pixels @ (x, y), interleaved=False)
        return placed

    def _straight(self) -> float:
        crs = self._source.crs
        unit = crs.axis_info[0].unit_conversion_factor if crs.axis_info else 1.0
        return (_STRAIGHT_M / _EARTH_M if crs.is_geographic else _STRAIGHT_M) / (unit or 1.0)

    def _failed(self, reason: str) -> RasterError:
        return RasterError(
            f"{self._source.path}: cannot be brought into the CRS of {self._grid.path}, {crs_name(self._grid.crs)} "
            f"({' '.join(reason.split())[:150]}); cut them to the region, or reproject them first"
        )


def _cut(shapes: npt.NDArray[np.object_], box: Box) -> npt.NDArray[np.object_]:
    """Geometries cut off one box's size beyond a box, so no edge comes near it.

    Far from the region that a projection is made for, coordinates go wrong without an error.
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
            f"{source.path}: {len(wrong)} of {len(kinds)} features are no polygons but {wrong[0]}; wanted polygons, "
            f"so choose another layer with {source.options.format('layer')}, or leave the others out "
            "(as SQL: OGR_GEOMETRY LIKE '%POLYGON')"
        )


def _polygons(shapes: npt.NDArray[np.object_]) -> tuple[Polygons, npt.NDArray[np.intp]]:
    """The polygons in valid geometries, and the index of the geometry that each comes from."""
    parts, index = shapely.get_parts(shapely.make_valid(shapes), return_index=True)
    # Parts of a collection can be of several parts themselves.
    parts, inner = shapely.get_parts(parts, return_index=True)
    flat = (shapely.get_type_id(parts) == shapely.GeometryType.POLYGON) & ~shapely.is_empty(parts)
    return parts[flat], index[inner][flat]
