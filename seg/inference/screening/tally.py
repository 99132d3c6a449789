"""Number of screened blocks and pixels of a scene, as tags of its maps and as text."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from seg.inference.planning.plan import Plan
from seg.raster.grid import open_raster
from seg.raster.writing.block_store import BlockStore
from seg.terminal.text import counted

COMPUTED, SCREENED = 0, 1
"""Values of the map of screened pixels."""

_TAG, _COUNTS = "SEG_SCREENED_", ("BLOCKS", "OF_BLOCKS", "PIXELS", "OF_PIXELS")


@dataclass(frozen=True)
class ScreenedTally:
    """Blocks and pixels of a scene that were screened, and the risk.

    Attributes:
        blocks: Blocks of which no pixel was computed, since all valid pixels were screened.
        of_blocks: All blocks with a valid pixel.
        pixels: Screened pixels.
        of_pixels: All valid pixels.
        risk: Largest expected share of the cropland that lies in screened pixels, 0 to 1.
    """

    blocks: int
    of_blocks: int
    pixels: int
    of_pixels: int
    risk: float

    @property
    def tags(self) -> dict[str, str]:
        """Tags of the maps."""
        return {f"{_TAG}{name.upper()}": str(value) for name, value in asdict(self).items()}

    def __str__(self) -> str:
        share = self.pixels / max(self.of_pixels, 1)
        return (
            f"{self.pixels} of {counted(self.of_pixels, 'pixel')} ({share:.1%}) screened as other, among them all of "
            f"{self.blocks} of {counted(self.of_blocks, 'block')}; expected loss: {self.risk:.3g} of the cropland"
        )


def screened_tally(plan: Plan, store: BlockStore) -> ScreenedTally | None:
    """Count the screened blocks and pixels of a scene; None without a screener.

    Args:
        plan: Plan of the scene.
        store: Holds all blocks of the plan; the last layer shows the screened pixels.

    Raises:
        RasterError: A block is damaged.
    """
    risk = plan.scene.identity.screening_risk
    if risk is None:
        return None
    blocks = of_blocks = pixels = of_pixels = 0
    for block in plan.blocks:
        shown = store.read(block.name)[-1]
        screened, computed = (int(np.count_nonzero(shown == value)) for value in (SCREENED, COMPUTED))
        blocks += screened > 0 and computed == 0
        of_blocks += screened + computed > 0
        pixels += screened
        of_pixels += screened + computed
    return ScreenedTally(blocks, of_blocks, pixels, of_pixels, risk)


def read_tally(path: Path) -> ScreenedTally:
    """Blocks and pixels that were screened, from the tags of a map.

    Raises:
        RasterError: The map cannot be opened.
    """
    with open_raster(path) as dataset:
        tags = dataset.tags()
    blocks, of_blocks, pixels, of_pixels = (int(tags[f"{_TAG}{name}"]) for name in _COUNTS)
    return ScreenedTally(blocks, of_blocks, pixels, of_pixels, float(tags[f"{_TAG}RISK"]))
