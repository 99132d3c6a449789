"""Models and scenes that a worker process keeps open: models are loaded once, and rasters are opened once."""

import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from seg import __version__
from seg.errors import ClaimError
from seg.inference.blocks.pipeline import Findings, Readers, run_blocks
from seg.inference.cluster.answers import UnfitError, one_line
from seg.inference.cluster.shared_plan import Recipe, SharedPlan, read_plan
from seg.inference.command import load_predictor
from seg.inference.compute.predictor import Predictor
from seg.inference.feature_layers import layers_of
from seg.inference.planning.plan import Plan
from seg.inference.scene import TILE_CACHE
from seg.inference.settings import ComputeSettings
from seg.raster.gdal_options import gdal_options
from seg.raster.windows import Block, Span
from seg.raster.writing.shared_store import SharedStore, SupersededError

MOST_OPEN = 4
"""Largest number of scenes that a worker keeps open."""

PATIENCE = 120.0
"""Time in seconds to wait for another process that exports the same model."""


class OpenScene:
    """A scene whose blocks this worker computes.

    Args:
        shared: The plan of the scene.

    Raises:
        UnfitError: The software or models of this worker differ from those of the worker that planned the scene.
        RasterError: The scene cannot be read, or differs from the scene that was planned.
    """

    def __init__(self, shared: SharedPlan) -> None:
        self.shared, self.store = shared, SharedStore(shared.output, shared.token)
        self.predictor = predictor_of(shared.recipe).of_scene(shared.identity.scene_statistics)
        _require_same_models(self.predictor, shared)
        self.plan = shared.plan(blocks=[])
        self._readers: Readers | None = None

    @cached_property
    def spans(self) -> tuple[list[Span], list[Span]]:
        """Rows and columns of the grid of blocks."""
        return self.plan.block_size.spans((self.plan.grid.height, self.plan.grid.width), self.plan.halo)

    def compute(self, blocks: Sequence[Block]) -> Findings:
        """Compute blocks that are not in the store yet. After an error, the next call opens the raster again."""
        plan = replace(self.plan, blocks=blocks)
        if self._readers is None:
            self._readers = Readers(plan, self.predictor)
        try:
            with gdal_options(plan.cache or TILE_CACHE):
                return run_blocks(plan, self.predictor, self.store, _ignore, self._readers)
        except BaseException:
            # GDAL may report a damaged tile only once for each opened file.
            self.close()
            raise

    def close(self) -> None:
        """Close the raster."""
        readers, self._readers = self._readers, None
        if readers is not None:
            readers.close()


_PREDICTORS: dict[str, Predictor] = {}
_SCENES: OrderedDict[str, OpenScene] = OrderedDict()


def open_scene(output: Path) -> OpenScene:
    """Open the scene of an output, unless it is open already. The scenes that were used last stay open.

    Args:
        output: The class map.

    Raises:
        UnfitError: The folder of the maps does not exist on this machine.
        SupersededError: The client has ended the run and removed its blocks.
        RasterError: The scene cannot be read, or differs from the scene that was planned.
    """
    try:
        shared = read_plan(output)
    except OSError as error:
        if output.parent.is_dir():
            raise SupersededError(f"{output}: its blocks are gone") from error
        raise UnfitError(
            f"{output.parent}: no such folder; wanted the folder of the maps, at the same path on all machines"
        ) from error
    kept = _SCENES.pop(str(output), None)
    if kept is None or kept.shared.token != shared.token:
        if kept is not None:
            kept.close()
        kept = OpenScene(shared)
    _SCENES[str(output)] = kept
    while len(_SCENES) > MOST_OPEN:
        _SCENES.popitem(last=False)[1].close()
    return kept


def close_scene(output: Path) -> None:
    """Close the scene of an output if it is open."""
    kept = _SCENES.pop(str(output), None)
    if kept is not None:
        kept.close()


def close_all() -> None:
    """Close all scenes, and free the models."""
    while _SCENES:
        _SCENES.popitem()[1].close()
    _PREDICTORS.clear()


def predictor_of(recipe: Recipe) -> Predictor:
    """Models of a recipe, loaded once in this process.

    Raises:
        UnfitError: This worker cannot load the models.
    """
    settings = recipe.settings
    chosen = (settings.tta, settings.uncertainty, settings.interior, settings.screen, layers_of(settings))
    key = repr((recipe.models, recipe.compute, *chosen))
    if key not in _PREDICTORS:
        _PREDICTORS.clear()
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                _PREDICTORS[key] = load_predictor(recipe.models, settings, _own_device(recipe.compute))
                break
            except ClaimError as error:  # Another worker exports the same model.
                if time.monotonic() > deadline:
                    raise UnfitError(str(error)) from error
                time.sleep(0.5)
            except Exception as error:
                raise UnfitError(one_line(error)) from error
    return _PREDICTORS[key]


def _own_device(compute: ComputeSettings) -> ComputeSettings:
    """Settings that give each local worker its own GPU; dask names local workers by numbers from 0."""
    from distributed import get_worker

    number = get_worker().name
    if (
        compute.device not in {"auto", "cuda"}
        or compute.backend not in {"auto", "torch"}
        or not isinstance(number, int)
    ):
        return compute
    from seg.inference.compute.choose_backend import gpu_count

    count = gpu_count()
    return replace(compute, device=f"cuda:{number % count}", backend="torch") if count > 1 else compute


def _require_same_models(predictor: Predictor, shared: SharedPlan) -> None:
    found: tuple[str | tuple[str, ...], ...] = (
        __version__,
        tuple(package.weights_sha256 for package in predictor.packages),
        tuple(member.backend.name for member in predictor.members),
        "none" if predictor.screener is None else predictor.screener.sha256,
    )
    identity = shared.identity
    wanted: tuple[str | tuple[str, ...], ...] = (identity.version, identity.model, identity.backend)
    wanted += (identity.screening or "none",)
    for name, one, other in zip(("version", "model", "backend", "screener"), found, wanted, strict=True):
        if one != other:
            raise UnfitError(
                f"its {name} is {_shown(one)}, but the run was planned with {_shown(other)}; "
                "install the same software and models on all workers"
            )


def _shown(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else ", ".join(text[:40] for text in value)


def _ignore(plan: Plan, done: int) -> None:
    """Ignore the progress within a task; the client shows the progress of all tasks."""
