"""Risk of a screener over random splits of held-out tiles into calibration and test."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seg.benchmark.screening.mosaic import Tile
from seg.calibration.risk_control import Cells, controlled_cut
from seg.inference.screening.applying import cell_scores
from seg.inference.screening.features import CELL, PIXEL, cell_counts, coarse_indices
from seg.labels import CROPLAND
from seg.package.screener import Screener

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SplitRisk:
    """Risk over random splits.

    Attributes:
        splits: Number of splits.
        loss: Mean share of the test tiles' cropland in screened cells.
        coverage: Share of the splits in which screened cells hold at most the share alpha of the test tiles' cropland.
        screened: Mean share of the test tiles' cells that are screened.
    """

    splits: int
    loss: float
    coverage: float
    screened: float


def split_risk(screener: Screener, tiles: Sequence[Tile], splits: int) -> SplitRisk:
    """Choose the cut of a screener on a random half of the tiles, and measure the loss on the other half, many times.

    Args:
        screener: The screener; its stored cut is not used.
        tiles: Tiles with which the screener was not trained.
        splits: Number of splits.
    """
    scored = [_scored(screener, tile) for tile in tiles]
    random = np.random.default_rng(0)
    losses, screened = np.empty(splits), np.empty(splits)
    for split in range(splits):
        order = random.permutation(len(tiles))
        half = len(tiles) // 2
        cut = controlled_cut(_joined(scored, order[:half]), screener.alpha, PIXEL**2).cut
        test = _joined(scored, order[half:])
        inside = test.scores <= cut
        losses[split] = test.cropland[inside].sum() / max(float(test.cropland.sum()), 1.0)
        screened[split] = inside.mean()
    within = float((losses <= screener.alpha).mean())
    return SplitRisk(splits, float(losses.mean()), within, float(screened.mean()))


def _scored(screener: Screener, tile: Tile) -> tuple[Numbers, Numbers]:
    """Score and pixels of cropland of each cell of a tile."""
    image = tile.image.astype(np.float32)
    indices, known = coarse_indices(image, np.ones(tile.mask.shape, bool), screener.places)
    scores = cell_scores(screener, cell_counts(indices, known, screener.otsu))
    starts = [np.arange(0, length, CELL) for length in tile.mask.shape]
    rows = np.add.reduceat((tile.mask == CROPLAND).astype(np.float64), starts[0], axis=0)
    return scores.ravel(), np.add.reduceat(rows, starts[1], axis=1).ravel()


def _joined(scored: Sequence[tuple[Numbers, Numbers]], chosen: npt.NDArray[np.int64]) -> Cells:
    parts = [scored[number] for number in chosen.tolist()]
    scene = np.repeat(np.arange(len(parts)), [len(scores) for scores, _ in parts])
    scores, cropland = (np.concatenate(values) for values in zip(*parts, strict=True))
    return Cells(scores, cropland, scene)
