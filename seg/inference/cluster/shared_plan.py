"""Everything that a worker needs to compute the blocks of a scene, as a JSON file beside the blocks.

A task holds only the path of the class map and the rows and columns of blocks, so little data passes the scheduler.
"""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from seg.errors import RasterError
from seg.inference.area_of_interest import area_on
from seg.inference.augmentation import TestTimeAugmentation
from seg.inference.cluster.block_queue import BlockId
from seg.inference.identity import RunIdentity
from seg.inference.planning.block_size import BlockSize
from seg.inference.planning.fitting import FittedScene
from seg.inference.planning.plan import Plan, mapped_blocks
from seg.inference.settings import ComputeSettings, PredictionSettings
from seg.inference.unlikeness import Unlikeness
from seg.raster.grid import read_grid
from seg.raster.sources import scene_version
from seg.raster.windows import Block
from seg.raster.writing.block_store import SHARED, partial_folder
from seg.raster.writing.shared_store import read_shared, write_shared

Values = dict[str, Any]
"""Values of a JSON object."""


@dataclass(frozen=True)
class Recipe:
    """Models and settings, which are the same for all scenes of a command.

    Attributes:
        models: Folders of the model packages.
        settings: Settings of the prediction; paths are absolute.
        compute: Library, device, threads of each worker, and precision.
        area_name: The area as the user gave it, for the tags of maps.
    """

    models: tuple[Path, ...]
    settings: PredictionSettings
    compute: ComputeSettings
    area_name: str | None = None


@dataclass(frozen=True)
class SharedPlan:
    """The plan of a scene, without its blocks.

    Attributes:
        scene: The raster.
        output: The class map.
        recipe: Models and settings.
        identity: Everything that the maps depend on.
        unlikeness: Distance of the scene from the training images; None if it was not measured.
        block_size: Size of the blocks.
        halo: Context around a core in pixels.
        halo_origin: Origin of the halo, as text.
        memory: Expected memory of a worker in bytes.
        cache: Bytes of decoded tiles to cache; 0 for the usual cache.
        divided: True if the scene has several blocks.
        token: Random text; workers write a block only while the file beside the blocks has the same token.
    """

    scene: Path
    output: Path
    recipe: Recipe
    identity: RunIdentity
    unlikeness: Unlikeness | None
    block_size: BlockSize
    halo: int
    halo_origin: str
    memory: int
    cache: int
    divided: bool
    token: str = field(default_factory=lambda: uuid.uuid4().hex)

    def plan(self, blocks: Sequence[Block] | None = None) -> Plan:
        """The complete plan, with the grid and the area as this machine reads them.

        Args:
            blocks: Blocks of the plan; None for all blocks of the scene.

        Raises:
            RasterError: The scene cannot be read, or differs from the scene that was planned.
            ConfigError: The area cannot be read.
        """
        grid = read_grid(self.scene)
        if scene_version(self.scene) != self.identity.scene_version:
            raise RasterError(
                f"{self.scene}: has changed since it was planned, or is another file on this machine; "
                "repeat the command, and do not change the scene during the run"
            )
        settings = self.recipe.settings
        area = area_on(grid, settings.area, settings.area_crs)
        if area is not None and self.recipe.area_name is not None:
            area = replace(area, name=self.recipe.area_name)
        scene = FittedScene(grid, area, self.identity, self.unlikeness)
        if blocks is None:
            blocks = mapped_blocks(grid, self.block_size, self.halo, area)
        return Plan(scene, self.block_size, self.halo, self.halo_origin, blocks, self.memory, self.cache, self.divided)


def shared_plan(plan: Plan, output: Path, recipe: Recipe) -> SharedPlan:
    """The part of a plan that other machines need."""
    return SharedPlan(
        scene=plan.grid.path,
        output=output,
        recipe=recipe,
        identity=plan.scene.identity,
        unlikeness=plan.scene.unlikeness,
        block_size=plan.block_size,
        halo=plan.halo,
        halo_origin=plan.halo_origin,
        memory=plan.memory,
        cache=plan.cache,
        divided=plan.divided,
    )


def write_plan(plan: SharedPlan) -> None:
    """Write a plan beside the blocks of its scene; the caller must hold the claim on the folder.

    Raises:
        WriteError: The file cannot be written.
    """
    write_shared(plan.output, asdict(plan))


def read_plan(output: Path) -> SharedPlan:
    """Read the plan beside the blocks of a scene.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file is not the plan of a scene.
    """
    values: Values = read_shared(output)
    if values.keys() != {each.name for each in fields(SharedPlan)}:
        raise ValueError(f"{partial_folder(output) / SHARED}: not the plan of a scene")
    recipe = values["recipe"]
    settings = PredictionSettings(**(recipe["settings"] | {"tta": _augmentation(recipe["settings"])}))
    known: Values = {
        "scene": Path(values["scene"]),
        "output": output,
        "recipe": Recipe(
            tuple(map(Path, recipe["models"])), settings, ComputeSettings(**recipe["compute"]), recipe["area_name"]
        ),
        "identity": _identity(values["identity"]),
        "unlikeness": None if values["unlikeness"] is None else Unlikeness(**values["unlikeness"]),
        "block_size": BlockSize(*values["block_size"]),
    }
    return SharedPlan(**(values | known))


def _augmentation(values: Values) -> TestTimeAugmentation:
    return TestTimeAugmentation(tuple(values["tta"]["scales"]), values["tta"]["dihedral"])


def _identity(values: Values) -> RunIdentity:
    plain: Values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    plain["tta"] = _augmentation(values)
    return RunIdentity(**plain)


@contextmanager
def marked(output: Path, blocks: Sequence[BlockId]) -> Iterator[None]:
    """Mark blocks while they are computed; the mark stays if this process dies.

    A mark is named like an unfinished block, so it is removed together with the unfinished blocks.

    Args:
        output: The class map of the scene.
        blocks: Row and column of each block.
    """
    names = [f".{block_name(block)}.npy.{uuid.uuid4().hex}.partial" for block in blocks]
    marks = [partial_folder(output) / name for name in names]
    try:
        for mark in marks:
            mark.touch()
        yield
    finally:
        for mark in marks:
            mark.unlink(missing_ok=True)


def deaths_at(output: Path, block: BlockId) -> int:
    """Number of workers that died while they computed a block; each of them left a mark."""
    return sum(1 for _ in partial_folder(output).glob(f".{block_name(block)}.npy.*.partial"))


def block_name(block: BlockId) -> str:
    """File-safe name of a block, as `seg.raster.windows.Block.name`."""
    return f"r{block[0]:05d}_c{block[1]:05d}"
