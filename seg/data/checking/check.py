"""Read a dataset once and collect all problems for training."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from seg.data.checking.consistency import consistency_findings
from seg.data.checking.duplicates import duplicate_findings, overlap_findings
from seg.data.checking.findings import Finding, Severity, error, note, warning
from seg.data.checking.listing import list_scenes
from seg.data.checking.pixels import Reading
from seg.data.checking.scenes import CheckedScene, check_one
from seg.data.checking.unlabelled import check_unlabelled_scenes, leak_findings
from seg.data.dataset.catalogue import Scene, band_indexes
from seg.data.dataset.checks import require_both_classes
from seg.errors import DatasetError, RasterError
from seg.raster.grid import data_bands, open_raster
from seg.raster.label_mapping import PLAIN_LABELS, LabelMapping
from seg.terminal.progress import with_progress


@dataclass(frozen=True)
class Options:
    """Training settings that a check depends on.

    Attributes:
        bands: Bands to read, 1-based indexes or names. If empty, all bands except alpha of a usual image, the first one
            that has the most common number of bands.
        nodata: Additional value that means "no data", or None.
        folds: Number of folds.
        labels: Meaning of the mask values.
        chips: True for training on chips; scenes may then have any size.
        fold: The held-out fold; no unlabelled scene may overlap the scenes of this fold. None if no fold is held out.
        unlabelled: Unlabelled scenes in addition to those of the manifest, named as for training; None for no others.
    """

    bands: tuple[int | str, ...] = ()
    nodata: float | None = None
    folds: int = 5
    labels: LabelMapping = PLAIN_LABELS
    chips: bool = False
    fold: int | None = 0
    unlabelled: Path | None = None


@dataclass(frozen=True)
class Report:
    """Scenes and findings of a checked dataset.

    Attributes:
        root: The dataset.
        options: Training settings that the check assumed.
        bands: The 1-based bands that were read.
        scenes: Scenes in the order of their image paths.
        findings: All findings, errors first, then by file.
        unlabelled: Unlabelled scenes. Their mask is the path of the image, and their fold is -1.
    """

    root: Path
    options: Options
    bands: tuple[int, ...]
    scenes: tuple[CheckedScene, ...]
    findings: tuple[Finding, ...]
    unlabelled: tuple[CheckedScene, ...] = ()

    def count(self, severity: Severity) -> int:
        """Number of findings of a severity."""
        return sum(finding.severity is severity for finding in self.findings)


def check_dataset(root: Path, options: Options) -> Report:
    """Check a dataset; memory does not depend on the size of its scenes.

    Args:
        root: A folder with `images/` and `masks/`, or with a manifest.
        options: Training settings that the check assumes.

    Raises:
        DatasetError: The folder is missing, no image has the named bands, or an unlabelled scene is missing.
        RasterError: The folder, pattern or list of unlabelled scenes contains no scene.
        ConfigError: The number of folds is below 1.
    """
    listing = list_scenes(root, options.folds, options.labels)
    bands, misnamed = _named_bands(listing.scenes, options.bands or _usual_bands(listing.scenes))
    reading = Reading(bands, options.nodata, bool(options.bands), options.labels, options.chips)
    scenes = [check_one(scene, reading) for scene in with_progress(listing.scenes, "checking scenes")]
    unlabelled = check_unlabelled_scenes(root, options.unlabelled, options.fold, reading)
    everything = [*scenes, *unlabelled]
    findings = [*listing.findings, *misnamed, *(finding for scene in everything for finding in scene.findings)]
    findings += consistency_findings(everything, named_bands=reading.named)
    findings += leak_findings(scenes, unlabelled, options.fold)
    findings += _nodata_findings(root, scenes, options.nodata)
    findings += [*duplicate_findings(scenes), *overlap_findings(scenes)]
    if listing.complete:  # In an incomplete list, the unlisted scenes may have the missing fold or class.
        findings += _fold_findings(root, scenes, options.folds)
    rank = {severity: place for place, severity in enumerate(Severity)}
    ordered = sorted(findings, key=lambda finding: (rank[finding.severity], finding.file, finding.kind))
    return Report(root, options, reading.bands, tuple(scenes), tuple(ordered), tuple(unlabelled))


def _usual_bands(scenes: Sequence[Scene]) -> tuple[int, ...]:
    """All bands except alpha of the first image that has the most common number of bands.

    Training compares all images with the first one. This check compares all images with the most common form, so that a
    single odd image is reported rather than all others.
    """
    bands_of: list[tuple[int, tuple[int, ...]]] = []
    for scene in scenes:
        try:
            with open_raster(scene.image) as image:
                bands_of.append((image.count, tuple(data_bands(image))))
        except RasterError:
            continue  # check_one reports it.
    usual = Counter(count for count, _ in bands_of).most_common(1)
    return next((bands for count, bands in bands_of if count == usual[0][0]), (1,))


def _named_bands(scenes: Sequence[Scene], bands: Sequence[int | str]) -> tuple[tuple[int, ...], list[Finding]]:
    """1-based indexes that the named bands have in most images, and a finding for each image with other indexes.

    Raises:
        DatasetError: No image has bands of all these names.
    """
    found: dict[Scene, tuple[int, ...]] = {}
    findings: list[Finding] = []
    refused = None
    for scene in scenes:
        try:
            found[scene] = tuple(band_indexes([scene], bands))
        except DatasetError as problem:
            refused = refused or problem
            findings.append(error("band-names", scene.image, str(problem)))
        except RasterError:
            continue  # check_one reports it.
    if not found:
        if refused:
            raise refused
        return tuple(band for band in bands if isinstance(band, int)) or (1,), []
    [(usual, _)] = Counter(found.values()).most_common(1)
    for scene, indexes in found.items():
        if indexes != usual:
            names, found_indexes, usual_indexes = (", ".join(map(str, part)) for part in (bands, indexes, usual))
            message = f"bands {names} are bands {found_indexes}, but {usual_indexes} in most images; use one order"
            findings.append(error("band-names", scene.image, message))
    return usual, findings


def _nodata_findings(root: Path, scenes: Sequence[CheckedScene], nodata: float | None) -> Iterator[Finding]:
    """Finding if no image contains the nodata value given on the command line."""
    read = [scene.pixels for scene in scenes if scene.pixels is not None]
    if nodata is not None and read and not any(pixels.nodata_found for pixels in read):
        yield warning("nodata-unmatched", root, f"no pixel has the value of --nodata={nodata:.8g}; check the value")


def _fold_findings(root: Path, scenes: Sequence[CheckedScene], folds: int) -> Iterator[Finding]:
    """Findings about folds that cannot be held out, or whose training scenes have only one class."""
    if not scenes:
        return
    known = [scene.labels for scene in scenes if scene.labels is not None]
    if len(known) == len(scenes) and not any(labels.other or labels.cropland for labels in known):
        yield error("no-labels", root, "no scene has a labelled pixel with data; add labelled scenes")
        return
    if len(scenes) == 1:
        yield note("one-scene", root, "has one scene, so no scene is left for training; split it into blocks")
        return
    used = sorted({scene.scene.fold for scene in scenes})
    if len(used) == 1:
        message = f"all {len(scenes)} scenes are in fold {used[0]}, so no scene is left for training"
        yield error("one-fold", root, f"{message}; spread the scenes over the folds")
        return
    unused = [fold for fold in range(folds) if fold not in used]
    if unused:
        message = f"no scene is in fold {', '.join(map(str, unused))} of {folds}, so training cannot hold it out"
        yield warning("empty-fold", root, f"{message}; use fewer folds, or add scenes")
    for fold in used:
        yield from _training_findings(root, scenes, fold)


def _training_findings(root: Path, scenes: Sequence[CheckedScene], fold: int) -> Iterator[Finding]:
    training = [scene.labels for scene in scenes if scene.scene.fold != fold]
    known = [labels for labels in training if labels is not None]
    if len(known) < len(training):
        return  # An unreadable mask may hold the missing class; it already has a finding.
    try:
        require_both_classes(root, known)
    except DatasetError as problem:
        yield error("one-class", root, f"{problem} (when fold {fold} is held out)")
