from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from seg.errors import ConfigError
from seg.training.run.restore import restore_online, restore_run


class StubbedApi:
    """Replacement of `wandb.Api` with one run, `me/fields/abc`, that has a file, a model and a dataset."""

    def run(self, path: str) -> SimpleNamespace:
        if path != "me/fields/abc":
            raise ValueError("could not find run")
        artifacts = [SimpleNamespace(type=kind, download=self._artifact(kind)) for kind in ("model", "dataset")]
        file = SimpleNamespace(download=self._file)
        return SimpleNamespace(files=lambda: [file], logged_artifacts=lambda: artifacts)

    def _file(self, root: str, replace: bool) -> None:
        (Path(root) / "run").mkdir(parents=True)
        (Path(root) / "run" / "config.yaml").write_text("x: 1")

    def _artifact(self, kind: str):  # type: ignore[no-untyped-def]  # noqa: ANN202
        def download(root: str) -> None:
            Path(root).mkdir(parents=True, exist_ok=True)
            (Path(root) / f"{kind}.ckpt").touch()

        return download


def wandb_run(root: Path, name: str, content: str) -> Path:
    folder = root / "wandb" / name / "files" / "run"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(content)
    return root


def test_the_last_of_several_runs_in_a_folder_is_restored(tmp_path: Path) -> None:
    wandb_run(tmp_path, "run-20260101_000000-a", "first")
    wandb_run(tmp_path, "offline-run-20260102_000000-b", "second")
    [file] = restore_run(str(tmp_path), tmp_path / "back")
    assert file.read_text() == "second"


def test_a_restore_that_breaks_off_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = wandb_run(tmp_path / "mine", "run-20260101_000000-a", "x")

    def copy_half(_: Path, output: Path) -> list[Path]:
        output.mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr("seg.training.run.restore.restore_local", copy_half)
    with pytest.raises(KeyboardInterrupt):
        restore_run(str(root), tmp_path / "back")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_one_of_several_runs_can_be_named(tmp_path: Path) -> None:
    wandb_run(tmp_path, "offline-run-20260101_000000-a", "first")
    wandb_run(tmp_path, "offline-run-20260102_000000-b", "second")
    [file] = restore_run(str(tmp_path / "wandb" / "offline-run-20260101_000000-a"), tmp_path / "back")
    assert file.read_text() == "first"


def test_links_are_restored_as_files(tmp_path: Path) -> None:
    wandb_run(tmp_path, "offline-run-20260101_000000-a", "x")
    (tmp_path / "best.ckpt").write_text("weights")
    (tmp_path / "wandb" / "offline-run-20260101_000000-a" / "files" / "best.ckpt").symlink_to(tmp_path / "best.ckpt")
    restore_run(str(tmp_path), tmp_path / "back")
    assert (tmp_path / "back" / "best.ckpt").read_text() == "weights"
    assert not (tmp_path / "back" / "best.ckpt").is_symlink()


def test_an_input_without_a_run_and_a_filled_output_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no W&B run"):
        restore_run(str(tmp_path), tmp_path / "back")
    wandb_run(tmp_path, "offline-run-20260101_000000-a", "x")
    with pytest.raises(ConfigError, match="not an empty folder"):
        restore_run(str(tmp_path), tmp_path)


def test_a_refused_restore_removes_the_unfinished_files_of_a_killed_one(tmp_path: Path) -> None:
    wandb_run(tmp_path, "offline-run-20260101_000000-a", "x")
    restore_run(str(tmp_path), tmp_path / "back")
    (tmp_path / ".back.unfinished").mkdir()
    with pytest.raises(ConfigError, match="not an empty folder"):
        restore_run(str(tmp_path), tmp_path / "back")
    assert not (tmp_path / ".back.unfinished").exists()


def test_a_name_that_is_neither_folder_nor_run_is_refused_without_network_access(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="wanted a folder, or entity/project/id"):
        restore_run("nowhere", tmp_path / "back")


def test_files_and_model_are_restored_from_a_server(tmp_path: Path) -> None:
    files = restore_online("me/fields/abc", tmp_path / "back", cast("None", StubbedApi()))
    assert [path.relative_to(tmp_path / "back").as_posix() for path in files] == ["model/model.ckpt", "run/config.yaml"]


def test_a_run_unknown_to_the_server_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="could not find run"):
        restore_online("me/fields/other", tmp_path / "back", cast("None", StubbedApi()))
