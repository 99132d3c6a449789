"""Block store: finished blocks of an unfinished run on disk, from which a killed run resumes."""

import io
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seg.errors import RasterError
from seg.files import CLAIM, claimed, complete_in_claimed_folder, read_json, remove_if_empty, writing

HEADER = "run.json"

SHARED = "plan.json"
"""File with everything that the workers of a cluster need to compute the blocks."""

LONGEST = 24
"""Largest number of characters of a setting that a message shows; a message leaves out longer values, such as
checksums."""

OWN_FILE = re.compile(
    rf"((run|plan)\.json|{re.escape(CLAIM)}|r\d+_c\d+\.npy|\.((run|plan)\.json|r\d+_c\d+\.npy)\.[0-9a-f]+\.partial)"
)
"""Names of all files that a block store writes; a folder with any other file is refused."""

CHECKSUM_BYTES = 4
"""Length in bytes of the CRC-32 that follows the array in the file of a block."""

BlockPixels = npt.NDArray[np.uint8]


class BlockStore:
    """Blocks of one run in the folder `<output>.partial/`, each written once and atomically.

    Args:
        output: The file that the run will write; the folder lies beside it.
        run: JSON values of all that the blocks depend on: input, model, settings. Blocks of another run are refused.
        restart: Discard the blocks of any earlier run.

    Raises:
        RasterError: The folder holds blocks of a run with other settings.
        WriteError: The folder cannot be made.
    """

    def __init__(self, output: Path, run: Mapping[str, object], restart: bool = False) -> None:
        self.folder = partial_folder(output)
        self._header = self.folder / HEADER
        wanted = json.loads(json.dumps(run))
        with writing(self.folder):
            self.folder.mkdir(exist_ok=True)
        if self._header.exists() and has_blocks(self.folder) and not restart:
            self._refuse_other(wanted)
            return
        with writing(self._header):
            # A killed `discard` leaves blocks without a header. The run of such blocks is unknown, so they are removed.
            self._header.unlink(missing_ok=True)
            _remove_blocks(self.folder)
            with complete_in_claimed_folder(self._header) as temporary:
                temporary.write_text(json.dumps(wanted, indent=1), encoding="utf-8")

    def __contains__(self, name: str) -> bool:
        """True if a block is finished; a damaged block is removed, so that it is computed again."""
        path = self._path(name)
        if not path.exists():
            return False
        if _content(path) is None:
            path.unlink()
        return path.exists()

    def write(self, name: str, pixels: BlockPixels) -> None:
        """Store a finished block.

        Args:
            name: The block's name.
            pixels: (layers, H, W) uint8.

        Raises:
            WriteError: The block cannot be written, for example on a full disk.
        """
        path = self._path(name)
        kept = _shape_and_values(pixels) if _is_uniform(pixels) else np.ascontiguousarray(pixels)
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(kept))
        checksum = zlib.crc32(kept.data, zlib.crc32(header.getvalue()))
        with complete_in_claimed_folder(path) as temporary, temporary.open("wb") as file:
            file.write(header.getvalue())
            file.write(kept.data)  # Not by `np.save`, whose error on a full disk gives no reason.
            file.write(checksum.to_bytes(CHECKSUM_BYTES, "little"))

    def read(self, name: str) -> BlockPixels:
        """The (layers, H, W) uint8 pixels of a finished block.

        Raises:
            RasterError: The block is damaged; the next run computes it again.
        """
        path = self._path(name)
        content = _content(path)
        if content is None:
            raise RasterError(
                f"{path}: is damaged, so no map is written; repeat the command to compute the block again"
            )
        kept = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
        return kept if kept.dtype == np.uint8 else _uniform(kept)

    def discard(self) -> None:
        """Remove all blocks, and the folder if it is empty then.

        A claimed folder still holds the claim; `open_store` removes the folder when the claim ends.
        """
        discard_blocks(self.folder)
        remove_if_empty(self.folder)

    @property
    def finished(self) -> int:
        """Number of finished blocks."""
        return sum(1 for _ in self.folder.glob("*.npy"))

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npy"

    def _refuse_other(self, wanted: Mapping[str, object]) -> None:
        found = stored_run(self.folder)
        # Compared as text, since NaN is not equal to NaN.
        keys = [key for key in sorted(wanted.keys() | found.keys()) if _text(wanted, key) != _text(found, key)]
        if keys:
            raise RasterError(
                f"{self.folder}: holds the finished blocks of a run with another "
                f"{', '.join(_difference(key, found, wanted) for key in keys)}; "
                "repeat that run to finish it, or discard its blocks with --restart=true"
            )


