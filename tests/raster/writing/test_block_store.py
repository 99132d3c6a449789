import errno
import math
import os
from pathlib import Path

import numpy as np
import pytest

from seg.errors import ClaimError, RasterError, WriteError
from seg.files import CLAIM
from seg.raster.writing.block_store import (
    HEADER,
    BlockStore,
    open_store,
    partial_folder,
    stored_run,
)
from support.disk_limits import no_file_longer_than

RUN = {"scene": "a.tif", "halo": 64, "nodata": None, "tta": {"scales": [1.0, 2.0]}}
BLOCK = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "map.tif"


def test_a_finished_block_is_read_back_unchanged(output: Path) -> None:
    store = BlockStore(output, RUN)
    store.write("r0_c0", BLOCK)
    np.testing.assert_array_equal(store.read("r0_c0"), BLOCK)


@pytest.mark.parametrize("shape", [(2, 700, 500), (3, 1, 1), (1, 1, 900)])
def test_a_uniform_block_takes_little_space(output: Path, shape: tuple[int, ...]) -> None:
    store = BlockStore(output, RUN)
    pixels = np.empty(shape, dtype=np.uint8)
    pixels[:] = np.arange(255, 255 - shape[0], -1, dtype=np.uint8)[:, None, None]
    store.write("r0_c0", pixels)
    assert (partial_folder(output) / "r0_c0.npy").stat().st_size < 200
    np.testing.assert_array_equal(store.read("r0_c0"), pixels)


def test_a_nearly_uniform_block_is_read_back_unchanged(output: Path) -> None:
    store = BlockStore(output, RUN)
    pixels = np.full((2, 30, 40), 255, dtype=np.uint8)
    pixels[1, 29, 39] = 0
    store.write("r0_c0", pixels)
    np.testing.assert_array_equal(store.read("r0_c0"), pixels)


def test_a_non_contiguous_block_is_read_back_unchanged(output: Path) -> None:
    store = BlockStore(output, RUN)
    store.write("r0_c0", BLOCK[:, ::-1, ::2])
    np.testing.assert_array_equal(store.read("r0_c0"), BLOCK[:, ::-1, ::2])


def test_the_same_run_finds_its_finished_blocks_again(output: Path) -> None:
    BlockStore(output, RUN).write("r0_c0", BLOCK)
    again = BlockStore(output, RUN)
    assert [name in again for name in ("r0_c0", "r0_c1")] == [True, False]


def test_a_run_given_as_tuples_is_the_same_as_one_given_as_lists(output: Path) -> None:
    BlockStore(output, RUN).write("r0_c0", BLOCK)
    assert "r0_c0" in BlockStore(output, RUN | {"tta": {"scales": (1.0, 2.0)}})


def test_a_run_with_nan_among_its_settings_finds_its_finished_blocks_again(output: Path) -> None:
    BlockStore(output, RUN | {"nodata": math.nan}).write("r0_c0", BLOCK)
    assert "r0_c0" in BlockStore(output, RUN | {"nodata": math.nan})


@pytest.mark.parametrize(
    ("change", "keys"),
    [
        ({"halo": 32}, r"halo \(64, now 32\)"),
        ({"halo": 32, "scene": "b.tif"}, r'halo \(64, now 32\), scene \("a.tif", now "b.tif"\)'),
        ({"tta": {"scales": [1.0, 0.5, 0.25]}}, "tta"),  # too long to show
        ({"scene_version": "0" * 16}, r'scene version \(null, now "0{16}"\)'),
    ],
)
def test_another_run_is_refused_with_the_differences(output: Path, change: dict[str, object], keys: str) -> None:
    BlockStore(output, RUN).write("r0_c0", BLOCK)
    with pytest.raises(RasterError, match=rf"map\.tif\.partial: .* another {keys}; repeat that run .* --restart=true"):
        BlockStore(output, RUN | change)


