from collections.abc import Callable
from pathlib import Path


def test_a_local_run_is_restored_and_counted(tmp_path: Path, run_script: Callable[..., tuple[int, str, str]]) -> None:
    files = tmp_path / "wandb" / "offline-run-20260101_000000-a" / "files"
    files.mkdir(parents=True)
    (files / "config.yaml").write_text("x: 1")
    status, said, _ = run_script("restore", "--run", tmp_path, "--output", tmp_path / "back")
    assert (status, said.strip()) == (0, f"{tmp_path / 'back'}: 1 file restored")
    assert (tmp_path / "back" / "config.yaml").read_text() == "x: 1"


def test_a_folder_without_a_run_is_one_line(tmp_path: Path, run_script: Callable[..., tuple[int, str, str]]) -> None:
    status, _, error = run_script("restore", "--run", tmp_path, "--output", tmp_path / "back")
    assert status == 2
    assert "holds no run of W&B" in error
    assert not (tmp_path / "back").exists()
