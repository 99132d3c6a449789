"""How much context a block needs, measured with the model on places of the scene itself."""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seg.inference.predictor import Predictor
from seg.raster.chips import BoolMask, FloatImage
from seg.raster.windows import round_up

STEPS = 32
"""How many halos are distinguished up to the limit."""


@dataclass(frozen=True)
class Sample:
    """A place where the scene is cut to see how far that shows: a core with the widest context around it.

    Attributes:
        image: (C, H, W) pixels of the core and of its context, as far as the scene goes.
        core: Rows and columns of the core in it.
        valid: (h, w) of the core; pixels without data have no probability that could change.
    """

    image: FloatImage
    core: tuple[slice, slice]
    valid: BoolMask

    def halo(self, predictor: Predictor, change: float) -> int | None:
        """The fewest pixels of context with which no probability of the core changes by more than that.

        Two predictions tell of every halo at once, one with all of the context and one of the core without any: a pixel
        so many pixels from a cut has what a block with that halo has at the edge of its core.

        Args:
            predictor: Model and augmentation.
            change: Of a probability, 0 to 1.

        Returns:
            None where that cannot be told: the core is all of the scene, or a change reaches too far into it.
        """
        context = self._context()
        if context.max() >= self.image.size:
            return None
        whole = predictor.probability(self.image)[self.core]
        alone = predictor.probability(self.image[:, self.core[0], self.core[1]])
        changed = self.valid & (np.abs(whole - alone) > change)
        fewest = int(context[changed].max(initial=-1)) + 1
        # Further in there are few pixels left to tell.
        return fewest if fewest <= context.max() * 3 // 4 or not changed.any() else None

    def _context(self) -> npt.NDArray[np.intp]:
        """(h, w) pixels between each of the core and the nearest cut; the scene's own edges are none."""
        distances = []
        for core, length in zip(self.core, self.image.shape[1:], strict=True):
            side = core.stop - core.start
            places = np.arange(side)
            before = places if core.start > 0 else np.full(side, self.image.size)
            after = places[::-1] if core.stop < length else np.full(side, self.image.size)
            distances.append(np.minimum(before, after))
        return np.minimum(distances[0][:, None], distances[1][None, :])


def measured_halo(predictor: Predictor, samples: Iterable[Sample], limit: int, tolerance: float) -> int:
    """A halo that keeps every probability of the samples well within the tolerance.

    It is the second candidate that is enough at half the tolerance: that half and a step are the margin for places that
    were not sampled.

    Args:
        predictor: Model and augmentation.
        samples: The places.
        limit: A halo that is enough in any case, a multiple of the alignment: the receptive field. It comes back where
            there is no sample, or where one could not tell.
        tolerance: Largest change of a probability that is accepted, 0 to 1.
    """
    candidates = halo_candidates(predictor.alignment, limit)
    enough = None
    for sample in samples:
        fewest = sample.halo(predictor, tolerance / 2)
        if fewest is None or fewest > candidates[-2:][0]:
            return limit  # one step below there is nothing left to gain
        enough = max(enough or 0, fewest)
    if enough is None:
        return limit
    return candidates[min(bisect_left(candidates, enough) + 1, len(candidates) - 1)]


def halo_candidates(alignment: int, limit: int) -> list[int]:
    """Halos worth trying: multiples of the alignment in at most 32 equal steps up to the limit."""
    step = round_up(max(limit // STEPS, 1), alignment)
    return [*range(step, limit, step), limit]
