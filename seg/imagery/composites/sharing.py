"""Combine the blocks of a composite in other processes, such as the workers of a cluster.

A task holds only the path of the output and the name of a block. Everything else lies in a file beside the blocks.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from seg.errors import RasterError
from seg.imagery.composites.blocks import combine_blocks
from seg.imagery.composites.planning import CompositePlan, as_json, plan_composite
from seg.imagery.settings import CompositeSettings
from seg.raster.windows import Block
from seg.raster.writing.block_store import partial_folder, stored_run
from seg.raster.writing.shared_store import TOKEN, SharedStore, read_shared, write_shared

MapBlocks = Callable[[Callable[[str], None], Sequence[str]], object]
"""Function that calls another function for the name of each block, in other processes, and raises the first error."""


def combine_apart(
    blocks: Sequence[Block], inputs: Sequence[Path], output: Path, settings: CompositeSettings, over: MapBlocks
) -> None:
    """Combine blocks in other processes; the caller must hold the claim on the store.

    Args:
        blocks: Blocks that are not in the store yet.
        inputs: Scenes in order, at paths that are valid in the other processes.
        output: The file that the run will write.
        settings: Settings of the composite.
        over: Calls a function for each block.

    Raises:
        RasterError: An input cannot be read, or is another file on another machine.
        WriteError: A block cannot be written.
    """
    values = {"inputs": list(inputs), "settings": asdict(replace(settings, restart=False)), TOKEN: uuid.uuid4().hex}
    write_shared(output, values)
    over(partial(combine_block, output), [block.name for block in blocks])


def combine_block(output: Path, name: str) -> None:
    """Combine one block and write it to the store, unless it is there.

    Args:
        output: The file that the run will write; the shared file lies beside its blocks.
        name: Name of the block.

    Raises:
        RasterError: The folder of the output or an input cannot be read, or an input is another file than planned.
        SupersededError: The run has ended.
        WriteError: The block cannot be written.
    """
    try:
        values = read_shared(output)
    except OSError as error:
        raise RasterError(
            f"{partial_folder(output)}: cannot be read ({error.strerror}); wanted the folder of the output, at the "
            "same path on all machines"
        ) from error
    token = str(values[TOKEN])
    plan, blocks, settings = _planned(output, token)
    store = SharedStore(output, token)
    if name not in store:
        list(combine_blocks(plan, [blocks[name]], store, settings.method))


@lru_cache(maxsize=1)
def _planned(output: Path, token: str) -> tuple[CompositePlan, dict[str, Block], CompositeSettings]:
    """Plan of a composite with its blocks by name, and its settings; a process plans a composite once."""
    values: dict[str, Any] = read_shared(output)
    grid = values["settings"]["grid"]
    settings = CompositeSettings(**(values["settings"] | {"grid": None if grid is None else Path(grid)}))
    kept = stored_run(partial_folder(output))
    plan = plan_composite([Path(path) for path in values["inputs"]], output, settings, kept)
    if as_json(plan.record) != kept:
        raise RasterError(
            f"{output}: the inputs on this machine are not those that the composite was planned with; wanted the same "
            "files at the same paths, and the same version of this software, on all machines"
        )
    return plan, {block.name: block for block in plan.blocks}, settings
