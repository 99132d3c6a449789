from pathlib import Path

import pytest
import torch
from lightning.pytorch.plugins.io import AsyncCheckpointIO

from seg.errors import WriteError
from seg.training.checkpoints.atomic_io import AtomicCheckpointIO, remove_leftovers, with_atomic_io
from support.disk_limits import no_file_longer_than
from support.processes import Job, Processes
from support.training import quiet_trainer

WEIGHTS = {"state_dict": {"a": torch.arange(5000.0)}}
KILLED_WRITER = """
import os, signal, sys
import torch
from seg.training.checkpoints.atomic_io import AtomicCheckpointIO

# Die after the write, before the bytes reach the disk.
os.fsync = lambda number: os.kill(os.getpid(), signal.SIGKILL)
AtomicCheckpointIO().save_checkpoint({"state_dict": {"a": torch.zeros(5000)}}, sys.argv[1])
"""


def test_a_written_checkpoint_can_be_read_and_no_temporary_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "new" / "last.ckpt"
    files = AtomicCheckpointIO()
    files.save_checkpoint(WEIGHTS, str(path))
    assert torch.equal(files.load_checkpoint(path, weights_only=True)["state_dict"]["a"], WEIGHTS["state_dict"]["a"])
    assert [found.name for found in path.parent.iterdir()] == ["last.ckpt"]
    files.remove_checkpoint(path)
    assert not path.exists()


def test_a_process_killed_during_a_write_leaves_the_previous_checkpoint(tmp_path: Path, processes: Processes) -> None:
    path, writer = tmp_path / "run" / "last.ckpt", tmp_path / "writer.py"
    AtomicCheckpointIO().save_checkpoint(WEIGHTS, path)
    before = path.read_bytes()
    writer.write_text(KILLED_WRITER)
    [ended] = processes.run(Job(writer, [str(path)]))
    assert ended.status is None, ended.output
    [temporary] = [found for found in path.parent.iterdir() if found != path]
    assert temporary.stat().st_size > 5000
    assert path.read_bytes() == before
    remove_leftovers(path.parent)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("size", [0, 1, 4096, 15000])
def test_a_full_disk_leaves_the_previous_checkpoint_and_prints_one_line(
    tmp_path: Path, size: int, capsys: pytest.CaptureFixture[str]
) -> None:
    path, files = tmp_path / "last.ckpt", AtomicCheckpointIO()
    files.save_checkpoint(WEIGHTS, path)
    before = path.read_bytes()
    with no_file_longer_than(size):
        files.save_checkpoint(WEIGHTS, path)
    assert files.failure is not None
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    said = capsys.readouterr().err
    assert said.startswith(
        f"note: {path}: cannot be written (File too large); make {tmp_path} writable with space left"
    )
    assert said.endswith("; training continues without this checkpoint\n")
    assert said.count("\n") == 1
    files.save_checkpoint(WEIGHTS, path)
    assert files.failure is None


def test_a_checkpoint_that_cannot_be_written_is_an_error_of_one_line(tmp_path: Path, unwritable: Path) -> None:
    with pytest.raises(WriteError, match=r"last\.ckpt") as caught:
        AtomicCheckpointIO().save_checkpoint(WEIGHTS, unwritable / "last.ckpt")
    assert "\n" not in str(caught.value)
    with no_file_longer_than(10), pytest.raises(WriteError, match=r"last\.ckpt: cannot be written \(File too large\)"):
        AtomicCheckpointIO().save_checkpoint(WEIGHTS, tmp_path / "last.ckpt")


def test_a_plugin_of_the_user_stays() -> None:
    own, other = AsyncCheckpointIO(AtomicCheckpointIO()), object()
    assert [type(one) for one in with_atomic_io(None)] == [AtomicCheckpointIO]
    assert with_atomic_io(own) == [own]
    assert with_atomic_io([other, own]) == [other, own]
    assert [type(one) for one in with_atomic_io(other)] == [object, AtomicCheckpointIO]


def test_the_trainer_writes_checkpoints_with_the_plugin(tmp_path: Path) -> None:
    trainer = quiet_trainer(plugins=with_atomic_io(None))
    assert isinstance(trainer.strategy.checkpoint_io, AtomicCheckpointIO)
