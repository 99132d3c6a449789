"""Choice of a teacher, and its description for checkpoints and model packages."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seg.errors import ConfigError
from seg.files import sha256
from seg.inference.augmentation import TestTimeAugmentation
from seg.training.teachers.packages import read_teachers

TeacherKind = Literal["average", "packages", "maps"]


@dataclass(frozen=True, kw_only=True)
class TeacherConfig:
    """Teacher of a student: by default, the moving average of the student's own weights.

    Args:
        packages: Model packages whose probabilities are averaged, as in `predict.py`. The packages do not change.
        maps: Probability maps that `predict.py` wrote: a folder, a pattern or a list. Each map belongs to the scene
            with the same grid. If a teacher is slow, maps save time, because each scene is computed only once.
        scales: For packages: scales of test-time augmentation, as in `predict.py`.
        dihedral: For packages: average over the eight flips and quarter turns of each image.
        decay: For the average: share of the old average in the new average after an optimiser step, 0 to below 1. With
            0.99, the average covers about the last 100 steps.

    Raises:
        ConfigError: Both packages and maps are given, or a number is out of range.
    """

    packages: tuple[Path, ...] = ()
    maps: Path | None = None
    scales: tuple[float, ...] = (1.0,)
    dihedral: bool = False
    decay: float = 0.99

    def __post_init__(self) -> None:
        """Check the values."""
        if self.packages and self.maps is not None:
            raise ConfigError(
                f"model.teacher has {len(self.packages)} packages and the maps {self.maps}; wanted one kind of teacher"
            )
        if not 0 <= self.decay < 1:
            raise ConfigError(f"model.teacher.decay is {self.decay:g}; wanted 0 to below 1")
        try:
            _ = self.augmentation
        except ConfigError as error:
            raise ConfigError(str(error).replace("tta.", "model.teacher.")) from error

    @property
    def kind(self) -> TeacherKind:
        """Kind of the teacher."""
        if self.packages:
            return "packages"
        return "average" if self.maps is None else "maps"

    @property
    def augmentation(self) -> TestTimeAugmentation:
        """Views of each image over which packages average."""
        return TestTimeAugmentation(scales=self.scales, dihedral=self.dihedral)

    def plain(self) -> dict[str, object]:
        """Plain values for a checkpoint; paths are left out, since a checkpoint must not cause files to be opened."""
        return {"scales": list(self.scales), "dihedral": self.dihedral, "decay": self.decay}

    def provenance(self, maps: Sequence[Path]) -> dict[str, object]:
        """Description of the teacher as plain values, with hashes of all files.

        Args:
            maps: The maps that training reads.

        Raises:
            PackageError: A package is missing or damaged.
            OSError: A map cannot be read.
        """
        if self.kind == "packages":
            hashes = [package.weights_sha256 for package in read_teachers(self.packages)]
            named = [
                {"name": folder.name, "weights_sha256": found}
                for folder, found in zip(self.packages, hashes, strict=True)
            ]
            return {"kind": "packages", "packages": named, "views": self.augmentation.views}
        if self.kind == "maps":
            joined = hashlib.sha256("".join(sorted(map(sha256, maps))).encode()).hexdigest()
            return {"kind": "maps", "maps": len(maps), "sha256": joined}
        return {"kind": "average", "decay": self.decay}
