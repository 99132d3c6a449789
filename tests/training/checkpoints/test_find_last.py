import os
from pathlib import Path

import pytest
import torch

from seg.errors import PackageError
from seg.training.checkpoints.find_last import read_last


def write(path: Path, step: int, age: float = 0.0) -> Path:
    """A checkpoint with a number to know it by."""
    content = {"state_dict": {"model.a": torch.ones(500)}, "hyper_parameters": {"step": step}, "CroplandDataModule": {}}
    torch.save(content, path)
    os.utime(path, (1e9 - age, 1e9 - age))
    return path


def test_the_last_one_is_taken_though_another_is_newer(tmp_path: Path) -> None:
    last = write(tmp_path / "last.ckpt", 1, age=10)
    write(tmp_path / "best.ckpt", 2)
    assert read_last(last).task["step"] == 1


def test_a_torn_one_is_never_taken_wherever_it_was_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    last = write(tmp_path / "last.ckpt", 1)
    write(tmp_path / "best.ckpt", 2, age=5)
    write(tmp_path / "best-v1.ckpt", 3, age=9)
    whole = last.read_bytes()
    lengths = [*range(0, len(whole), 97), len(whole) - 1]
    for length in lengths:
        last.write_bytes(whole[:length])
        assert read_last(last).path == tmp_path / "best.ckpt"
    said = capsys.readouterr().err.splitlines()
    assert len(said) == len(lengths)
    assert said[-1].startswith(f"note: {last}: damaged")
    assert said[-1].endswith(f"taking {tmp_path / 'best.ckpt'} instead")


def test_zeros_where_the_rest_was_to_come_are_a_torn_one_too(tmp_path: Path) -> None:
    last = write(tmp_path / "last.ckpt", 1)
    whole = last.read_bytes()
    last.write_bytes(whole[: len(whole) // 2].ljust(len(whole), b"\0"))
    write(tmp_path / "best.ckpt", 2)
    assert read_last(last).task["step"] == 2


def test_a_training_killed_before_its_first_last_one_goes_on_from_the_best(tmp_path: Path) -> None:
    write(tmp_path / "best.ckpt", 2)
    assert read_last(tmp_path / "last.ckpt").task["step"] == 2


def test_where_none_is_whole_the_error_is_about_the_last(tmp_path: Path) -> None:
    for name in ("last.ckpt", "best.ckpt"):
        (tmp_path / name).write_bytes(b"half")
    with pytest.raises(PackageError, match=r"last\.ckpt: damaged") as caught:
        read_last(tmp_path / "last.ckpt")
    assert "\n" not in str(caught.value)


def test_a_temporary_file_is_no_checkpoint(tmp_path: Path) -> None:
    write(tmp_path / ".last.ckpt.0a1b.partial", 1)
    with pytest.raises(PackageError, match=r"last\.ckpt: no such file"):
        read_last(tmp_path / "last.ckpt")
