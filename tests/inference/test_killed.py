import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio

from seg.raster.writing.block_store import BlockStore, partial_folder
from support.processes import Ended, Job, Kill, Processes
from support.project import SCRIPTS

MakeScene = Callable[..., Path]

BLOCK = 64


class Campaign:
    """A scene that is mapped repeatedly, its expected maps, and the checks after each kill."""

    def __init__(self, processes: Processes, model: Path, scene: Path, backend: str) -> None:
        self.processes, self.output = processes, scene.parent / "maps" / "map.tif"
        self.output.parent.mkdir()
        self.probability = self.output.with_name("map_probability.tif")
        self.words = [f"--model={model}", f"--input={scene}", f"--output={self.output}", "--threads=1"]
        self.words.append(f"--backend={backend}")
        self.words += [f"--block-size={BLOCK}", "--halo=16"]
        ended = self.run()
        assert ended.status == 0, ended.output
        self.seconds = ended.seconds
        self.whole = {path: path.read_bytes() for path in (self.output, self.probability)}
        self.pixels = []
        for path in self.whole:
            with rasterio.open(path) as dataset:
                self.pixels.append(dataset.read(1))
        self.clear()

    def run(self, kill: Kill | None = None) -> Ended:
        [ended] = self.processes.run(Job(SCRIPTS / "predict.py", self.words, kill=kill))
        return ended

    def clear(self) -> None:
        for path in self.whole:
            path.unlink()

    def check_files(self) -> None:
        """Check that each map is complete or absent, and that each stored block is right."""
        for path, content in self.whole.items():
            assert not path.exists() or path.read_bytes() == content
        folder = partial_folder(self.output)
        if not folder.exists():
            return
        store = BlockStore.__new__(BlockStore)  # reads blocks of another run
        store.folder = folder
        for block in folder.glob("*.npy"):
            row, column = (int(part[1:]) * BLOCK for part in block.stem.split("_"))
            kept = store.read(block.stem)
            for layer, wanted in zip(kept, self.pixels, strict=True):
                np.testing.assert_array_equal(layer, wanted[row : row + BLOCK, column : column + BLOCK])

    def kill_often(self, kills: int, within: float, once: Path | None = None) -> None:
        """Kill runs at random moments; each run resumes the previous run. Then let one run end."""
        random, finished = np.random.default_rng(kills), 0
        while kills:
            ended = self.run(Kill(float(random.uniform(0, within)), once))
            self.check_files()
            if ended.status is None:
                kills -= 1
                continue
            assert ended.status == 0, ended.output
            self.check_end()
            self.clear()
            finished += 1
            assert finished < 100
        assert self.run().status == 0
        self.check_end()

    def check_end(self) -> None:
        """Check that both maps are as expected, and that there are no other files."""
        assert {path: path.read_bytes() for path in self.output.parent.iterdir()} == self.whole


@pytest.fixture(params=["openvino", pytest.param("onnx", marks=pytest.mark.campaign)])
def campaign(
    request: pytest.FixtureRequest, processes: Processes, onnx_package: Path, make_scene: MakeScene
) -> Campaign:
    return Campaign(processes, onnx_package, make_scene(300, 340, nodata=0), request.param)


@pytest.mark.parametrize("kills", [5, pytest.param(40, marks=pytest.mark.campaign)])
def test_kills_at_random_moments_change_no_byte(campaign: Campaign, kills: int) -> None:
    campaign.kill_often(kills, campaign.seconds)


@pytest.mark.parametrize("kills", [3, pytest.param(12, marks=pytest.mark.campaign)])
def test_kills_while_the_maps_are_put_together_change_no_byte(campaign: Campaign, kills: int) -> None:
    begun = campaign.output.with_name(f".{campaign.probability.name}.unfinished")
    seconds = campaign.run(Kill(np.inf, begun)).seconds
    campaign.clear()
    campaign.kill_often(kills, seconds, begun)


@pytest.mark.campaign
def test_kills_while_python_imports_or_predicts_change_no_byte(campaign: Campaign) -> None:
    random = np.random.default_rng(8)
    for _ in range(3):
        command = [sys.executable, SCRIPTS / "predict.py", *campaign.words]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=float(random.uniform(0, 1.5)))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        campaign.check_files()
    assert campaign.run().status == 0
    campaign.check_end()
