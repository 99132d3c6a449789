"""What a comparison found, as tables on the terminal."""

from rich import box
from rich.console import Console
from rich.table import Table

from seg.calibration.curves import average_precision, expected_calibration_error
from seg.evaluation.accuracy import Accuracy
from seg.evaluation.counts.bootstrap import CONFIDENCE, FEWEST_UNITS
from seg.evaluation.counts.confusion import ConfusionCounts
from seg.evaluation.counts.probability import percent_reliability
from seg.evaluation.counts.tiles import as_confusion
from seg.evaluation.pairs import Pairing
from seg.labels import CROPLAND, LABEL_NAMES, OTHER

SCORE_TITLES = {
    "iou": "IoU",
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "overall_accuracy": "overall accuracy",
    "kappa": "kappa",
    "mcc": "MCC",
}

SHOWN_SCENES = 20
SHOWN_WINDOWS = 5
FEW_SCORES = ("iou", "f1", "precision", "recall", "overall_accuracy")


def print_accuracy(accuracy: Accuracy, pairing: Pairing, console: Console) -> None:
    """Print all that was found, most important first.

    Args:
        accuracy: What was found.
        pairing: Which files were compared, and which had no partner.
        console: A terminal gets ruled tables; a file or pipe gets plain columns.
    """
    print_text(_what(pairing), console)
    tables = [
        _counts_table(accuracy.counts, console),
        _scores_table(accuracy, console),
        _boundary_table(accuracy, console),
        _parcel_table(accuracy, console),
        _strata_table(accuracy, console),
        _scenes_table(accuracy, console),
        _worst_table(accuracy, console),
    ]
    for table in tables:
        if table.row_count:
            console.print()
            console.print(table)
    console.print()
    for line in _notes(accuracy, pairing):
        print_text(line, console)


