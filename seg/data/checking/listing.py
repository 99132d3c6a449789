"""All usable scenes of a dataset, and findings about its manifest or folders."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from seg.data.checking.findings import Finding, error
from seg.data.dataset.catalogue import UNREAD, Scene, labelled_row, read_catalogue
from seg.data.dataset.manifest import Row, manifest_of, manifest_rows
from seg.errors import ConfigError, DatasetError
from seg.raster.folder import files_in, first_by_stem, unrecognised_file
from seg.raster.label_mapping import PLAIN_LABELS, LabelMapping

MOST_FOLDS = 1000
"""Largest number of folds; the check examines the training scenes of every fold."""


@dataclass(frozen=True)
class Listing:
    """Scenes that a dataset lists.

    Attributes:
        scenes: Scenes whose image and mask exist, sorted by image path.
        findings: Problems of the manifest or the folders.
        complete: True if training could read the dataset as it is; then no scene is missing from the list.
    """

    scenes: tuple[Scene, ...]
    findings: tuple[Finding, ...]
    complete: bool


def list_scenes(root: Path, folds: int, labels: LabelMapping = PLAIN_LABELS) -> Listing:
    """List the usable scenes of a dataset, even if the catalogue rejects some entries.

    Args:
        root: The dataset.
        folds: Number of folds.
        labels: Meaning of the mask values.

    Raises:
        DatasetError: There is no such folder.
        ConfigError: The number of folds is below 1 or above `MOST_FOLDS`.
    """
    if folds > MOST_FOLDS:
        raise ConfigError(f"--folds is {folds}; wanted at most {MOST_FOLDS:,}")
    scenes: list[Scene] = []
    findings: list[Finding] = []
    refused = None
    try:
        scenes = read_catalogue(root, folds)
    except DatasetError as problem:
        if not root.is_dir():
            raise
        refused = problem
    manifest = manifest_of(root)
    if manifest is not None:
        if refused is not None:
            scenes, findings = _from_manifest(manifest, folds)
    else:
        left, findings = _from_folders(root, folds)
        scenes = scenes or left
    scenes, twice = _without_repeats(scenes, root)
    findings += twice
    if refused is not None and not findings:
        findings.append(error("empty-dataset" if not scenes else "catalogue", root, str(refused)))
    return Listing(tuple(replace(scene, labels=labels) for scene in scenes), tuple(findings), complete=refused is None)


def _from_manifest(path: Path, folds: int) -> tuple[list[Scene], list[Finding]]:
    """Usable scenes of a manifest that the catalogue rejects, and findings about its rows."""
    try:
        rows = manifest_rows(path)
    except DatasetError as problem:
        return [], [error("manifest", path, str(problem))]
    scenes, findings = [], []
    for row in rows:
        if isinstance(row, DatasetError):
            findings.append(error("manifest", path, str(row)))
            continue
        scene = labelled_row(path, row)
        if scene is None:
            continue
        problems = list(_missing_files(path, row, scene))
        if not 0 <= scene.fold < folds:
            message = f"is in fold {scene.fold}; wanted 0 to {folds - 1}, or a higher --folds"
            findings.append(error("fold-range", scene.image, message))
        findings += problems
        scenes += [] if problems else [scene]
    return sorted(scenes, key=lambda scene: scene.image), findings


def _missing_files(path: Path, row: Row, scene: Scene) -> Iterator[Finding]:
    for name, file in (("image", scene.image), ("mask", scene.mask)):
        if not file.is_file():
            message = f"does not exist, but {row.place} of {path} lists it; correct the {row.place.split()[0]}"
            yield error(f"missing-{name}", file, message)


def _from_folders(root: Path, folds: int) -> tuple[list[Scene], list[Finding]]:
    if not ((root / "images").is_dir() and (root / "masks").is_dir()):
        return [], []
    images, masks = files_in(root / "images"), files_in(root / "masks")
    image_of, mask_of = first_by_stem(images), first_by_stem(masks)
    findings = []
    for path, first in [*((path, image_of) for path in images), *((path, mask_of) for path in masks)]:
        if first[path.stem] != path:
            message = f"has the same stem as {first[path.stem].name}; rename one of them"
            findings.append(error("same-stem", path, message))
    for stem in sorted(image_of.keys() - mask_of.keys()):
        message = f"has no mask; add {root / 'masks' / stem}.tif, or remove the image"
        findings.append(error("missing-mask", image_of[stem], message))
    for stem in sorted(mask_of.keys() - image_of.keys()):
        unread = unrecognised_file(root / "images", stem)
        if unread is not None:
            findings.append(error("unread-image", unread, UNREAD))
            continue
        message = f"has no image, so training cannot use it; add {root / 'images' / stem}.tif, or remove the mask"
        findings.append(error("missing-image", mask_of[stem], message))
    stems = sorted(image_of.keys() & mask_of.keys())
    return [Scene(image_of[stem], mask_of[stem], n % folds) for n, stem in enumerate(stems)], findings


def _without_repeats(scenes: list[Scene], root: Path) -> tuple[list[Scene], list[Finding]]:
    """Keep each image once, even if its path is written in several ways."""
    first: dict[Path, Scene] = {}
    findings = []
    for scene in scenes:
        file = scene.image.resolve()
        if file in first:
            other = first[file]
            twice = "is listed twice"
            if scene.image != other.image:
                twice = f"is the same file as {other.image}, which is listed too"
            folds = f"fold {scene.fold}" if scene.fold == other.fold else f"folds {other.fold} and {scene.fold}"
            findings.append(error("listed-twice", scene.image, f"{twice} ({folds}); keep one entry"))
        first.setdefault(file, scene)
    return list(first.values()), findings
