"""The finished blocks of an unfinished run: each written once, atomically, so that a killed run can go on."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seg.errors import RasterError
from seg.raster.atomic import complete_or_absent

HEADER = "run.json"
BlockPixels = npt.NDArray[np.uint8]


class BlockStore:
    """Blocks of one run in the folder `<output>.partial/`.

    Args:
        output: The file that the run will write; the folder lies beside it.
        run: What the blocks depend on (input, model, settings), as JSON values; blocks of another run are refused.
        restart: Discard the blocks of any earlier run.

    Raises:
        RasterError: The folder holds blocks of a run with other settings, or cannot be made.
    """

    def __init__(self, output: Path, run: Mapping[str, object], restart: bool = False) -> None:
        self.folder = partial_folder(output)
        self._header = self.folder / HEADER
        wanted = json.loads(json.dumps(run))
        with _written(self.folder):
            self.folder.mkdir(exist_ok=True)
        if self._header.exists() and any(self.folder.glob("*.npy")) and not restart:
            self._refuse_other(wanted)
            return
        with _written(self._header):
            # Blocks without a header are what a killed `discard` left: nobody knows what they depend on.
            self._header.unlink(missing_ok=True)
            for block in self.folder.glob("*.npy"):
                block.unlink()
            with complete_or_absent(self._header) as temporary:
                temporary.write_text(json.dumps(wanted, indent=1), encoding="utf-8")

    def __contains__(self, name: str) -> bool:
        return self._path(name).exists()

    def write(self, name: str, pixels: BlockPixels) -> None:
        """Keep a finished block.

        Args:
            name: The block's name.
            pixels: (layers, H, W) uint8.

        Raises:
            RasterError: It cannot be written, as on a full disk.
        """
        path = self._path(name)
        with _written(path), complete_or_absent(path) as temporary, temporary.open("wb") as file:
            np.save(file, pixels, allow_pickle=False)

    def read(self, name: str) -> BlockPixels:
        """The (layers, H, W) uint8 pixels of a finished block.

        Raises:
            RasterError: The block is damaged.
        """
        path = self._path(name)
        try:
            pixels: BlockPixels = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise RasterError(f"{path}: not a readable block ({error}); delete it, then repeat the run") from error
        return pixels

    def discard(self) -> None:
        """Remove the store with all its blocks."""
        shutil.rmtree(self.folder)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npy"

    def _refuse_other(self, wanted: Mapping[str, object]) -> None:
        found = stored_run(self.folder)
        # As text, since a NaN among the settings would differ from itself.
        keys = [key for key in sorted(wanted.keys() | found.keys()) if _text(wanted, key) != _text(found, key)]
        if keys:
            raise RasterError(
                f"{self.folder}: holds the finished blocks of a run with another {', '.join(keys)}; "
                "repeat that run to finish it, or discard its blocks with --restart=true"
            )


def stored_run(folder: Path) -> dict[str, object]:
    """What the blocks of an unfinished run depend on; empty where there is none.

    Raises:
        RasterError: The folder's description is damaged.
    """
    path = folder / HEADER
    if not path.exists():
        return {}
    try:
        run: dict[str, object] = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, TypeError, ValueError) as error:
        raise RasterError(
            f"{path}: not readable as a run's settings ({error}); discard the run with --restart=true"
        ) from error
    return run


def partial_folder(output: Path) -> Path:
    """Where the blocks of an unfinished output lie."""
    return output.with_name(output.name + ".partial")


def _text(run: Mapping[str, object], key: str) -> str:
    return json.dumps(run.get(key), sort_keys=True)


@contextmanager
def _written(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RasterError(
            f"{path}: cannot be written ({error.strerror}); make {path.parent} a writable folder with space left, "
            "or name another output"
        ) from error