def print_text(text: str, console: Console) -> None:
    """Print a line as it is: file names may hold [brackets], which are markup to rich, and must not be wrapped."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _what(pairing: Pairing) -> str:
    first = pairing.pairs[0]
    if len(pairing.pairs) == 1:
        within = f", fold {first.within.fold} of {first.within.path}" if first.within else ""
        return f"{first.prediction} against {first.reference}{within}"
    within = f", fold {first.within.fold} of each" if first.within else ""
    return f"{len(pairing.pairs)} maps of {first.prediction.parent} against {first.reference.parent}{within}"


def _table(console: Console, first: str, *others: str) -> Table:
    ruled = console.is_terminal
    table = Table(first, box=box.SIMPLE_HEAD if ruled else None, pad_edge=ruled)
    for title in others:
        table.add_column(title, justify="right")
    return table


def _counts_table(counts: ConfusionCounts, console: Console) -> Table:
    mapped = (f"mapped {LABEL_NAMES[label]}" for label in (CROPLAND, OTHER))
    table = _table(console, "reference, in pixels", *mapped)
    table.add_row(LABEL_NAMES[CROPLAND], f"{counts.tp:,}", f"{counts.fn:,}")
    table.add_row(LABEL_NAMES[OTHER], f"{counts.fp:,}", f"{counts.tn:,}")
    return table


def _scores_table(accuracy: Accuracy, console: Console) -> Table:
    intervals = accuracy.bootstrap.intervals if accuracy.bootstrap else {}
    table = _table(console, "score", "value", *([f"{CONFIDENCE:.0%} interval"] if intervals else []))
    for name, value in accuracy.counts.scores().items():
        cells = [SCORE_TITLES[name], shown(value)]
        if intervals:
            cells.append(" to ".join(map(shown, intervals[name])) if name in intervals else "")
        table.add_row(*cells)
    return table


def _boundary_table(accuracy: Accuracy, console: Console) -> Table:
    tolerances = accuracy.measures.tolerances
    rows = zip(tolerances.values, accuracy.boundary, strict=True)
    table = _table(console, "boundary within", "F1", "precision", "recall", "IoU", "pixels in reference")
    for value, counts in rows if accuracy.has_boundary else ():
        scores = counts.f1, counts.precision, counts.recall, counts.iou
        unit = "m" if tolerances.metric else "pixel" if value == 1 else "pixels"
        table.add_row(f"{value:g} {unit}", *map(shown, scores), f"{counts.reference:,}")
    return table


def _parcel_table(accuracy: Accuracy, console: Console) -> Table:
    parcels, threshold = accuracy.parcels, accuracy.measures.settings.object_iou
    table = _table(console, "parcels", "value")
    if not parcels.reference and not parcels.mapped:
        return table
    table.add_row("in the reference", f"{parcels.reference:,}")
    table.add_row("mapped", f"{parcels.mapped:,}")
    table.add_row(f"matched, IoU above {threshold:g}", f"{parcels.matched:,}")
    table.add_row("precision", shown(parcels.precision))
    table.add_row("recall", shown(parcels.recall))
    table.add_row("over-segmentation", shown(parcels.over_segmentation))
    table.add_row("under-segmentation", shown(parcels.under_segmentation))
    return table


def _strata_table(accuracy: Accuracy, console: Console) -> Table:
    table = _table(console, "stratum", "pixels", *(SCORE_TITLES[name] for name in FEW_SCORES))
    for name, counts in accuracy.strata.items():
        _add_counts(table, name, as_confusion(counts))
    return table


def _scenes_table(accuracy: Accuracy, console: Console) -> Table:
    scenes = sorted(accuracy.scenes, key=lambda scene: (scene.counts.iou is None, scene.counts.iou or 0.0))
    several = len(scenes) > 1
    first = "scene" if len(scenes) <= SHOWN_SCENES else f"{SHOWN_SCENES} worst scenes"
    table = _table(console, first, "pixels", *(SCORE_TITLES[name] for name in FEW_SCORES))
    for scene in scenes[:SHOWN_SCENES] if several else []:
        _add_counts(table, scene.pair.name, scene.counts)
    return table


def _worst_table(accuracy: Accuracy, console: Console) -> Table:
    table = _table(console, "most wrong pixels in", "column", "row", "wrong", "compared", "IoU")
    parts = [(scene, found) for scene, found in accuracy.worst if found.counts.compared < scene.counts.compared]
    for scene, found in parts[:SHOWN_WINDOWS]:
        place = str(found.window.col_off), str(found.window.row_off)
        table.add_row(
            scene.pair.name, *place, f"{found.errors:,}", f"{found.counts.compared:,}", shown(found.counts.iou)
        )
    return table


def _add_counts(table: Table, name: str, counts: ConfusionCounts) -> None:
    scores = counts.scores()
    table.add_row(name, f"{counts.compared:,}", *(shown(scores[score]) for score in FEW_SCORES))


def _notes(accuracy: Accuracy, pairing: Pairing) -> list[str]:
    notes = [f"{accuracy.counts.compared:,} pixels compared; {_unmapped_note(accuracy)}"]
    found = accuracy.bootstrap
    if found is not None:
        side = f" of {found.block_size} pixels" if found.block_size else ""
        notes.append(
            f"intervals: bootstrap over {found.units} {found.unit}s{side}, {found.repetitions} draws, seed {found.seed}"
        )
    elif accuracy.measures.settings.bootstrap:
        notes.append(f"no intervals: fewer than {FEWEST_UNITS} scenes or blocks to draw from")
    if accuracy.histogram is not None and accuracy.histogram.any():
        error = expected_calibration_error(percent_reliability(accuracy.histogram))
        notes.append(
            f"probabilities: expected calibration error {shown(error)}, "
            f"average precision {shown(average_precision(accuracy.histogram))}"
        )
    if not accuracy.has_boundary:
        notes.append(
            "boundaries are not scored: no cropland in the reference lies beside other, as where strips without labels "
            "part them"
        )
    for what, names in (("map", pairing.lone_predictions), ("reference", pairing.lone_references)):
        if names:
            notes.append(f"{len(names)} {what}{'' if len(names) == 1 else 's'} without a partner, first {names[0]}")
    return notes


def shown(value: float | None) -> str:
    """A score for people; a dash where it is undefined."""
    return "-" if value is None else f"{value:.4f}"


def _unmapped_note(accuracy: Accuracy) -> str:
    unmapped = accuracy.unmapped
    if not unmapped:
        return "every labelled pixel has a value in the map"
    share = unmapped / (accuracy.counts.compared + unmapped)
    return f"{unmapped:,} labelled pixels ({share:.2%}) have no value in the map and are in no score"
