"""Replacement of a generated dataset as a whole, without deleting files of other origin."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seg.data.dataset.manifest import MANIFEST, listed_files
from seg.errors import DatasetError
from seg.files import require_output_folder

README = "README.md"


@contextmanager
def replaced_dataset(output: Path, title: str, files: frozenset[str]) -> Iterator[Path]:
    """Make an empty folder beside the output, which replaces the output if the block ends without an error.

    The first line of a README identifies an older dataset in the output. Only files in its manifest and in `files` are
    deleted.

    Args:
        output: Folder of the dataset; its parent must exist.
        title: First line of the README that the block writes.
        files: Names of further files of the dataset, which are not in the manifest.

    Raises:
        ConfigError: The output is a file, its parent is missing, or it is read-only.
        DatasetError: The output cannot be written, or holds other files.
    """
    target = Path(os.path.realpath(output))
    require_output_folder(target)
    _owned(target, title, files)
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex}.partial")
    try:
        partial.mkdir()
        yield partial
        # Checked again, because other files may have appeared since the first check.
        _swap(partial, target, _owned(target, title, files))
    except OSError as error:
        raise DatasetError(
            f"{output}: cannot be written ({error.strerror or error}); make {target.parent} writable with space left, "
            "or choose another folder"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _owned(target: Path, title: str, files: frozenset[str]) -> list[Path]:
    """Relative paths of the files in the target; checks that an earlier run wrote all of them."""
    if not target.exists():
        return []
    present = [path.relative_to(target) for path in sorted(target.rglob("*")) if path.is_symlink() or path.is_file()]
    known = (
        {README, MANIFEST} | files | listed_files(target / MANIFEST) if _first_line(target / README) == title else set()
    )
    # Also deleted: .aux.xml files that a GIS writes beside rasters, and the cache of `prepare.py stats`.
    left = (path for path in present if not (known and path.match(".cache/statistics-*.json")))
    foreign = [path for path in left if path.as_posix().removesuffix(".aux.xml") not in known]
    if foreign:
        raise DatasetError(
            f"{target}: holds {foreign[0].as_posix()}, which is not part of this dataset and would be lost; "
            "choose a new or empty folder, or move that file"
        )
    return present


def _first_line(readme: Path) -> str:
    try:
        return readme.read_text(encoding="utf-8").partition("\n")[0]
    except (OSError, UnicodeDecodeError):
        return ""


def _swap(partial: Path, target: Path, owned: list[Path]) -> None:
    if not target.exists():
        partial.rename(target)
        return
    old = target.with_name(f".{target.name}.{uuid.uuid4().hex}.old")
    target.rename(old)
    try:
        partial.rename(target)
    except BaseException:
        old.rename(target)
        raise
    for path in owned:
        (old / path).unlink()
    for folder in sorted((path for path in old.rglob("*") if path.is_dir()), reverse=True):
        folder.rmdir()
    old.rmdir()
