"""Block store of a run whose blocks other processes compute.

One process, the client, holds the claim on the folder. It writes a JSON file beside the blocks, with everything that
the other processes need and with a token. The other processes write blocks only while the file has the same token, so a
process that is late does not write into a later run.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from seg.files import complete_in_claimed_folder, read_json
from seg.raster.writing.block_store import SHARED, BlockPixels, BlockStore, partial_folder

TOKEN = "token"
"""Key of the token in the shared file."""


class SupersededError(RuntimeError):
    """Another run has taken over the blocks, or the run has ended."""


def write_shared(output: Path, values: Mapping[str, object]) -> None:
    """Write the shared file of a run; the caller must hold the claim on the folder.

    Args:
        output: The file that the run will write.
        values: Values of a JSON object, with the token of the run; paths are written as text.

    Raises:
        WriteError: The file cannot be written.
    """
    with complete_in_claimed_folder(_shared_file(output)) as temporary:
        temporary.write_text(json.dumps(values, default=str), encoding="utf-8")


def read_shared(output: Path) -> dict[str, object]:
    """Read the shared file of a run.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file is not the shared file of a run.
    """
    values = read_json(_shared_file(output))
    if not isinstance(values, dict) or TOKEN not in values:
        raise ValueError(f"{_shared_file(output)}: not the shared file of a run")
    return values


class SharedStore(BlockStore):
    """Blocks of a run in a process that does not hold the claim on the folder.

    Args:
        output: The file that the run will write.
        token: Token of the run.
    """

    def __init__(self, output: Path, token: str) -> None:
        self.folder = partial_folder(output)
        self._shared, self._token = _shared_file(output), token

    def write(self, name: str, pixels: BlockPixels) -> None:
        """Write a finished block, unless the client has ended the run.

        Raises:
            SupersededError: Another run uses the folder, or the folder is gone.
            WriteError: The block cannot be written.
        """
        if self._token not in _text(self._shared):
            raise SupersededError(f"{self.folder}: belongs to another run now")
        super().write(name, pixels)


def _shared_file(output: Path) -> Path:
    return partial_folder(output) / SHARED


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
