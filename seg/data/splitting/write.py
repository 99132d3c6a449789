"""Writing of a split: the manifest, and small VRT files for the blocks."""

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rasterio.windows import Window

from seg.data.dataset.catalogue import Scene
from seg.data.dataset.manifest import MANIFEST, listed_files, write_manifest
from seg.errors import DatasetError
from seg.files import claimed, complete_in_claimed_folder, remove_leftovers, require_output_folder, writing
from seg.raster.grid import open_raster
from seg.raster.writing.vrt import write_window_vrt

BLOCKS = "blocks"
"""Folder of the blocks, next to the manifest."""

SECOND = "blocks-2"
"""Second folder of blocks. New blocks are written to the folder that the current manifest does not list. When the new
manifest replaces the current one, the new blocks are in use."""

OWN_BLOCK = re.compile(r"(images|masks)/.*_r\d+_c\d+\.vrt(\.aux\.xml)?")
"""Pattern of a split's files within its folder. It also matches files of a killed run, which no manifest lists."""

Columns = Mapping[Path, Mapping[str, str]]
"""Cells of a manifest by image and column name."""

NO_COLUMNS: Columns = {}


@dataclass(frozen=True)
class Block:
    """A part of a scene that becomes a separate scene.

    Attributes:
        scene: Scene that the block is cut from.
        name: Name of the block's files without suffix.
        window: Pixels of the block in the scene.
        fold: Fold in which the block is held out.
    """

    scene: Scene
    name: str
    window: Window
    fold: int


def require_free(folder: Path, replace: bool) -> None:
    """Check before any work that a split can be written to a folder.

    Args:
        folder: Folder for the manifest; its parent must exist.
        replace: Replace an existing manifest.

    Raises:
        ConfigError: The path is a file, its parent is missing, or the folder is read-only.
        DatasetError: The folder holds a manifest, and `replace` is not set.
    """
    require_output_folder(folder)
    if (folder / MANIFEST).exists() and not replace:
        raise DatasetError(f"{folder / MANIFEST}: exists; add --replace, or name another folder with --output")


def require_own_blocks(folder: Path) -> None:
    """Check that an earlier split wrote all files in the folders of blocks, so that no other file is lost.

    Args:
        folder: Folder with the manifest.

    Raises:
        DatasetError: A folder of blocks holds another file.
    """
    listed = listed_files(folder / MANIFEST)
    for blocks in (folder / BLOCKS, folder / SECOND):
        if blocks.is_symlink():
            raise DatasetError(f"{blocks}: is a link, wanted a folder for blocks; remove it or name another --output")
        for path in sorted(blocks.rglob("*")):
            # A GIS writes .aux.xml files with statistics beside rasters.
            known = path.relative_to(folder).as_posix().removesuffix(".aux.xml") in listed
            if not (path.is_dir() or known or OWN_BLOCK.fullmatch(path.relative_to(blocks).as_posix())):
                raise DatasetError(f"{path}: would be lost, because {MANIFEST} does not list it; move {blocks} away")


def write_scenes(folder: Path, scenes: Sequence[Scene], columns: Columns = NO_COLUMNS) -> None:
    """Write a manifest of whole scenes.

    Args:
        folder: Folder for the manifest; created if missing.
        scenes: Scenes with their new folds.
        columns: Additional cells by image.

    Raises:
        WriteError: The manifest cannot be written.
        ClaimError: Another process uses the folder.
    """
    with _writable(folder):
        _write_manifest(folder, [(scene, columns.get(scene.image, {})) for scene in scenes])


def write_blocks(folder: Path, blocks: Sequence[Block], columns: Columns = NO_COLUMNS) -> None:
    """Write blocks and their manifest; older blocks are replaced only if no error occurs.

    Args:
        folder: Folder for the manifest; created if missing.
        blocks: One block or more.
        columns: Additional cells by the image of a scene; the scene's blocks get these cells.

    Raises:
        WriteError: The files cannot be written.
        ClaimError: Another process uses the folder.
        RasterError: A scene cannot be read.
    """
    with _writable(folder):
        listed = listed_files(folder / MANIFEST)
        first_in_use = any(path.startswith(f"{BLOCKS}/") for path in listed)
        new, old = (folder / name for name in ((SECOND, BLOCKS) if first_in_use else (BLOCKS, SECOND)))
        try:
            shutil.rmtree(new, ignore_errors=True)  # Left by a killed run; `require_own_blocks` has checked the files.
            for kind in ("images", "masks"):
                (new / kind).mkdir(parents=True)
            for scene in dict.fromkeys(block.scene for block in blocks):
                _write_files(new, [block for block in blocks if block.scene == scene])
            rows = [(Scene(*_files(new, block), block.fold), columns.get(block.scene.image, {})) for block in blocks]
            _write_manifest(folder, rows)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    with writing(folder):
        folder.mkdir(exist_ok=True)
        with claimed(folder):
            remove_leftovers(folder, [MANIFEST])
            yield


def _write_files(new: Path, blocks: Sequence[Block]) -> None:
    scene = blocks[0].scene
    with open_raster(scene.image) as image, open_raster(scene.mask) as mask:
        for block in blocks:
            for source, path in zip((image, mask), _files(new, block), strict=True):
                write_window_vrt(path, source, block.window)


def _files(folder: Path, block: Block) -> tuple[Path, Path]:
    return folder / "images" / f"{block.name}.vrt", folder / "masks" / f"{block.name}.vrt"


def _write_manifest(folder: Path, scenes: Sequence[tuple[Scene, Mapping[str, str]]]) -> None:
    names = list(dict.fromkeys(name for _, further in scenes for name in further))
    rows = []
    for scene, further in sorted(scenes, key=lambda row: row[0].image):
        files = [_relative(file, folder) for file in (scene.image, scene.mask)]
        rows.append([*files, scene.fold, *(_cell(name, further.get(name, ""), folder) for name in names)])
    with complete_in_claimed_folder(folder / MANIFEST) as partial:
        write_manifest(partial, rows, names)


def _cell(column: str, value: str, folder: Path) -> str:
    return _relative(Path(value), folder) if column == "labels" and value else value


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()
