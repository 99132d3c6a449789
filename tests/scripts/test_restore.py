from pathlib import Path

from support.commands import assert_mistake, run_command


def test_a_local_run_is_restored_and_counted(tmp_path: Path) -> None:
    files = tmp_path / "wandb" / "offline-run-20260101_000000-a" / "files"
    files.mkdir(parents=True)
    (files / "config.yaml").write_text("x: 1")
    status, said, _ = run_command("restore", "--run", tmp_path, "--output", tmp_path / "back")
    assert (status, said.strip()) == (0, f"{tmp_path / 'back'}: 1 file restored")
    assert (tmp_path / "back" / "config.yaml").read_text() == "x: 1"


def test_a_folder_without_a_run_is_refused_in_one_line(tmp_path: Path) -> None:
    ran = run_command("restore", "--run", tmp_path, "--output", tmp_path / "back")
    assert_mistake(ran, "holds no W&B run")
    assert not (tmp_path / "back").exists()
