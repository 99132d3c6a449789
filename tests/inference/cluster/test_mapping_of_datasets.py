"""Statistics and composites of `prepare.py` on a real cluster, on the loopback device."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seg.data.dataset.statistics import CACHE
from seg.raster.writing.block_store import partial_folder
from support.cluster import DaskProcesses
from support.commands import run_command

WriteRaster = Callable[..., Path]
SIDE, BLOCK = 150, 64


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_statistics_of_a_cluster_equal_those_of_one_process(
    cluster: DaskProcesses, tmp_path: Path, write_raster: WriteRaster, monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    random = np.random.default_rng(0)
    for number in range(3):
        pixels = random.integers(0, 4000, (2, 30, 40)).astype(dtype)
        write_raster(tmp_path / "data" / "images" / f"{number}.tif", pixels, nodata=0)
        write_raster(tmp_path / "data" / "masks" / f"{number}.tif", np.ones((30, 40), np.uint8))
    monkeypatch.chdir(tmp_path)
    words = ("--input=data", "--fold=null", "--json=true")
    on_cluster = run_command("prepare stats", *words, f"--cluster={cluster.address}")
    assert on_cluster.status == 0, on_cluster
    [cached] = (tmp_path / "data" / CACHE).iterdir()
    kept = cached.read_bytes()
    cached.unlink()
    alone = run_command("prepare stats", *words)
    assert cached.read_bytes() == kept
    assert on_cluster.out.endswith(alone.out)


@pytest.mark.usefixtures("small_blocks")
def test_a_composite_continues_after_a_full_disk_and_has_the_bytes_of_one_process(
    cluster: DaskProcesses, tmp_path: Path, write_raster: WriteRaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    for date in range(3):
        pixels = random.integers(1, 4000, (2, SIDE, SIDE), np.uint16)
        pixels[:, :BLOCK, :BLOCK] = 0
        write_raster(tmp_path / "dates" / f"{date}.tif", pixels, nodata=0)
    monkeypatch.chdir(tmp_path)
    words = ("--input=dates", "--output=summer.tif")
    assert run_command("prepare composite", *words).status == 0
    output = tmp_path / "summer.tif"
    wanted = output.read_bytes()
    output.unlink()
    with cluster.no_file_longer_than(3 * BLOCK * BLOCK):
        full = run_command("prepare composite", *words, f"--cluster={cluster.address}")
    assert full.status == 2, full
    assert re.fullmatch(r"error: summer.tif.partial/r\d+_c\d+.npy: cannot be written .*\n", full.err), full.err
    assert (partial_folder(output) / "r00000_c00000.npy").exists()  # A block without data takes few bytes.
    again = run_command("prepare composite", *words, f"--cluster={cluster.address}")
    assert (again.status, again.err) == (0, ""), again
    assert "tcp://" in again.out  # the table of workers
    assert output.read_bytes() == wanted
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dates", "summer.tif"]


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 64 x 64 pixels, whatever the memory."""
    monkeypatch.setattr("seg.imagery.composites.planning._block_shape", lambda *_: (BLOCK, BLOCK))
