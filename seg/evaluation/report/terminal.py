"""Scores of a comparison as text for the terminal."""

from collections.abc import Sequence

from seg.calibration.curves import average_precision, expected_calibration_error
from seg.evaluation.accuracy import Accuracy
from seg.evaluation.counts.bootstrap import CONFIDENCE, FEWEST_UNITS
from seg.evaluation.counts.confusion import ConfusionCounts, percent_reliability
from seg.evaluation.counts.tiles import as_confusion
from seg.evaluation.pairs import Pairing
from seg.labels import CROPLAND, LABEL_NAMES, OTHER
from seg.terminal.text import counted, text_table

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

Row = Sequence[str]


def accuracy_text(accuracy: Accuracy, pairing: Pairing) -> str:
    """Tables of the scores, the most important scores first, and notes.

    Args:
        accuracy: Result of the comparison.
        pairing: Files that were compared, and files without a partner.
    """
    tables = [
        _counts_table(accuracy.counts),
        _scores_table(accuracy),
        _boundary_table(accuracy),
        _parcel_table(accuracy),
        _strata_table(accuracy),
        _scenes_table(accuracy),
        _worst_table(accuracy),
    ]
    return "\n\n".join([_subject(pairing), *filter(None, tables), "\n".join(_notes(accuracy, pairing))])


def _subject(pairing: Pairing) -> str:
    first = pairing.pairs[0]
    if len(pairing.pairs) == 1:
        within = f", fold {first.within.fold} of {first.within.path}" if first.within else ""
        return f"{first.prediction} against {first.reference}{within}"
    within = f", fold {first.within.fold} of each" if first.within else ""
    return f"{len(pairing.pairs)} maps of {first.prediction.parent} against {first.reference.parent}{within}"


def _table(columns: Row, rows: Sequence[Row]) -> str:
    return text_table(columns, rows) if rows else ""


def _counts_table(counts: ConfusionCounts) -> str:
    mapped = (f"mapped {LABEL_NAMES[label]}" for label in (CROPLAND, OTHER))
    rows = [
        [LABEL_NAMES[CROPLAND], f"{counts.tp:,}", f"{counts.fn:,}"],
        [LABEL_NAMES[OTHER], f"{counts.fp:,}", f"{counts.tn:,}"],
    ]
    return _table(["reference, in pixels", *mapped], rows)


def _scores_table(accuracy: Accuracy) -> str:
    intervals = accuracy.bootstrap.intervals if accuracy.bootstrap else {}
    rows = []
    for name, value in accuracy.counts.scores().items():
        interval = " to ".join(map(_shown, intervals[name])) if name in intervals else ""
        rows.append([SCORE_TITLES[name], _shown(value), *([interval] if intervals else [])])
    return _table(["score", "value", *([f"{CONFIDENCE:.0%} interval"] if intervals else [])], rows)


def _boundary_table(accuracy: Accuracy) -> str:
    tolerances = accuracy.measures.tolerances
    rows = []
    for value, counts in zip(tolerances.values, accuracy.boundary, strict=True):
        scores = counts.f1, counts.precision, counts.recall, counts.iou
        unit = "m" if tolerances.metric else "pixel" if value == 1 else "pixels"
        rows.append([f"{value:g} {unit}", *map(_shown, scores), f"{counts.reference:,}"])
    columns = ["boundary within", "F1", "precision", "recall", "IoU", "pixels in reference"]
    return _table(columns, rows if accuracy.has_boundary else [])


def _parcel_table(accuracy: Accuracy) -> str:
    parcels, threshold = accuracy.parcels, accuracy.measures.settings.object_iou
    rows = [
        ["in the reference", f"{parcels.reference:,}"],
        ["mapped", f"{parcels.mapped:,}"],
        [f"matched, IoU above {threshold:g}", f"{parcels.matched:,}"],
        ["precision", _shown(parcels.precision)],
        ["recall", _shown(parcels.recall)],
        ["over-segmentation", _shown(parcels.over_segmentation)],
        ["under-segmentation", _shown(parcels.under_segmentation)],
    ]
    return _table(["parcels", "value"], rows if parcels.reference or parcels.mapped else [])


def _strata_table(accuracy: Accuracy) -> str:
    return _groups_table("stratum", [(name, as_confusion(counts)) for name, counts in accuracy.strata.items()])


def _scenes_table(accuracy: Accuracy) -> str:
    scenes = sorted(accuracy.scenes, key=lambda scene: (scene.counts.iou is None, scene.counts.iou or 0.0))
    title = "scene" if len(scenes) <= SHOWN_SCENES else f"{SHOWN_SCENES} worst scenes"
    groups = [(scene.pair.name, scene.counts) for scene in scenes[:SHOWN_SCENES]]
    return _groups_table(title, groups if len(scenes) > 1 else [])


def _groups_table(title: str, groups: Sequence[tuple[str, ConfusionCounts]]) -> str:
    rows = []
    for name, counts in groups:
        scores = counts.scores()
        rows.append([name, f"{counts.compared:,}", *(_shown(scores[score]) for score in FEW_SCORES)])
    return _table([title, "pixels", *(SCORE_TITLES[name] for name in FEW_SCORES)], rows)


def _worst_table(accuracy: Accuracy) -> str:
    # A window that contains all pixels of its scene has the same scores as the scene, so the window is left out.
    parts = [(scene, found) for scene, found in accuracy.worst if found.counts.compared < scene.counts.compared]
    rows = []
    for scene, found in parts[:SHOWN_WINDOWS]:
        place = str(found.window.col_off), str(found.window.row_off)
        pixels = f"{found.errors:,}", f"{found.counts.compared:,}"
        rows.append([scene.pair.name, *place, *pixels, _shown(found.counts.iou)])
    return _table(["most wrong pixels in", "column", "row", "wrong", "compared", "IoU"], rows)


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
            f"probabilities: expected calibration error {_shown(error)}, "
            f"average precision {_shown(average_precision(accuracy.histogram))}"
        )
    if not accuracy.has_boundary:
        notes.append(
            "boundaries are not scored: in the reference, no cropland pixel is next to a pixel of class other; "
            "strips without labels may separate the two classes"
        )
    for kind, names in (("map", pairing.lone_predictions), ("reference", pairing.lone_references)):
        if names:
            notes.append(f"{counted(len(names), kind)} without a partner, first {names[0]}")
    return notes


def _unmapped_note(accuracy: Accuracy) -> str:
    unmapped = accuracy.unmapped
    if not unmapped:
        return "the map has a class at every labelled pixel"
    share = unmapped / (accuracy.counts.compared + unmapped)
    return f"the map has no class at {unmapped:,} labelled pixels ({share:.2%}); the scores do not include them"


def _shown(value: float | None) -> str:
    """Format a score; an undefined score is a dash."""
    return "-" if value is None else f"{value:.4f}"
