"""Identity of a run: all that its maps depend on, kept with its blocks and written into the maps' tags."""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import rasterio
from rasterio.errors import RasterioError

from seg.errors import RasterError
from seg.files import short_hash
from seg.inference.augmentation import TestTimeAugmentation
from seg.inference.inputs import map_paths
from seg.raster.writing.block_store import claimed_blocks, discard_blocks, has_blocks, partial_folder, stored_run

RUN_TAG = "SEG_RUN"
"""The tag of a map that tells the run which made it from all others."""

_ASKED = ("asked_block_size", "asked_halo")


@dataclass(frozen=True, kw_only=True)
class RunIdentity:
    """All that the maps of a scene depend on.

    What belongs to a model is a tuple with one value for each model.

    Attributes:
        version: Of this project.
        scene: Full path or address of the scene, without what only grants access.
        scene_version: Checksum of the scene's files; None where there are none on this system.
        model: Hash of the weights.
        temperature: Divides the logits.
        bias: Is added to the logits.
        backend: Library, device and precision.
        bands: 1-based bands of the scene in the order the models want.
        tolerance: Largest change of a probability that a measured halo accepts; None where the halo is not measured.
        tta: Test-time augmentation.
        uncertainty: True if the standard deviation is mapped too.
        nodata: A further stored value that means "no data", or None.
        threshold: Probability above which a pixel is cropland.
        interior: True if cropland is mapped without the edges of parcels.
        on_unreadable: Treatment of pixels that cannot be read, "stop" or "nodata".
        area: Checksum of the area that is mapped; None for the whole scene.
        asked_block_size: Block size as the user gave it.
        asked_halo: Halo as the user gave it.
    """

    version: str
    scene: str
    scene_version: str | None
    model: tuple[str, ...]
    temperature: tuple[float, ...]
    bias: tuple[float, ...]
    backend: tuple[str, ...]
    bands: tuple[int, ...]
    tolerance: float | None
    tta: TestTimeAugmentation
    uncertainty: bool
    nodata: float | None
    threshold: float
    interior: bool
    on_unreadable: str
    area: str | None
    asked_block_size: int | str
    asked_halo: int | str

    @cached_property
    def checksum(self) -> str:
        """16 hexadecimal digits that differ for any other run."""
        return short_hash(json.dumps(asdict(self), sort_keys=True))

    @cached_property
    def dependencies(self) -> dict[str, object]:
        """All that the pixels of a block depend on but the cuts: the identity without the sizes as they were asked."""
        return {name: value for name, value in asdict(self).items() if name not in _ASKED}

    def began(self, kept: Mapping[str, object]) -> bool:
        """True if blocks are of this run, whatever their size and halo.

        Args:
            kept: The record that was kept with the blocks; empty where there are none.
        """
        return _as_text(kept, self.dependencies) == _as_text(self.dependencies, self.dependencies)


def is_finished(output: Path, identity: RunIdentity) -> bool:
    """True if all maps of a scene are there, and this run made them."""
    return all(_run_of(path) == identity.checksum for path in map_paths(output, identity.uncertainty))


def discard_leftovers(output: Path, identity: RunIdentity) -> None:
    """Remove the blocks of a run that was killed after its maps were finished.

    Blocks of a run with other settings stay, and those that another process works on.
    """
    folder = partial_folder(output)
    if not folder.is_dir():
        return
    with suppress(RasterError), claimed_blocks(folder):
        if not has_blocks(folder) or identity.began(stored_run(folder)):
            discard_blocks(folder)


def _run_of(path: Path) -> str | None:
    """The checksum of the run that made a map; None for anything else."""
    try:
        with rasterio.open(path) as dataset:
            run: str | None = dataset.tags().get(RUN_TAG)
            return run
    except RasterioError:
        return None


def _as_text(run: Mapping[str, object], names: Iterable[str]) -> dict[str, str]:
    """Values as JSON: a NaN would differ from itself, and a tuple from the list that it was kept as."""
    return {name: json.dumps(run.get(name), sort_keys=True) for name in names}
