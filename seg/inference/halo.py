"""How much context a block needs, measured with the model on places of the scene itself."""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from seg.inference.backends import Probability
from seg.inference.predictor import Predictor
from seg.raster.chips import BoolMask, FloatImage
from seg.raster.windows import round_up

STEPS = 32
"""How many halos are distinguished up to the limit."""


@dataclass(frozen=True)
class Sample:
    """A place where halos are tried: a core with the widest context around it.

    Attributes:
        image: (C, H, W) pixels of the core and of its context, as far as the scene goes.
        core: Rows and columns of the core in it.
        valid: (h, w) of the core; pixels without data have no probability that could change.
    """

    image: FloatImage
    core: tuple[slice, slice]
    valid: BoolMask

    def probability(self, predictor: Predictor, halo: int) -> Probability:
        """The (h, w) probability of the core as a block with this halo gives it."""
        reads = [
            slice(max(core.start - halo, 0), min(core.stop + halo, length))
            for core, length in zip(self.core, self.image.shape[1:], strict=True)
        ]
        inner = [slice(c.start - read.start, c.stop - read.start) for c, read in zip(self.core, reads, strict=True)]
        return predictor.probability(self.image[:, reads[0], reads[1]])[inner[0], inner[1]]


def measured_halo(predictor: Predictor, samples: Iterable[Sample], limit: int, tolerance: float) -> int:
    """A halo that keeps every probability of the samples' cores well within the tolerance.

    A candidate is enough for a sample if no pixel of its core, the edges next to the cuts among them, changes by more
    than half the tolerance. What comes back is the candidate above the smallest one that is enough for all samples.
    Half the tolerance and one step of halo are the margin for places that were not sampled.

    Args:
        predictor: Model and augmentation.
        samples: Those where a cut shows most should come first, as each later one mostly confirms.
        limit: A halo that is enough in any case, a multiple of the alignment: the receptive field. It comes back where
            there is no sample.
        tolerance: Largest change of a probability that is accepted, 0 to 1.
    """
    candidates = halo_candidates(predictor.alignment, limit)
    last = len(candidates) - 1
    enough = None
    for sample in samples:
        enough = _enough_for(predictor, sample, candidates[enough or 0 :], tolerance / 2) + (enough or 0)
        if enough >= last - 1:
            return limit  # one step below there is nothing left to gain
    return limit if enough is None else candidates[enough + 1]


def halo_candidates(alignment: int, limit: int) -> list[int]:
    """Halos worth trying: multiples of the alignment in at most 32 equal steps up to the limit."""
    step = round_up(max(limit // STEPS, 1), alignment)
    return [*range(step, limit, step), limit]


def _enough_for(predictor: Predictor, sample: Sample, candidates: list[int], tolerance: float) -> int:
    """Index of the first candidate that is enough for a sample, as is the next one; the last is enough unseen."""
    full = sample.probability(predictor, candidates[-1])[sample.valid]
    known: dict[int, bool] = {len(candidates) - 1: True}

    def enough(index: int) -> bool:
        if index not in known:
            change = np.abs(sample.probability(predictor, candidates[index])[sample.valid] - full)
            known[index] = bool(change.max(initial=0.0) <= tolerance)
        return known[index]

    def with_next(index: int) -> bool:
        # The change does not fall at each step everywhere: one small value may be chance.
        return enough(index) and enough(min(index + 1, len(candidates) - 1))

    return 0 if with_next(0) else bisect_left(range(len(candidates)), True, lo=1, key=with_next)
