"""Identity of a run: everything that its maps depend on. It is stored with the blocks and in the tags of the maps."""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import rasterio
from rasterio.errors import RasterioError

from seg.errors import ClaimError, RasterError
from seg.files import short_hash
from seg.inference.augmentation import TestTimeAugmentation
from seg.inference.inputs import map_paths
from seg.raster.statistics import BandStatistics
from seg.raster.writing.block_store import claimed_blocks, discard_blocks, has_blocks, partial_folder, stored_run

RUN_TAG = "SEG_RUN"
"""Name of the tag that holds the checksum of the run."""

_ASKED = ("asked_block_size", "asked_halo")


@dataclass(frozen=True, kw_only=True)
class RunIdentity:
    """Everything that the maps of a scene depend on.

    Attributes of models are tuples with one value per ensemble member.

    Attributes:
        version: Version of this project.
        scene: Full path of the scene, or the address of the scene without access tokens.
        scene_version: Checksum of the scene's files; None if the scene is neither a file nor an address.
        model: SHA-256 of the weights.
        temperature: Divisor of the logits.
        bias: Bias added to the logits.
        backend: Library, device and precision.
        bands: 1-based bands of the scene in the models' order.
        tolerance: Largest change of a probability that a measured halo may cause; None if the halo is not measured.
        tta: Test-time augmentation.
        uncertainty: True if the standard deviation is mapped too.
        nodata: Additional stored value that means "no data", for files that do not declare this value; or None.
        threshold: Probability above which a pixel is cropland.
        interior: True if cropland is mapped without the edges of parcels.
        on_unreadable: Treatment of pixels that cannot be read, "stop" or "nodata".
        area: Checksum of the area that is mapped; None for the whole scene.
        scene_mean: Mean of each band over a sample of the scene; None if no model normalises each scene.
        scene_std: Standard deviation of each band over this sample, or None.
        asked_block_size: Block size as the user gave it.
        asked_halo: Halo as the user gave it.
        screening: SHA-256 of the screener; None if nothing is screened.
        screening_risk: Largest expected share of the cropland in screened pixels; None if nothing is screened.
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
    scene_mean: tuple[float, ...] | None = None
    scene_std: tuple[float, ...] | None = None
    asked_block_size: int | str
    asked_halo: int | str
    screening: str | None = None
    screening_risk: float | None = None

    @property
    def scene_statistics(self) -> BandStatistics | None:
        """Statistics of the scene; None if no model normalises each scene."""
        if self.scene_mean is None or self.scene_std is None:
            return None
        return BandStatistics(self.scene_mean, self.scene_std, 0)

    @cached_property
    def checksum(self) -> str:
        """Checksum of all values, 16 hexadecimal digits."""
        values = asdict(self)
        if self.screening is None:
            del values["screening"], values["screening_risk"]  # Maps of earlier versions keep their checksums.
        return short_hash(json.dumps(values, sort_keys=True))

    @property
    def layers(self) -> int:
        """Number of maps of a scene."""
        return 2 + self.uncertainty + (self.screening is not None)

    @cached_property
    def dependencies(self) -> dict[str, object]:
        """Values that the pixels of a block depend on: all fields but the block size and halo that the user asked for.

        The plan adds the block size and halo that it uses.
        """
        return {name: value for name, value in asdict(self).items() if name not in _ASKED}

    def matches(self, kept: Mapping[str, object]) -> bool:
        """True if stored blocks belong to this run; block size and halo may differ.

        Args:
            kept: The record stored with the blocks; empty if there are no blocks.
        """
        return _as_text(kept, self.dependencies) == _as_text(self.dependencies, self.dependencies)


def is_finished(output: Path, identity: RunIdentity) -> bool:
    """True if all maps of a scene exist and were made by this run."""
    return all(
        run_of(path) == identity.checksum
        for path in map_paths(output, identity.uncertainty, identity.screening is not None)
    )


def discard_leftovers(output: Path, identity: RunIdentity) -> None:
    """Remove the blocks of a run that was killed after it had finished its maps.

    Blocks of a run with other settings are kept, and so are blocks that another process has claimed.
    """
    folder = partial_folder(output)
    if not folder.is_dir():
        return
    with suppress(RasterError, ClaimError), claimed_blocks(folder):
        if not has_blocks(folder) or identity.matches(stored_run(folder)):
            discard_blocks(folder)


def run_of(path: Path) -> str | None:
    """Checksum of the run that wrote a map; None if the file is not such a map."""
    try:
        with rasterio.open(path) as dataset:
            run: str | None = dataset.tags().get(RUN_TAG)
            return run
    except RasterioError:
        return None


def _as_text(run: Mapping[str, object], names: Iterable[str]) -> dict[str, str]:
    """Values as JSON text for comparison. As text, NaN equals NaN, and a tuple equals its stored form, a list."""
    return {name: json.dumps(run.get(name), sort_keys=True) for name in names}
