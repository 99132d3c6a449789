"""Scenes without a mask, from which training also learns: their list, and checks against the held-out scenes."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seg.data.dataset.catalogue import Scene
from seg.data.dataset.checks import require_bands
from seg.data.dataset.manifest import Row, manifest_of, manifest_rows
from seg.errors import DatasetError
from seg.raster.folder import named_scenes
from seg.raster.grid import Grid, read_grid
from seg.raster.ground.distances import near_pairs
from seg.raster.remote import is_remote, shown_name


@dataclass(frozen=True)
class UnlabelledScene:
    """A scene without a mask.

    Attributes:
        image: Raster with the bands.
        weight: Weight of the scene when scenes are drawn by weight; above 0.
    """

    image: Path
    weight: float = 1.0


AnyScene = Scene | UnlabelledScene


def read_unlabelled(root: Path | None, named: Path | None, fold: int | None) -> list[UnlabelledScene]:
    """List unlabelled scenes: first those of the dataset's manifest, then those that the user named.

    Args:
        root: The dataset; None to list only the named scenes.
        named: A scene, a folder, a pattern or a list, as for `named_scenes`; None to list only scenes of the manifest.
        fold: Held-out fold; scenes of this fold in the manifest are left out. None if no fold is held out.

    Raises:
        DatasetError: A file does not exist, or a scene is listed twice.
        RasterError: A folder, a pattern or a list names no scene.
    """
    scenes = [] if root is None else _from_manifest(root, fold)
    if named is not None:
        scenes += [UnlabelledScene(image) for image in named_scenes([named]).scenes]
    seen: set[Path] = set()
    for scene in scenes:
        place = scene.image if is_remote(scene.image) else scene.image.resolve()
        if place in seen:
            raise DatasetError(f"{scene.image}: is listed twice among the unlabelled scenes; keep one entry")
        seen.add(place)
    return scenes


def unlabelled_rows(root: Path) -> int:
    """Number of rows without a mask in a dataset's manifest; 0 if the dataset has no manifest."""
    manifest = manifest_of(root)
    return 0 if manifest is None else len(_rows_without_mask(manifest))


def _from_manifest(root: Path, fold: int | None) -> list[UnlabelledScene]:
    manifest = manifest_of(root)
    if manifest is None:
        return []
    rows = [row for row in _rows_without_mask(manifest) if fold is None or row.fold != fold]
    for row in rows:
        image = root / row.image
        if not image.is_file():
            raise DatasetError(f"{manifest}: {row.place} names {image}, which does not exist; correct the line")
    return [UnlabelledScene(root / row.image, row.weight) for row in rows]


def _rows_without_mask(manifest: Path) -> list[Row]:
    """Valid rows without a mask. `read_catalogue` and the check of a dataset report invalid rows."""
    try:
        rows = manifest_rows(manifest)
    except DatasetError:
        return []
    return [row for row in rows if isinstance(row, Row) and row.mask is None]


def check_unlabelled(scenes: Sequence[UnlabelledScene], bands: Sequence[int], held_out: Sequence[Scene]) -> list[Grid]:
    """Check that unlabelled scenes have the wanted bands and that none of them is held out; return their grids.

    Args:
        scenes: The unlabelled scenes.
        bands: 1-based indexes of the bands to read.
        held_out: Scenes that training is scored on.

    Raises:
        RasterError: A scene cannot be opened.
        DatasetError: A scene has too few bands, or is one of the held-out scenes.
    """
    tested = {os.path.realpath(scene.image) for scene in held_out}
    grids = []
    for scene in scenes:
        if not is_remote(scene.image) and os.path.realpath(scene.image) in tested:
            raise DatasetError(
                f"{scene.image}: is held out for validation, so training must not use it; leave it out of the "
                "unlabelled scenes"
            )
        grid = read_grid(scene.image)
        require_bands(grid, bands)
        grids.append(grid)
    return grids


def overlap_note(unlabelled: Sequence[Grid], held_out: Sequence[Grid]) -> str:
    """Note for the user if unlabelled scenes overlap held-out scenes; empty otherwise.

    Args:
        unlabelled: Grids of the unlabelled scenes.
        held_out: Grids of the held-out scenes.
    """
    grids = [grid for grid in (*unlabelled, *held_out) if grid.crs is not None and not grid.transform.is_identity]
    first = sum(grid.crs is not None and not grid.transform.is_identity for grid in unlabelled)
    shared = [(one, other) for one, other in near_pairs(grids, guard_m=0) if one < first <= other]
    if not shared:
        return ""
    one, other = shared[0]
    return (
        f"note: {shown_name(grids[one].path)} overlaps held-out {grids[other].path} ({len(shared)} such pairs), so "
        "training sees the area of the test without its labels and the scores may be too good; "
        "python scripts/prepare.py check --unlabelled lists all\n"
    )
