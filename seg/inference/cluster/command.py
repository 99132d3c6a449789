"""Map one or many scenes on a cluster, and report the results."""

import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

from seg.errors import IncompleteError, NoOverlapError
from seg.inference.cluster.connection import Connection, connected, wait_for_workers
from seg.inference.cluster.dispatch import Dispatcher, Ended, Work
from seg.inference.cluster.report import Watch
from seg.inference.cluster.scene_run import SceneRun, Stage
from seg.inference.cluster.settings import ClusterSettings, cluster_of
from seg.inference.cluster.shared_plan import Recipe
from seg.inference.command import Tally, finish_tally, interrupted, reason
from seg.inference.compute.member import MODEL, require_alike
from seg.inference.inputs import Job, jobs_of
from seg.inference.interruption import sigterm_as_interrupt
from seg.inference.progress import print_result
from seg.inference.scene import SceneMaps, scene_maps
from seg.inference.settings import ComputeSettings, PredictionSettings
from seg.package.read import read_package
from seg.raster.folder import Inputs
from seg.raster.grid import read_grid
from seg.raster.remote import is_remote, is_virtual
from seg.terminal.progress import Bar, progress_bar


def predict_on_cluster(
    models: Sequence[Path],
    inputs: Inputs,
    output: Path,
    settings: tuple[PredictionSettings, ComputeSettings],
    cluster: ClusterSettings,
) -> None:
    """Map all scenes of the inputs on a cluster, as `seg.inference.command.predict` maps them in one process.

    All paths must be valid on the machines of all workers.

    Args:
        models: Folders of model packages.
        inputs: Scenes. Scenes of products are written before the first block is computed.
        output: A file for one scene, or a folder for several.
        settings: Settings of the prediction, and settings of the computation in each worker.
        cluster: The cluster.

    Raises:
        IncompleteError: Some of several scenes were not mapped, blocks failed, or the scheduler is lost.
        SegError: An argument is invalid, or the only scene cannot be mapped.
    """
    jobs = jobs_of(inputs, output, settings[0].uncertainty, settings[0].screen)
    packages = [read_package(folder) for folder in models]
    require_alike([str(folder) for folder in models] if len(models) > 1 else [MODEL], packages)
    for job in jobs:
        if job.make is not None:
            job.make()
    if not inputs.several:
        read_grid(jobs[0].scene)
    jobs = [Job(_absolute(job.scene), job.output.absolute()) for job in jobs]
    watch = Watch()
    with sigterm_as_interrupt(), ExitStack() as opened:
        connection: Connection[Work] = opened.enter_context(
            connected(cluster_of(cluster.cluster or ""), settings[1].threads)
        )
        watch.see(wait_for_workers(connection))
        recipe = _recipe(models, settings[0], replace(settings[1], threads=connection.threads()))
        dispatcher = Dispatcher(connection, [SceneRun(job) for job in jobs], recipe, watch)
        opened.callback(dispatcher.release)
        try:
            _map(dispatcher, inputs.several)
        finally:
            with suppress(IncompleteError):
                dispatcher.look()
            print(watch.table(), flush=True)
            if cluster.cluster_report is not None:
                watch.write(cluster.cluster_report, connection.name, recipe.compute.threads)


def _map(dispatcher: Dispatcher, several: bool) -> None:
    tally, settings = Tally(len(dispatcher.runs)), dispatcher.recipe.settings
    with progress_bar(f"0 of {tally.total} scenes") as bar:
        try:
            for ended in dispatcher.run(lambda: _show(bar, dispatcher)):
                _count(ended, tally, several, settings)
        except KeyboardInterrupt as interrupt:
            raise KeyboardInterrupt(interrupted(_kept(interrupt, dispatcher), tally, settings)) from interrupt
    if several:
        finish_tally(tally, settings)


def _count(ended: Ended, tally: Tally, several: bool, settings: PredictionSettings) -> None:
    run, error = ended.run, ended.run.error
    if error is not None and not several:
        raise error
    if isinstance(error, NoOverlapError):
        tally.outside += 1
        print(f"skipped: {reason(run.job.scene, error)}", file=sys.stderr)
    elif error is not None:
        tally.failed.append((run.job.scene, error))
        print(f"failed: {reason(run.job.scene, error)}", file=sys.stderr)
    elif ended.kept:
        tally.kept += 1
        print(
            f"{run.job.output}: kept, since it is from a run with the same scene, models and settings; "
            "--existing=overwrite maps the scene again",
            flush=True,
        )
        for path in ended.layers:
            print(f"{path}: written beside the kept maps", flush=True)
    else:
        tally.mapped += 1
        print_result(_maps(ended), settings)


def _maps(ended: Ended) -> SceneMaps:
    layers = tuple(path for path in ended.layers if isinstance(path, Path))
    return scene_maps(ended.run.plan, ended.run.job.output, ended.run.found, layers)


def _show(bar: Bar, dispatcher: Dispatcher) -> None:
    runs = dispatcher.runs
    scenes = sum(run.stage == Stage.ENDED for run in runs)
    total = sum(run.total for run in runs)
    text = f"{dispatcher.watch.text()}, {scenes} of {len(runs)} scenes"
    bar.move(sum(run.done for run in runs), max(total, 1), text)


def _kept(interrupt: KeyboardInterrupt, dispatcher: Dispatcher) -> KeyboardInterrupt:
    open_runs = [run for run in dispatcher.runs if run.stage in (Stage.COMPUTING, Stage.ASSEMBLING)]
    blocks = sum(run.done for run in open_runs)
    kept = f"{blocks} finished blocks kept beside the maps: " if blocks else ""
    return KeyboardInterrupt(str(interrupt) or f"interrupted; {kept}repeat the command to continue")


def _recipe(models: Sequence[Path], settings: PredictionSettings, compute: ComputeSettings) -> Recipe:
    """Models and settings with absolute paths, since workers have other working folders."""
    area = settings.area
    name, bar, layer = (area or "").partition("|")
    if area is not None and Path(name).exists():
        settings = replace(settings, area=f"{Path(name).absolute()}{bar}{layer}")
    return Recipe(tuple(folder.absolute() for folder in models), settings, compute, area)


def _absolute(scene: Path) -> Path:
    return scene if is_remote(scene) or is_virtual(scene) else scene.absolute()
