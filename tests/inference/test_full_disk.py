import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from seg.raster.writing.block_store import partial_folder
from support.processes import Ended, Job, Processes
from support.project import SCRIPTS
from support.scenes import write_scene

SIDE, BLOCK = 1100, 256
BLOCK_BYTES = 2 * BLOCK * BLOCK
MAP_BYTES = 9 * 512 * 512
"""Size of an uncompressed map in tiles; its overviews have 5 more."""


@pytest.fixture(scope="module")
def predict(processes: Processes, onnx_package: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Ended]:
    """`predict(output, file_bytes)`: map a scene in a process that can write files of at most this size."""
    scene = write_scene(tmp_path_factory.mktemp("scenes") / "scene.tif", SIDE, SIDE)
    options = [f"--model={onnx_package}", f"--input={scene}", "--threads=1", f"--block-size={BLOCK}", "--halo=16"]

    def run(output: Path, file_bytes: int | None = None) -> Ended:
        output.parent.mkdir(exist_ok=True)
        words = [*options, f"--output={output}"]
        [ended] = processes.run(Job(SCRIPTS / "predict.py", words, file_bytes=file_bytes))
        return ended

    return run


@pytest.fixture(scope="module")
def whole(predict: Callable[..., Ended], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The maps of a run with enough space, by name."""
    folder = tmp_path_factory.mktemp("whole") / "maps"
    assert predict(folder / "map.tif").status == 0
    return maps_in(folder)


def maps_in(folder: Path) -> dict[str, bytes]:
    """Content of all files in a folder, by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def last_line(ended: Ended) -> str:
    return ended.output.strip().splitlines()[-1]


@pytest.mark.parametrize(
    "limits",
    [
        pytest.param((MAP_BYTES // 2, 2 * MAP_BYTES), id="some"),
        # Runs fail at the settings, a block, the map, and its first and second overview; the last run succeeds.
        pytest.param(
            (300, BLOCK_BYTES // 2, MAP_BYTES // 2, MAP_BYTES + 50_000, 5 * MAP_BYTES // 4, 2 * MAP_BYTES),
            marks=pytest.mark.campaign,
            id="all",
        ),
    ],
)
def test_a_full_disk_leaves_no_map_and_loses_no_block(
    predict: Callable[..., Ended], whole: dict[str, bytes], tmp_path: Path, limits: tuple[int, ...]
) -> None:
    refused, blocks = 0, tmp_path / "blocks"
    for limit in limits:
        output = tmp_path / str(limit) / "map.tif"
        if blocks.exists():  # computing the blocks again would take most of the time
            shutil.copytree(blocks, partial_folder(output))
        ended = predict(output, limit)
        if ended.status != 0:
            refused += 1
            assert ended.status == 2, ended.output
            assert str(output.parent) in last_line(ended)
            assert "space" in last_line(ended)
            assert "Traceback" not in ended.output
            assert "_tiffWriteProc" not in ended.output
            kept = list(partial_folder(output).glob("*.npy"))
            assert len(kept) == (0 if limit < BLOCK_BYTES else 25)
            assert [path.name for path in output.parent.iterdir()] == ["map.tif.partial"]
            if kept:
                shutil.copytree(partial_folder(output), blocks, dirs_exist_ok=True)
            assert predict(output).status == 0
        assert maps_in(output.parent) == whole
    assert refused == len(limits) - 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """`small_disk(size)`: folder of a file system of `size` bytes; another call changes its size."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mounted(size: int) -> Path:
        options = f"{'remount,' if folder.is_mount() else ''}size={size}"
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], capture_output=True, check=False)
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.decode().strip()}")
        return folder

    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    yield mounted
    if folder.is_mount():
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("megabytes", [4, *(pytest.param(size, marks=pytest.mark.campaign) for size in (1, 7))])
def test_a_full_small_disk_keeps_the_finished_blocks(
    predict: Callable[..., Ended], whole: dict[str, bytes], small_disk: Callable[[int], Path], megabytes: int
) -> None:
    output = small_disk(megabytes * 1_000_000) / "maps" / "map.tif"
    ended = predict(output)
    assert ended.status == 2, ended.output
    assert str(output.parent) in last_line(ended)
    assert "space" in last_line(ended)
    # One of the two maps may be complete.
    assert all(path.read_bytes() == whole[path.name] for path in output.parent.glob("*.tif"))
    kept = len(list(partial_folder(output).glob("*.npy")))
    assert kept > 5
    small_disk(40_000_000)
    again = predict(output)
    assert again.status == 0, again.output
    assert f"{kept} blocks already done" in again.output
    assert maps_in(output.parent) == whole
