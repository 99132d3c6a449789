"""Fetch back what a run gave to Weights & Biases: files, pictures, the model."""

import importlib.util
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from seg.errors import ConfigError
from seg.training.run.wandb import FOLDER, MODEL_FOLDER

if TYPE_CHECKING:
    from wandb import Api


def restore_run(run: str, output: Path) -> list[Path]:
    """The files of a W&B run, copied into a folder.

    Args:
        run: The folder of a run of training or of W&B (`<run>/wandb/offline-run-...`), which needs neither network nor
            account; or `entity/project/id` of a run on the server, whose model artifact comes along.
        output: A new or empty folder.

    Raises:
        ConfigError: There is no such run, it has no files, or the folder is not empty.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ConfigError(f"output is {output}, which is not an empty folder; name a new one")
    local = Path(run)
    restored = restore_local(local, output) if local.is_dir() else restore_online(run, output)
    if not restored:
        raise ConfigError(f"run is {run}, which has no files yet; nothing was restored")
    return restored


def restore_local(folder: Path, output: Path) -> list[Path]:
    """The files that a W&B run keeps on this machine, copied into a folder.

    Args:
        folder: Of a W&B run, or of a training that has one; of several, the last.
        output: Where they go.

    Raises:
        ConfigError: No W&B run lies there.
    """
    runs = sorted((folder / FOLDER).glob("*run-*-*"), key=lambda path: path.name.removeprefix("offline-"))
    files = [path / "files" for path in (folder, *reversed(runs)) if (path / "files").is_dir()]
    if not files:
        raise ConfigError(
            f"run is {folder}, which holds no run of W&B ({FOLDER}/offline-run-*/files); wanted the folder of a run "
            "that was trained with --tracking.wandb=offline or online, or entity/project/id of one on the server"
        )
    # What a link points to, not the link: the folder may be taken elsewhere.
    shutil.copytree(files[0], output, dirs_exist_ok=True)
    return sorted(path for path in output.rglob("*") if path.is_file())


def restore_online(run: str, output: Path, api: "Api | None" = None) -> list[Path]:
    """The files and the model artifacts of a run on a W&B server, downloaded into a folder.

    Args:
        run: `entity/project/id`.
        output: Where they go, models into its folder `model`.
        api: A `wandb.Api`; by default that of the account of this machine.

    Raises:
        ConfigError: W&B is not installed, or does not give the run.
    """
    if api is None:
        if run.count("/") != 2 or importlib.util.find_spec("wandb") is None:
            raise ConfigError(
                f"run is {run}, which is no folder; wanted one, or entity/project/id of a run on a W&B server, for "
                "which wandb must be installed (pip install wandb)"
            )
        import wandb

        api = wandb.Api()
    try:
        found = api.run(run)  # type: ignore[no-untyped-call, unused-ignore]  # typed in some versions
        for file in found.files():
            file.download(root=str(output), replace=True)
        for artifact in found.logged_artifacts():
            if artifact.type == "model":
                artifact.download(root=str(output / MODEL_FOLDER))
    except Exception as error:  # of W&B, its network library or the server
        reason = " ".join(str(error).split())
        raise ConfigError(f"run is {run}, which W&B does not give ({type(error).__name__}: {reason})") from error
    return sorted(path for path in output.rglob("*") if path.is_file())
