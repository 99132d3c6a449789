import os
import pickle
from pathlib import Path

import pytest
import torch

from seg.errors import PackageError
from seg.package.checkpoint import load_checkpoint, read_checkpoint

GOOD = {
    "state_dict": {"model.a": torch.ones(2), "other.b": torch.ones(1)},
    "hyper_parameters": {"bands": 4},
    "CroplandDataModule": {"band_names": ["red"], "pixel_size_m": 10.0},
    "metrics": {"val/iou": 0.5},
}


class Malicious:
    """Object that creates a folder when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.trace),)


def test_the_weights_of_the_network_are_read_without_their_prefix(tmp_path: Path) -> None:
    torch.save(GOOD, tmp_path / "a.ckpt")
    checkpoint = read_checkpoint(tmp_path / "a.ckpt")
    assert list(checkpoint.weights) == ["a"]
    assert (checkpoint.task["bands"], checkpoint.data["pixel_size_m"], checkpoint.metrics["val/iou"]) == (4, 10.0, 0.5)


def test_a_malicious_pickle_is_refused_and_not_executed(tmp_path: Path) -> None:
    trace = tmp_path / "executed"
    torch.save(GOOD | {"extra": Malicious(trace)}, tmp_path / "bad.ckpt")
    with pytest.raises(PackageError, match=r"bad\.ckpt: .*not loaded"):
        read_checkpoint(tmp_path / "bad.ckpt")
    assert not trace.exists()


def test_a_bare_malicious_pickle_is_refused_and_not_executed(tmp_path: Path) -> None:
    trace = tmp_path / "executed"
    (tmp_path / "bad.ckpt").write_bytes(pickle.dumps(Malicious(trace)))
    with pytest.raises(PackageError, match=r"bad\.ckpt"):
        read_checkpoint(tmp_path / "bad.ckpt")
    assert not trace.exists()


def test_the_malicious_object_works(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Malicious(tmp_path / "executed")))
    assert (tmp_path / "executed").exists()


@pytest.mark.parametrize("content", [b"", b"just text\n", b"PK\x03\x04 half a zip"])
def test_files_that_are_not_checkpoints_are_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.ckpt").write_bytes(content)
    with pytest.raises(PackageError, match=r"a\.ckpt") as error:
        read_checkpoint(tmp_path / "a.ckpt")
    assert "\n" not in str(error.value)


def test_a_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    torch.save(GOOD, tmp_path / "a.ckpt")
    content = (tmp_path / "a.ckpt").read_bytes()
    (tmp_path / "a.ckpt").write_bytes(content[: len(content) // 2])
    with pytest.raises(PackageError, match="damaged"):
        read_checkpoint(tmp_path / "a.ckpt")


def test_a_checkpoint_of_another_program_is_refused(tmp_path: Path) -> None:
    torch.save({"weights": torch.ones(1)}, tmp_path / "a.ckpt")
    with pytest.raises(PackageError, match="has no CroplandDataModule, hyper_parameters, state_dict"):
        read_checkpoint(tmp_path / "a.ckpt")


@pytest.mark.filterwarnings("always")
def test_a_bare_pickle_is_refused_without_warnings(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    (tmp_path / "bad.ckpt").write_bytes(pickle.dumps(Malicious(tmp_path / "executed"), protocol=2))
    with pytest.raises(PackageError):
        read_checkpoint(tmp_path / "bad.ckpt")
    assert not recwarn.list
    assert not (tmp_path / "executed").exists()


def test_a_sparse_tensor_is_refused_without_warnings(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    path, sparse = tmp_path / "last.ckpt", torch.eye(3).to_sparse()
    torch.save({"state_dict": {}, "optimizer_states": [{"state": {0: (sparse,)}}]}, path)
    with pytest.raises(PackageError, match=r"last\.ckpt: holds a sparse tensor"):
        load_checkpoint(path)
    assert not recwarn.list


def test_a_missing_file_is_named_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"none\.ckpt: no such file"):
        read_checkpoint(tmp_path / "none.ckpt")
