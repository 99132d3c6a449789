"""What a run was made with: versions, revision of the code, devices."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import rasterio
import torch

from seg import __version__
from seg.raster.atomic import complete_or_absent

LIBRARIES = ("torch", "lightning", "numpy", "rasterio", "albumentations", "segmentation-models-pytorch", "torchmetrics")
PATIENCE_S = 10
"""A revision is asked for over a network drive too; longer than this, and the run goes without."""


def versions() -> dict[str, str | None]:
    """Versions by name: this project, Python, libraries, GDAL, and CUDA if PyTorch was built for it."""
    return {
        "cropland-seg": __version__,
        "python": platform.python_version(),
        **{name: _version(name) for name in LIBRARIES},
        "gdal": rasterio.__gdal_version__,
        "cuda": torch.version.cuda if torch.cuda.is_available() else None,
    }


def git_revision(file: Path) -> dict[str, str | bool] | None:
    """`revision` and whether tracked files are changed (`dirty`) of the repository that tracks a file; None without.

    Args:
        file: A source file.
    """
    # A file that lies in a repository need not belong to it: an installed package in an ignored folder does not.
    if _git(file.parent, "ls-files", "--error-unmatch", file.name) is None:
        return None
    revision = _git(file.parent, "rev-parse", "HEAD")
    changes = _git(file.parent, "status", "--porcelain", "--untracked-files=no")
    if not revision or changes is None:
        return None
    return {"revision": revision, "dirty": bool(changes)}


def write_record(record: Mapping[str, object], path: Path) -> None:
    """Write plain values as JSON, complete or not at all; the folder is made.

    Raises:
        OSError: It cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with complete_or_absent(path) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def device_name(device: torch.device) -> str:
    """What a device is called, for example "NVIDIA H100", or the processor's architecture."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({platform.machine()}, {os.cpu_count()} cores)"


def _git(folder: Path, *words: str) -> str | None:
    """What git answers; None if it is missing, refuses or takes too long."""
    # Without locks: a look at the state must not stand in the way of a commit.
    environment = os.environ | {"GIT_OPTIONAL_LOCKS": "0"}
    command = ["git", "-C", str(folder), *words]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE_S, env=environment, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None
