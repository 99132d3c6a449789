"""ONNX files of model packages, which the tests of a run share."""

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock

from seg.models import onnx_export
from seg.models.segmenter import Segmenter

EXPORT = onnx_export.export_onnx


def share_exports(folder: Path) -> None:
    """Export each network of a package once in a run of the tests; a later export copies the file of the first.

    An export takes seconds, and the first export of a process takes ten seconds more. Tests of the exporter itself are
    not concerned, because they imported the function before this call.

    Args:
        folder: Folder for the files, which all processes of the run share.
    """

    def shared(model: Segmenter, bands: int, path: Path, metadata: Mapping[str, str] | None = None) -> None:
        kept = folder / f"{_digest(model, bands, metadata or {})}.onnx"
        with FileLock(kept.with_suffix(".lock")):
            if kept.exists():
                shutil.copyfile(kept, path)
                return
            EXPORT(model, bands, path, metadata)
            unfinished = kept.with_suffix(f".{os.getpid()}")  # A test may kill the process while it copies.
            shutil.copyfile(path, unfinished)
            unfinished.replace(kept)

    onnx_export.export_onnx = shared


def _digest(model: Segmenter, bands: int, metadata: Mapping[str, str]) -> str:
    """Hash of all that an ONNX file depends on."""
    digest = hashlib.sha256(repr((str(model), model.stride, bands, sorted(metadata.items()))).encode())
    for name, value in model.state_dict().items():
        digest.update(name.encode() + value.numpy().tobytes())
    return digest.hexdigest()
