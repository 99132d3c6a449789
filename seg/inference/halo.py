"""How much context a block needs, measured with the model on the scene itself."""

from collections.abc import Iterable

import numpy as np

from seg.inference.predictor import Predictor
from seg.raster.chips import FloatImage
from seg.raster.windows import round_up

CORE = 128
"""Side of the square whose probabilities are compared, in pixels, before rounding to the alignment."""


def measured_halo(predictor: Predictor, samples: Iterable[FloatImage], limit: int, tolerance: float) -> int:
    """The smallest tried halo that keeps every probability of the samples' cores within half the tolerance.

    The other half is the margin for pixels that were not sampled.

    Args:
        predictor: Model and augmentation.
        samples: (C, S, S) images, S = `sample_side(alignment, limit)`.
        limit: A halo that is enough in any case, a multiple of the alignment: the receptive field.
        tolerance: Largest change of a probability that is accepted, 0 to 1.
    """
    candidates = halo_candidates(predictor.alignment, limit)
    return max((_halo_of_sample(predictor, sample, candidates, tolerance / 2) for sample in samples), default=limit)


def sample_side(alignment: int, limit: int) -> int:
    """Side in pixels of the samples that `measured_halo` wants."""
    return _core_side(alignment) + 2 * limit


def halo_candidates(alignment: int, limit: int) -> list[int]:
    """Halos worth trying: multiples of the alignment, each about a third above the one before, up to the limit."""
    halos = [alignment]
    while halos[-1] < limit:
        halos.append(halos[-1] + max(halos[-1] // 3 // alignment, 1) * alignment)
    return [halo for halo in halos if halo < limit] + [limit]


def _halo_of_sample(predictor: Predictor, sample: FloatImage, candidates: list[int], tolerance: float) -> int:
    limit, core = candidates[-1], _core_side(predictor.alignment)
    full = predictor.probability(sample)[limit : limit + core, limit : limit + core]
    for halo in candidates[:-1]:
        cut = slice(limit - halo, limit + core + halo)
        inner = slice(halo, halo + core)
        if np.abs(predictor.probability(sample[:, cut, cut])[inner, inner] - full).max() <= tolerance:
            return halo
    return limit


def _core_side(alignment: int) -> int:
    return round_up(CORE, alignment)
