"""The result of a comparison as tables on the terminal and as JSON."""

import json
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from seg import __version__
from seg.evaluation.accuracy import Comparison
from seg.labels import CROPLAND, LABEL_NAMES, OTHER
from seg.raster.atomic import complete_or_absent

SCORE_TITLES = {
    "iou": "IoU",
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "overall_accuracy": "overall accuracy",
    "kappa": "kappa",
}


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print the confusion counts, the scores of cropland, and what could not be compared.

    Args:
        comparison: What was found.
        console: A terminal gets ruled tables; a file or pipe gets plain columns.
    """
    within = f", fold {comparison.within.fold} of {comparison.within.path}" if comparison.within else ""
    print_text(f"{comparison.prediction} against {comparison.reference}{within}", console)
    console.print()
    console.print(_counts_table(comparison, console.is_terminal))
    console.print()
    console.print(_scores_table(comparison, console.is_terminal))
    console.print()
    print_text(f"{comparison.counts.compared:,} pixels compared; {_unmapped_note(comparison)}", console)


def print_text(text: str, console: Console) -> None:
    """Print a line as it is: file names may hold [brackets], which are markup to rich, and must not be wrapped."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def write_json(comparison: Comparison, path: Path) -> None:
    """Write file names, fold, counts, every score and the software's version; the file is complete or absent."""
    with complete_or_absent(path) as temporary:
        temporary.write_text(json.dumps(_as_json(comparison), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _counts_table(comparison: Comparison, ruled: bool) -> Table:
    counts = comparison.counts
    table = Table("reference, in pixels", box=box.SIMPLE_HEAD if ruled else None, pad_edge=ruled)
    for label in (CROPLAND, OTHER):
        table.add_column(f"mapped {LABEL_NAMES[label]}", justify="right")
    table.add_row(LABEL_NAMES[CROPLAND], f"{counts.tp:,}", f"{counts.fn:,}")
    table.add_row(LABEL_NAMES[OTHER], f"{counts.fp:,}", f"{counts.tn:,}")
    return table


def _scores_table(comparison: Comparison, ruled: bool) -> Table:
    table = Table("score", box=box.SIMPLE_HEAD if ruled else None, pad_edge=ruled)
    table.add_column("value", justify="right")
    for name, value in comparison.counts.scores().items():
        table.add_row(SCORE_TITLES[name], f"{value:.4f}")
    return table


def _unmapped_note(comparison: Comparison) -> str:
    if not comparison.unmapped:
        return "every labelled pixel has a value in the map"
    share = comparison.unmapped / comparison.labelled
    return f"{comparison.unmapped:,} labelled pixels ({share:.2%}) have no value in the map and are in no score"


def _as_json(comparison: Comparison) -> dict[str, object]:
    counts, within = comparison.counts, comparison.within
    return {
        "software": {"name": "cropland-seg", "version": __version__},
        "prediction": str(comparison.prediction),
        "reference": str(comparison.reference),
        "fold": {"raster": str(within.path), "number": within.fold} if within else None,
        "counts": {
            "true_positive": counts.tp,
            "false_positive": counts.fp,
            "false_negative": counts.fn,
            "true_negative": counts.tn,
            "compared": counts.compared,
            "unmapped": comparison.unmapped,
        },
        "scores": counts.scores(),
    }
