from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from seg.files import claimed
from seg.inference.compute.predictor import Predictor
from seg.inference.identity import RunIdentity, discard_leftovers, is_finished
from seg.inference.inputs import Job
from seg.inference.planning.fitting import fit_scene
from seg.inference.planning.plan import Plan
from seg.inference.scene import predict_scene
from seg.inference.settings import PredictionSettings
from seg.raster.writing.block_store import BlockStore, partial_folder

SETTINGS = PredictionSettings(block_size=64, halo=16)


def silent(plan: Plan, done: int) -> None:
    """Report nothing."""


@pytest.fixture
def job(make_scene: Callable[..., Path], tmp_path: Path) -> Job:
    return Job(make_scene(130, 150), tmp_path / "map.tif")


def identity(job: Job, predictor: Predictor, settings: PredictionSettings) -> RunIdentity:
    return fit_scene(job.scene, predictor, settings).identity


def leave_blocks(job: Job, predictor: Predictor, settings: PredictionSettings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Map a scene, but stop when the maps have been written; return the folder of the blocks."""
    with monkeypatch.context() as patch:
        patch.setattr(BlockStore, "discard", lambda store: None)
        predict_scene(job.scene, job.output, predictor, settings, silent)
    return partial_folder(job.output)


def test_remaining_blocks_of_a_finished_run_are_removed(
    job: Job, make_predictor: Callable[..., Predictor], monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = make_predictor()
    folder = leave_blocks(job, predictor, SETTINGS, monkeypatch)
    assert list(folder.glob("*.npy"))
    assert is_finished(job.output, identity(job, predictor, SETTINGS))
    discard_leftovers(job.output, identity(job, predictor, SETTINGS))
    assert not folder.exists()
    discard_leftovers(job.output, identity(job, predictor, SETTINGS))  # a second call has nothing to remove


def test_blocks_of_other_settings_are_kept(
    job: Job, make_predictor: Callable[..., Predictor], monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = make_predictor()
    folder = leave_blocks(job, predictor, SETTINGS, monkeypatch)
    discard_leftovers(job.output, identity(job, predictor, replace(SETTINGS, threshold=0.9)))
    assert list(folder.glob("*.npy"))


def test_a_folder_without_blocks_is_removed(
    job: Job, make_predictor: Callable[..., Predictor], monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = make_predictor()
    folder = leave_blocks(job, predictor, SETTINGS, monkeypatch)
    for block in folder.glob("*.npy"):
        block.unlink()
    discard_leftovers(job.output, identity(job, predictor, replace(SETTINGS, threshold=0.9)))
    assert not folder.exists()


def test_blocks_claimed_by_another_process_are_kept(
    job: Job, make_predictor: Callable[..., Predictor], monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = make_predictor()
    folder = leave_blocks(job, predictor, SETTINGS, monkeypatch)
    with claimed(folder):
        discard_leftovers(job.output, identity(job, predictor, SETTINGS))
        assert list(folder.glob("*.npy"))
