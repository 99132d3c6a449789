"""Replacement of a generated dataset as a whole; files of other origin are never deleted."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seg.data.dataset.manifest import MANIFEST, listed_files
from seg.errors import DatasetError, SegError
from seg.files import CLAIM, UNFINISHED, claimed, require_output_folder, work_folder

README = "README.md"

_HERE, _EXCHANGE = -100, 2
"""Constants of the C library: AT_FDCWD; and RENAME_EXCHANGE of Linux, which equals RENAME_SWAP of macOS."""


@contextmanager
def replaced_dataset(output: Path, title: str, files: frozenset[str]) -> Iterator[Path]:
    """Yield a new, empty folder; the folder replaces the output if the context ends without an error.

    An older dataset in the output is recognised by the first line of its README. It is deleted only if all its files
    are listed in its manifest or in `files`.

    Args:
        output: Folder of the dataset; its parent must exist.
        title: First line of the README that the caller writes to the new folder.
        files: Names of files that belong to the dataset but are not in the manifest.

    Raises:
        ConfigError: The output is a file, its parent is missing, or it is read-only.
        DatasetError: The output holds other files.
        WriteError: The output cannot be written.
        ClaimError: Another process uses or writes the output.
    """
    target = Path(os.path.realpath(output))
    require_output_folder(target)
    _require_owned(target, target, title, files)
    with work_folder(target) as folder:
        new = folder / target.name
        new.mkdir()
        yield new
        if not target.exists():
            new.rename(target)
            return
        _require_owned(target, target, title, files)
        _exchange(new, target)
        try:  # Checked again, because other files may have appeared before the exchange.
            _require_owned(new, target, title, files)
        except SegError:
            _exchange(new, target)
            raise


def _require_owned(folder: Path, target: Path, title: str, files: frozenset[str]) -> None:
    """Check that earlier runs wrote all files of a dataset, and that no other process uses it.

    Args:
        folder: The dataset, if it exists.
        target: Name of the dataset in messages.
        title: First line of the README of a dataset of this kind.
        files: Names of other files of the dataset.
    """
    if not folder.exists():
        return
    left = [path for path in sorted(folder.rglob("*")) if path.is_symlink() or path.is_file()]
    for path in [folder / CLAIM, *(path for path in left if path.name == CLAIM)]:
        with claimed(path.parent):
            pass
    ours = _first_line(folder / README) == title
    known = {README, MANIFEST} | files | listed_files(folder / MANIFEST) if ours else set()
    for path in left:
        name = path.relative_to(folder)
        # The .aux.xml files that a GIS writes beside rasters and the cache of `prepare.py stats` may be deleted too.
        if name.as_posix().removesuffix(".aux.xml") not in known and not (ours and _is_made_beside(name)):
            raise DatasetError(
                f"{target}: holds {name.as_posix()}, which is not part of this dataset and would be lost; "
                "choose a new or empty folder, or move that file"
            )


def _is_made_beside(name: Path) -> bool:
    """True for a cache, a lock file or an unfinished file of a killed process."""
    unfinished = any(part.startswith(".") and part.endswith(UNFINISHED) for part in name.parts)
    return unfinished or name.name == CLAIM or name.match(".cache/statistics-*.json")


def _first_line(readme: Path) -> str:
    try:
        return readme.read_text(encoding="utf-8").partition("\n")[0]
    except (OSError, UnicodeDecodeError):
        return ""


def _exchange(first: Path, second: Path) -> None:
    """Exchange two folders on one disk, in one step on Linux and macOS, and in three steps elsewhere."""
    if _exchanged_by_system(first, second):
        return
    aside = first.with_name(f"{first.name}.old")
    second.rename(aside)
    try:
        first.rename(second)
    except BaseException:
        aside.rename(second)
        raise
    aside.rename(first)


def _exchanged_by_system(first: Path, second: Path) -> bool:
    """Exchange two folders by a system call; False if the system or the disk does not support it."""
    names = os.fsencode(first), os.fsencode(second)
    if sys.platform == "linux":
        library = ctypes.CDLL(None)
        return hasattr(library, "renameat2") and library.renameat2(_HERE, names[0], _HERE, names[1], _EXCHANGE) == 0
    if sys.platform == "darwin":
        return bool(ctypes.CDLL(None).renamex_np(*names, _EXCHANGE) == 0)
    return False
