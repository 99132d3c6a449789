"""Judge one map: compare it with its reference, print the scores, write the report."""

from pathlib import Path

from rich.console import Console

from seg.errors import ConfigError
from seg.evaluation.accuracy import Comparison, FoldSelection, count_confusion
from seg.evaluation.output import make_output_folder, require_output_folder
from seg.evaluation.picture import draw_picture
from seg.evaluation.report import print_comparison, print_text, write_json
from seg.raster.grid import placed_on, read_grid, require_same_grid


def evaluate(
    prediction: Path,
    reference: Path,
    output: Path,
    within: FoldSelection | None = None,
    image: Path | None = None,
) -> Comparison:
    """The comparison of a map with its reference, also printed and written to `accuracy.json` and `picture.png`.

    Args:
        prediction: Class map.
        reference: Mask on the same grid.
        output: Folder for the report; made if its parent exists.
        within: Compare only the pixels of one fold.
        image: The scene that was mapped, for the picture.

    Raises:
        ConfigError: The output folder cannot be made or written.
        RasterError: A raster cannot be read, lies on another grid or holds other values, or nothing can be compared.
    """
    require_output_folder(output)
    if image is not None:
        scene = read_grid(image)
        require_same_grid(scene, placed_on(read_grid(reference), scene))
    comparison = count_confusion(prediction, reference, within)
    console = Console()
    print_comparison(comparison, console)
    make_output_folder(output)
    write_json(comparison, output / "accuracy.json")
    draw_picture(comparison, image, output / "picture.png")
    for name in ("accuracy.json", "picture.png"):
        print_text(f"written: {output / name}", console)
    return comparison


def fold_selection(folds: Path | None, fold: int | None) -> FoldSelection | None:
    """The fold that two options of a command line name, or None if neither is given.

    Raises:
        ConfigError: Only one is given.
    """
    if folds is None and fold is None:
        return None
    if folds is None:
        raise ConfigError(f"--fold {fold} needs --folds, the raster that says which pixel belongs to which fold")
    if fold is None:
        raise ConfigError(f"--folds {folds} needs --fold, the number of the held-out fold to compare")
    return FoldSelection(folds, fold)
