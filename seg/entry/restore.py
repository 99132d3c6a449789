"""Fetch a run back from Weights & Biases: the command `restore`."""

from collections.abc import Sequence
from pathlib import Path

from seg.terminal.command_line import run_command
from seg.terminal.text import counted


def restore(*, run: str, output: Path) -> None:
    """Fetch files, pictures and model of a run back from Weights & Biases.

    Args:
        run: Folder of a run that was trained with --tracking.wandb, or of a W&B run in it (offline-run-...), which
            needs no network; or entity/project/id of a run on the W&B server.
        output: Folder for the files, new or empty.
    """
    from seg.training.run.restore import restore_run

    files = restore_run(run, output)
    print(f"{output}: {counted(len(files), 'file')} restored")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status of the command line.

    Args:
        arguments: Command-line arguments; sys.argv[1:] by default.
    """
    return run_command(restore, arguments)
