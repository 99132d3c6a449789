"""Fetch the files of a run back from Weights & Biases: `python scripts/restore.py --run runs/x --output restored`."""

import sys
from pathlib import Path

from seg.terminal.command_line import run_command


def restore(*, run: str, output: Path) -> None:
    """Fetch files, pictures and model of a run back from Weights & Biases.

    Args:
        run: Folder of a run that was trained with --tracking.wandb, or of a W&B run in it (offline-run-...): needs no
            network. Or entity/project/id of a run on the W&B server.
        output: Where the files go: a new or empty folder.
    """
    from seg.training.run.restore import restore_run

    files = restore_run(run, output)
    print(f"{output}: {len(files)} files restored")


if __name__ == "__main__":
    sys.exit(run_command(restore))
