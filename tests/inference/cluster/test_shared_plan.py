from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from seg.errors import RasterError
from seg.inference.cluster.shared_plan import (
    Recipe,
    SharedPlan,
    deaths_at,
    marked,
    read_plan,
    shared_plan,
    write_plan,
)
from seg.inference.compute.predictor import Predictor
from seg.inference.planning.plan import Plan
from seg.inference.settings import ComputeSettings, PredictionSettings
from seg.raster.writing.block_store import SHARED, open_store, partial_folder
from seg.raster.writing.shared_store import SharedStore, SupersededError

PIXELS = np.zeros((2, 4, 4), dtype=np.uint8)


@pytest.fixture
def shared(
    tmp_path: Path,
    make_scene: Callable[..., Path],
    make_predictor: Callable[..., Predictor],
    planned: Callable[[Path, Predictor, PredictionSettings], Plan],
) -> SharedPlan:
    """Plan of a scene with nine blocks, restricted to an area; the predictor uses four views."""
    predictor = make_predictor(dihedral=["identity", "rot180"], scales=(1.0, 0.5), uncertainty=True)
    settings = PredictionSettings(
        block_size=64, halo=16, tta=predictor.augmentation, uncertainty=True, area="500000,5399000,501000,5400000"
    )
    plan = planned(make_scene(150, 150), predictor, settings)
    recipe = Recipe((tmp_path / "model",), settings, ComputeSettings(threads=3), "the area")
    return shared_plan(plan, tmp_path / "map.tif", recipe)


def test_a_worker_reads_the_same_plan_that_the_client_wrote(shared: SharedPlan) -> None:
    with open_store(shared.output, {}):
        write_plan(shared)
        read = read_plan(shared.output)
    assert read == shared
    assert read.identity.checksum == shared.identity.checksum
    plan = read.plan()
    assert [block.name for block in plan.blocks] == [block.name for block in shared.plan().blocks]
    assert plan.scene.area is not None
    assert plan.scene.area.name == "the area"


def test_a_worker_gets_the_statistics_of_the_scene(shared: SharedPlan) -> None:
    identity = replace(shared.identity, scene_mean=(0.1, 1e-7, 3.0), scene_std=(1.0, 0.3, 2.5))
    with open_store(shared.output, {}):
        write_plan(replace(shared, identity=identity))
        assert read_plan(shared.output).identity == identity


def test_a_plan_refuses_a_scene_of_another_version(shared: SharedPlan) -> None:
    other = replace(shared, identity=replace(shared.identity, scene_version="0" * 16))
    with pytest.raises(RasterError, match="is another file on this machine"):
        other.plan()


def test_a_worker_writes_no_block_into_the_folder_of_a_later_run(shared: SharedPlan) -> None:
    with open_store(shared.output, {}) as store:
        write_plan(shared)
        worker = SharedStore(shared.output, shared.token)
        worker.write("r00000_c00000", PIXELS)
        assert "r00000_c00000" in store
        write_plan(replace(shared, token="0" * 32))
        with pytest.raises(SupersededError):
            worker.write("r00000_c00001", PIXELS)
        assert store.finished == 1
        store.discard()
        assert not (partial_folder(shared.output) / SHARED).exists()
        with pytest.raises(SupersededError):
            worker.write("r00000_c00002", PIXELS)
    assert not partial_folder(shared.output).exists()


def test_the_mark_of_a_block_stays_if_its_worker_dies_and_is_removed_with_the_blocks(shared: SharedPlan) -> None:
    block = (0, 1)
    with open_store(shared.output, {}) as store:
        with marked(shared.output, [block]):
            assert deaths_at(shared.output, block) == 1
        assert deaths_at(shared.output, block) == 0
        dying = marked(shared.output, [block])
        dying.__enter__()
        assert (deaths_at(shared.output, block), deaths_at(shared.output, (0, 0))) == (1, 0)
        store.discard()
        assert deaths_at(shared.output, block) == 0