@contextmanager
def open_store(output: Path, run: Mapping[str, object], restart: bool = False) -> Iterator[BlockStore]:
    """The block store of an output, claimed for this process.

    Args:
        output: The file that the run will write.
        run: JSON values of all that the blocks depend on.
        restart: Discard the blocks of any earlier run.

    Raises:
        RasterError: The folder holds blocks of a run with other settings.
        WriteError: The folder cannot be made.
        ClaimError: Another process has claimed the folder.
    """
    folder = partial_folder(output)
    with ExitStack() as claim:
        with writing(folder):
            folder.mkdir(exist_ok=True)
            claim.enter_context(claimed_blocks(folder))
            for unfinished in folder.glob(".*.partial"):  # Killed processes left these files.
                unfinished.unlink()
        yield BlockStore(output, run, restart)


@contextmanager
def claimed_blocks(folder: Path) -> Iterator[None]:
    """Claim the folder of a block store within a context; on exit, remove the folder if it is empty.

    Raises:
        RasterError: The folder is a link or holds other files.
        ClaimError: Another process holds the claim.
        OSError: The folder is missing or cannot be written.
    """
    _require_own(folder)
    with claimed(folder):
        yield
    remove_if_empty(folder)


def discard_blocks(folder: Path) -> None:
    """Empty the folder of a block store; the header is removed last, so that a killed discard can be repeated."""
    # Workers of a cluster write no block without this file.
    (folder / SHARED).unlink(missing_ok=True)
    _remove_blocks(folder)
    for path in folder.iterdir():
        if OWN_FILE.fullmatch(path.name) and path.name not in (HEADER, CLAIM):
            path.unlink()
    (folder / HEADER).unlink(missing_ok=True)


def stored_run(folder: Path) -> dict[str, object]:
    """Settings stored with the blocks of an unfinished run; empty if there is no such run.

    Raises:
        RasterError: The header of the folder is damaged.
    """
    path = folder / HEADER
    if not path.exists():
        return {}
    try:
        run = read_json(path)
        if not isinstance(run, dict):
            raise ValueError(f"it is {str(run)[:40]}")
    except (OSError, ValueError) as error:
        raise RasterError(
            f"{path}: not readable as a run's settings ({error}); discard the run with --restart=true"
        ) from error
    return run


def has_blocks(folder: Path) -> bool:
    """True if a folder holds finished blocks."""
    return any(folder.glob("*.npy"))


def partial_folder(output: Path) -> Path:
    """Folder for the blocks of an unfinished output."""
    return output.with_name(output.name + ".partial")


def _remove_blocks(folder: Path) -> None:
    for block in folder.glob("*.npy"):
        block.unlink()


def _require_own(folder: Path) -> None:
    """Refuse a folder that is a link or holds other files, since a finished run removes its folder."""
    if folder.is_symlink():
        raise RasterError(
            f"{folder}: is a link, wanted a folder for unfinished blocks; remove it or name another output"
        )
    foreign = sorted(path.name for path in folder.iterdir() if not OWN_FILE.fullmatch(path.name) or path.is_dir())
    if foreign:
        raise RasterError(
            f"{folder}: holds {foreign[0]}, which is not part of an unfinished run; move it away or name another output"
        )


def _content(path: Path) -> bytes | None:
    """The array in a block's file; None if the checksum does not match."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    array, checksum = content[:-CHECKSUM_BYTES], content[-CHECKSUM_BYTES:]
    return array if array and zlib.crc32(array).to_bytes(CHECKSUM_BYTES, "little") == checksum else None


def _text(run: Mapping[str, object], key: str) -> str:
    return json.dumps(run.get(key), sort_keys=True)


def _difference(key: str, found: Mapping[str, object], wanted: Mapping[str, object]) -> str:
    """A changed setting as text, such as "block size (512, now 1024)"."""
    before, now = _text(found, key), _text(wanted, key)
    values = f" ({before}, now {now})" if max(len(before), len(now)) <= LONGEST else ""
    return key.replace("_", " ") + values


def _is_uniform(pixels: BlockPixels) -> bool:
    """True if each layer holds a single value. The first row is compared first, since most blocks fail there."""
    first = pixels[:, :1, :1]
    return bool((pixels[:, :1] == first).all() and (pixels == first).all())


def _shape_and_values(pixels: BlockPixels) -> npt.NDArray[np.int64]:
    """Shape and values of a uniform block; they are stored instead of its pixels to save disk space."""
    return np.array([*pixels.shape, *pixels[:, 0, 0]], dtype=np.int64)


def _uniform(kept: npt.NDArray[np.int64]) -> BlockPixels:
    return np.broadcast_to(kept[3:, None, None].astype(np.uint8), tuple(kept[:3]))
