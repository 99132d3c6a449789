"""Compare a cropland map with a reference: `python scripts/evaluate.py --help`."""

import sys
from pathlib import Path

from seg.console import run_command


def main(
    *,
    prediction: Path,
    reference: Path,
    output: Path,
    folds: Path | None = None,
    fold: int | None = None,
    image: Path | None = None,
) -> None:
    """Compare a cropland map with a reference mask; print the scores and write accuracy.json and picture.png.

    Args:
        prediction: Class map to judge: 0 other, 1 cropland, 255 or nodata where it has no value.
        reference: Mask on the map's grid: 0 other, 1 cropland, 255 no label.
        output: Folder for the report; it is made if its parent exists.
        folds: Raster on the same grid with a fold number per pixel; needs --fold.
        fold: Compare only the pixels of this held-out fold; needs --folds.
        image: The scene that was mapped, shown in the picture beside reference and map.
    """
    from seg.evaluation.evaluate import evaluate, fold_selection

    evaluate(prediction, reference, output, fold_selection(folds, fold), image)


if __name__ == "__main__":
    sys.exit(run_command(main))
