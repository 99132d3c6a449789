"""Comparison of a map with a reference, for several test files."""

from pathlib import Path

from seg.evaluation.accuracy import Accuracy, measure_accuracy
from seg.evaluation.pairs import FoldSelection, Pair
from seg.evaluation.settings import EvaluationSettings


def compare(
    prediction: Path, reference: Path, within: FoldSelection | None = None, window_size: int = 2048, **options: object
) -> Accuracy:
    """Accuracy of a map; `options` are the settings of the comparison."""
    pair = Pair(prediction.stem, prediction, reference, within=within)
    return measure_accuracy([pair], EvaluationSettings(window_size=window_size, **options))
