from pathlib import Path

import pytest

from seg.training.run.restore import restore_local


@pytest.mark.parametrize("target", [".", "nowhere", "../../../../private.txt", "config.yaml"])
def test_broken_links_and_links_to_folders_or_outside_the_run_are_skipped(tmp_path: Path, target: str) -> None:
    (tmp_path / "private.txt").write_text("not of the run")
    files = tmp_path / "run" / "wandb" / "offline-run-20260101_000000-abc" / "files"
    files.mkdir(parents=True)
    (files / "config.yaml").write_text("x: 1\n")
    (files / "link").symlink_to(target)
    restored = restore_local(tmp_path / "run", tmp_path / "out")
    assert [path.name for path in restored] == ["config.yaml", "link"][: 2 if target == "config.yaml" else 1]