def test_refusing_another_run_keeps_the_finished_blocks(output: Path) -> None:
    BlockStore(output, RUN).write("r0_c0", BLOCK)
    with pytest.raises(RasterError):
        BlockStore(output, RUN | {"halo": 32})
    assert "r0_c0" in BlockStore(output, RUN)


def test_blocks_of_an_unknown_run_are_dropped(output: Path) -> None:
    BlockStore(output, RUN).write("r0_c0", BLOCK)
    (partial_folder(output) / HEADER).unlink()
    assert "r0_c0" not in BlockStore(output, RUN)


def test_a_block_whose_writing_was_killed_is_not_finished(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(descriptor: int) -> None:
        raise KeyboardInterrupt

    store = BlockStore(output, RUN)
    monkeypatch.setattr(os, "fsync", kill)
    with pytest.raises(KeyboardInterrupt):
        store.write("r0_c0", BLOCK)
    monkeypatch.undo()
    assert "r0_c0" not in BlockStore(output, RUN)


def test_writing_a_block_to_a_full_disk_gives_one_clear_error(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    store = BlockStore(output, RUN)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(WriteError, match=r"r0_c0\.npy: cannot be written \(No space left on device\)"):
        store.write("r0_c0", BLOCK)


def test_a_disk_that_fills_up_within_a_block_is_given_as_the_reason(output: Path) -> None:
    store = BlockStore(output, RUN)
    pixels = np.random.default_rng(0).integers(0, 9, (2, 300, 300), dtype=np.uint8)
    with (
        no_file_longer_than(5000),
        pytest.raises(WriteError, match=r"cannot be written \(File too large\); make .* space"),
    ):
        store.write("r0_c0", pixels)
    assert [path.name for path in partial_folder(output).iterdir()] == [HEADER]


@pytest.mark.parametrize("pixels", [BLOCK, np.full((2, 30, 40), 7, np.uint8)], ids=["pixels", "one value"])
@pytest.mark.parametrize("place", ["first", "header", "pixels", "checksum", "cut off", "empty"])
def test_a_damaged_block_is_named_in_a_message_and_computed_again(output: Path, pixels: np.ndarray, place: str) -> None:
    store = BlockStore(output, RUN)
    store.write("r0_c0", pixels)
    path = partial_folder(output) / "r0_c0.npy"
    content = bytearray(path.read_bytes())
    if place in ("cut off", "empty"):
        path.write_bytes(content[: -1 if place == "cut off" else 0])
    else:
        content[{"first": 0, "header": 40, "pixels": 135, "checksum": -1}[place]] ^= 1
        path.write_bytes(content)
    with pytest.raises(RasterError, match=r"r0_c0\.npy: is damaged.* repeat the command"):
        store.read("r0_c0")
    assert "r0_c0" not in store
    store.write("r0_c0", pixels)
    np.testing.assert_array_equal(store.read("r0_c0"), pixels)


@pytest.mark.parametrize("name", ["notes.txt", "field.npy", "inner/notes.txt", "r1_c1.npy.bak"])
def test_a_folder_with_other_files_is_refused(output: Path, name: str) -> None:
    foreign = partial_folder(output) / name
    foreign.parent.mkdir(parents=True)
    foreign.write_text("my own")
    for restart in (False, True):
        with (
            pytest.raises(RasterError, match=r"map\.tif\.partial: holds .* move it away"),
            open_store(output, RUN, restart),
        ):
            pass
    assert foreign.read_text() == "my own"


def test_a_link_instead_of_the_folder_is_refused(output: Path) -> None:
    elsewhere = output.parent / "elsewhere"
    BlockStore(elsewhere, RUN).write("r0_c0", BLOCK)
    partial_folder(output).symlink_to(partial_folder(elsewhere))
    with pytest.raises(RasterError, match=r"map\.tif\.partial: is a link"), open_store(output, RUN):
        pass
    assert "r0_c0" in BlockStore(elsewhere, RUN)


def test_files_that_appear_during_a_run_stay(output: Path) -> None:
    with open_store(output, RUN) as store:
        (store.folder / "notes.txt").write_text("my own")
        store.discard()
    assert [path.name for path in partial_folder(output).iterdir()] == ["notes.txt"]


def test_a_run_without_finished_blocks_is_replaced_by_another(output: Path) -> None:
    BlockStore(output, RUN)
    BlockStore(output, RUN | {"halo": 32})
    assert stored_run(partial_folder(output))["halo"] == 32


def test_a_restart_discards_existing_blocks(output: Path) -> None:
    BlockStore(output, RUN).write("r0_c0", BLOCK)
    (partial_folder(output) / HEADER).write_bytes(b"damaged")
    assert "r0_c0" not in BlockStore(output, RUN, restart=True)


def test_discarding_removes_the_folder(output: Path) -> None:
    store = BlockStore(output, RUN)
    store.write("r0_c0", BLOCK)
    store.discard()
    assert list(output.parent.iterdir()) == []


def test_a_run_killed_while_discarding_is_still_known(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(path: Path, missing_ok: bool = False) -> None:
        if path.name == HEADER:
            raise KeyboardInterrupt
        unlink(path, missing_ok)

    store = BlockStore(output, RUN)
    store.write("r0_c0", BLOCK)
    unlink = Path.unlink
    monkeypatch.setattr(Path, "unlink", kill)
    with pytest.raises(KeyboardInterrupt):
        store.discard()
    assert stored_run(partial_folder(output)) == RUN


def test_resuming_removes_unfinished_blocks_of_killed_processes(output: Path) -> None:
    BlockStore(output, RUN).write("r0_c0", BLOCK)
    (partial_folder(output) / ".r0_c1.npy.0123.partial").write_bytes(b"half a block")
    with open_store(output, RUN) as store:
        assert "r0_c0" in store
        assert sorted(path.name for path in store.folder.iterdir()) == [CLAIM, "r0_c0.npy", HEADER]


def test_two_runs_at_once_are_refused(output: Path) -> None:
    with open_store(output, RUN) as store:
        store.write("r0_c0", BLOCK)
        with (
            pytest.raises(ClaimError, match=r"map\.tif\.partial: another process .* wait"),
            open_store(output, RUN, True),
        ):
            pass
        assert "r0_c0" in store
    with open_store(output, RUN) as store:
        assert store.finished == 1


def test_a_missing_folder_gives_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match=r"cannot be written \(No such file or directory\); make .*absent writable"):
        BlockStore(tmp_path / "absent" / "map.tif", RUN)


def test_a_folder_that_cannot_be_written_gives_one_clear_error(unwritable: Path) -> None:
    with pytest.raises(WriteError, match=r"map\.tif\.partial: cannot be written .*; make .* writable"):
        BlockStore(unwritable / "map.tif", RUN)


def test_a_file_instead_of_the_folder_gives_one_clear_error(output: Path) -> None:
    partial_folder(output).write_text("in the way")
    with pytest.raises(WriteError, match=r"map\.tif\.partial: cannot be written \(File exists\)"):
        BlockStore(output, RUN)


@pytest.mark.parametrize("content", [b'{"halo": 6', b"[1, 2]", b"\xff\xfe"], ids=["cut off", "a list", "not UTF-8"])
def test_damaged_settings_of_a_run_are_named_in_the_error(output: Path, content: bytes) -> None:
    BlockStore(output, RUN).write("r0_c0", BLOCK)
    (partial_folder(output) / HEADER).write_bytes(content)
    with pytest.raises(RasterError, match=r"run\.json: not readable as a run's settings .* --restart=true"):
        BlockStore(output, RUN)


def test_the_settings_of_an_unfinished_run_can_be_looked_up(output: Path) -> None:
    BlockStore(output, RUN)
    assert stored_run(partial_folder(output)) == RUN


def test_without_an_unfinished_run_settings_are_empty(output: Path) -> None:
    assert stored_run(partial_folder(output)) == {}
