"""Check a dataset: everything that is wrong with it, in one reading."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seg.data.checking.consistency import consistency_findings
from seg.data.checking.duplicates import duplicate_findings, overlap_findings
from seg.data.checking.findings import Finding, Severity
from seg.data.checking.folds import fold_findings
from seg.data.checking.listing import list_scenes
from seg.data.checking.naming import named_bands
from seg.data.checking.pixels import Reading
from seg.data.checking.scenes import CheckedScene, check_one
from seg.data.dataset.catalogue import Scene
from seg.errors import RasterError
from seg.raster.grid import alpha_bands, open_raster
from seg.raster.label_mapping import PLAIN_LABELS, LabelMapping
from seg.terminal.progress import tracked


@dataclass(frozen=True)
class Options:
    """How a dataset would be trained on.

    Attributes:
        bands: Bands to read, 1-based indexes or names; none stands for all of the usual image but alpha.
        nodata: A further stored value that means "no data", or None.
        folds: Number of folds.
        labels: What the values of the masks mean.
        chips: Whether on chips, so that scenes may be of any size.
    """

    bands: tuple[int | str, ...] = ()
    nodata: float | None = None
    folds: int = 5
    labels: LabelMapping = PLAIN_LABELS
    chips: bool = False


@dataclass(frozen=True)
class Report:
    """What a check found.

    Attributes:
        root: The dataset.
        options: How it would be trained on.
        bands: The 1-based bands that were read.
        scenes: Its scenes, in the order of their images.
        findings: Everything found, errors first, then by file.
    """

    root: Path
    options: Options
    bands: tuple[int, ...]
    scenes: tuple[CheckedScene, ...]
    findings: tuple[Finding, ...]

    def count(self, severity: Severity) -> int:
        """How many findings are of a severity."""
        return sum(finding.severity is severity for finding in self.findings)


def check_dataset(root: Path, options: Options) -> Report:
    """Everything that is wrong with a dataset; memory does not depend on the size of its scenes.

    Args:
        root: A folder with `images/` and `masks/`, or with a manifest.
        options: How it would be trained on.

    Raises:
        DatasetError: There is no such folder, or no image has the bands named.
        ConfigError: There is no fold.
    """
    listing = list_scenes(root, options.folds, options.labels)
    bands, misnamed = named_bands(listing.scenes, options.bands or _usual_bands(listing.scenes))
    reading = Reading(bands, options.nodata, bool(options.bands), options.labels, options.chips)
    scenes = [check_one(scene, reading) for scene in tracked(listing.scenes, "checking scenes")]
    findings = [*listing.findings, *misnamed, *(finding for scene in scenes for finding in scene.findings)]
    findings += consistency_findings(scenes, named_bands=reading.named)
    findings += [*duplicate_findings(scenes), *overlap_findings(scenes)]
    if listing.complete:  # What is missing may hold the fold or the class that seems to.
        findings += fold_findings(root, scenes, options.folds)
    rank = {severity: place for place, severity in enumerate(Severity)}
    ordered = sorted(findings, key=lambda finding: (rank[finding.severity], finding.file, finding.kind))
    return Report(root, options, reading.bands, tuple(scenes), tuple(ordered))


def _usual_bands(scenes: Sequence[Scene]) -> tuple[int, ...]:
    """The bands but alpha of the first image with as many bands as most have, so that one odd image stays the odd one.

    Training takes those of the first image; what differs from it is an error there and here.
    """
    bands_of: list[tuple[int, tuple[int, ...]]] = []
    for scene in scenes:
        try:
            with open_raster(scene.image) as image:
                alpha = alpha_bands(image)
                bands_of.append((image.count, tuple(band for band in image.indexes if band not in alpha)))
        except RasterError:
            continue  # It gets its finding when it is checked.
    usual = Counter(count for count, _ in bands_of).most_common(1)
    return next((bands for count, bands in bands_of if count == usual[0][0]), (1,))
