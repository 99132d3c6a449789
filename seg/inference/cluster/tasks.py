"""Tasks of a prediction that a worker runs: plan a scene, compute blocks, and write the maps of a scene."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from seg.errors import WriteError
from seg.inference.blocks.pipeline import Findings
from seg.inference.cluster.answers import Answer, answer, one_line
from seg.inference.cluster.block_queue import BlockId
from seg.inference.cluster.opened import OpenScene, close_scene, open_scene, predictor_of
from seg.inference.cluster.shared_plan import (
    Recipe,
    SharedPlan,
    marked,
    read_plan,
    shared_plan,
)
from seg.inference.compute.predictor import Predictor
from seg.inference.feature_layers import layers_of, write_layers
from seg.inference.identity import RunIdentity, is_finished
from seg.inference.interruption import is_out_of_memory
from seg.inference.planning.fitting import FittedScene, fit_scene
from seg.inference.planning.memory import GIB, allowed_memory
from seg.inference.planning.plan import Plan
from seg.inference.progress import plan_text
from seg.inference.scene import TILE_CACHE, assemble_maps, prepare_scene
from seg.raster.windows import Block, block_at
from seg.raster.writing.shared_store import SharedStore, SupersededError


@dataclass(frozen=True)
class Planned:
    """A scene that was matched with the models.

    Attributes:
        scene: The plan; None if all maps exist and are kept.
        identity: Everything that the maps depend on.
        lines: Text about the plan for standard output.
        notes: Text about the plan for standard error.
    """

    scene: SharedPlan | None
    identity: RunIdentity
    lines: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Computed:
    """Blocks that a worker computed.

    Attributes:
        findings: Problems in the pixels.
        failed: Error of each block that could not be computed.
    """

    findings: tuple[Findings, ...]
    failed: dict[BlockId, str]


def plan_scene(scene: Path, output: Path, recipe: Recipe, sharing: int) -> Answer:
    """Match a scene with the models, and plan its blocks; the value of the answer is a `Planned`.

    Args:
        scene: The raster.
        output: The class map.
        recipe: Models and settings.
        sharing: Number of workers on a machine. If the settings give no limit, each plans for its share of the memory.
    """

    def action() -> Planned:
        predictor, settings = predictor_of(recipe), recipe.settings
        fitted = _fitted(scene, predictor, recipe)
        if settings.existing == "skip" and not settings.restart and is_finished(output, fitted.identity):
            return Planned(None, fitted.identity)
        if settings.memory is None:
            settings = replace(settings, memory=allowed_memory(None, predictor) / GIB / sharing)
        plan = prepare_scene(fitted, output, predictor, settings)
        lines, notes = plan_text(plan, 0, predictor, recipe.settings)
        return Planned(shared_plan(plan, output, recipe), fitted.identity, tuple(lines), tuple(notes))

    return answer(action, TILE_CACHE)


def compute_blocks(output: Path, blocks: Sequence[BlockId], suspected: bool = False) -> Answer:
    """Compute blocks of a scene and write them to its store; the value of the answer is a `Computed`.

    Args:
        output: The class map of the scene; the plan lies beside its blocks.
        blocks: Row and column of each block.
        suspected: True if these blocks may kill their worker. Each block then has a mark file while it is computed; the
            file stays if the worker dies.
    """

    def action() -> Computed:
        scene = open_scene(output)
        windows = {block: block_at(*block, *scene.spans) for block in blocks}
        with marked(output, blocks) if suspected else nullcontext():
            return compute(scene, windows)

    def compute(scene: OpenScene, windows: dict[BlockId, Block]) -> Computed:
        try:
            return Computed((scene.compute([*windows.values()]),), {})
        except (WriteError, SupersededError):
            raise
        except Exception as error:
            if len(blocks) == 1:
                return Computed((), {blocks[0]: _block_error(error, scene.plan)})
        found: list[Findings] = []
        failed: dict[BlockId, str] = {}
        for block, window in windows.items():
            try:
                found.append(scene.compute([window]))
            except (WriteError, SupersededError):
                raise
            except Exception as error:
                failed[block] = _block_error(error, scene.plan)
        return Computed(tuple(found), failed)

    return answer(action, TILE_CACHE)


def assemble_scene(output: Path) -> Answer:
    """Write the maps of a scene from its blocks, and the features and distances if the settings ask for them.

    The value of the answer is a tuple of the files of features and distances.

    Args:
        output: The class map of the scene.
    """

    def action() -> tuple[Path, ...]:
        shared = read_plan(output)
        close_scene(output)
        plan = shared.plan()
        assemble_maps(plan, output, SharedStore(shared.output, shared.token))
        return _layers(plan.scene, output, shared.recipe)

    return answer(action, TILE_CACHE)


def write_scene_layers(scene: Path, output: Path, recipe: Recipe) -> Answer:
    """Write features and distances of a scene whose maps are kept; the value of the answer is a tuple of the files."""
    return answer(lambda: _layers(_fitted(scene, predictor_of(recipe), recipe), output, recipe), TILE_CACHE)


def _layers(scene: FittedScene, output: Path, recipe: Recipe) -> tuple[Path, ...]:
    layers = layers_of(recipe.settings)
    return tuple(write_layers(scene, output, predictor_of(recipe), layers)) if layers.paths(output) else ()


def _fitted(scene: Path, predictor: Predictor, recipe: Recipe) -> FittedScene:
    fitted = fit_scene(scene, predictor, recipe.settings)
    if fitted.area is None or recipe.area_name is None:
        return fitted
    return replace(fitted, area=replace(fitted.area, name=recipe.area_name))


def _block_error(error: Exception, plan: Plan) -> str:
    if is_out_of_memory(error):
        return (
            f"{plan.grid.path}: memory ran out at blocks of {plan.block_size.text(plan.halo)}; use smaller blocks "
            "with a lower --memory, or fewer workers on a machine"
        )
    return one_line(error)
