"""Trainings of the comparison: the labelled scenes of each training, and the manifest that lists them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seg.benchmark.settings import LabelsSettings
from seg.data.dataset.catalogue import Scene, read_catalogue
from seg.data.dataset.manifest import MANIFEST
from seg.errors import ConfigError
from seg.files import complete_or_absent

WAYS = ("supervised", "student")

IMAGES = "images.txt"
"""List of all images outside the held-out fold; a student learns from these images if every scene is labelled."""


@dataclass(frozen=True)
class Run:
    """One training of the comparison.

    Attributes:
        way: Method of training, supervised or student.
        share: Share of the scenes outside the held-out fold that are labelled, above 0 and at most 1.
        seed: Seed of the choice of labelled scenes and of the training.
        labelled: Number of labelled scenes.
        scenes: Number of scenes outside the held-out fold.
    """

    way: str
    share: float
    seed: int
    labelled: int
    scenes: int

    @property
    def name(self) -> str:
        """Folder of the run."""
        return f"{self.way}_{100 * self.share:g}_percent_seed_{self.seed}"


def plan_runs(settings: LabelsSettings) -> list[Run]:
    """Trainings in the order in which they run; for each seed and share, all methods follow each other.

    Raises:
        ConfigError: A share leaves no labelled scene.
        DatasetError: The dataset is damaged.
    """
    training, _ = _split(settings)
    runs = []
    for seed in settings.seeds:
        for share in settings.shares:
            labelled = round(share * len(training))
            if labelled < 1:
                raise ConfigError(
                    f"--shares has {share:g}, which leaves none of {len(training)} scenes labelled; give a larger share"
                )
            runs += [Run(way, share, seed, labelled, len(training)) for way in WAYS]
    return runs


def write_dataset(folder: Path, run: Run, settings: LabelsSettings) -> None:
    """Write the manifest of a run, and the list of its images.

    Held-out scenes are in fold 0, and labelled scenes are in fold 1. All other scenes are listed without a mask, so no
    training can read their masks.

    Args:
        folder: Folder for the manifest, made with its parents.
        run: The training.
        settings: Options of the benchmark.

    Raises:
        OSError: The manifest cannot be written.
    """
    training, held_out = _split(settings)
    order = np.random.default_rng(run.seed).permutation(len(training))
    labelled = {int(place) for place in order[: run.labelled]}
    rows = [_row(scene, 0) for scene in held_out]
    rows += [_row(scene, 1 if place in labelled else None) for place, scene in enumerate(training)]
    folder.mkdir(parents=True, exist_ok=True)
    with complete_or_absent(folder / MANIFEST) as partial:
        partial.write_text("\n".join(["image,mask,fold", *rows, ""]), encoding="utf-8")
    with complete_or_absent(folder / IMAGES) as partial:
        partial.write_text("\n".join(str(scene.image.resolve()) for scene in training), encoding="utf-8")


def _split(settings: LabelsSettings) -> tuple[Sequence[Scene], Sequence[Scene]]:
    """Scenes for training and held-out scenes; scenes of the fold that is set aside are in neither list."""
    scenes = [scene for scene in read_catalogue(settings.root, settings.folds) if scene.fold != settings.aside]
    held_out = [scene for scene in scenes if scene.fold == settings.fold]
    return [scene for scene in scenes if scene.fold != settings.fold], held_out


def _row(scene: Scene, fold: int | None) -> str:
    image, mask = (f'"{path.resolve()}"' for path in (scene.image, scene.mask))
    return f"{image},{'' if fold is None else mask},{'' if fold is None else fold}"
