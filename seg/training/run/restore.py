"""Restore the files, pictures and model of a run from Weights & Biases."""

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from seg.errors import ConfigError
from seg.files import remove_unfinished, work_folder, writing
from seg.training.run.wandb import FOLDER, MODEL_FOLDER

if TYPE_CHECKING:
    from wandb import Api


def restore_run(run: str, output: Path) -> list[Path]:
    """Copy the files of a W&B run into a folder.

    Args:
        run: Folder of a training run or of a W&B run (`<run>/wandb/offline-run-...`), or `entity/project/id` of a run
            on a W&B server. A folder needs no internet connection and no account. From a server, the model is
            restored too.
        output: A new or empty folder.

    Returns:
        Paths of the copies.

    Raises:
        ConfigError: The run does not exist or has no files, or the folder is not empty.
    """
    occupied = output.exists() and (not output.is_dir() or any(output.iterdir()))
    if occupied or output.resolve() == Path.cwd():
        remove_unfinished(output)
        raise ConfigError(f"output is {output}, which is not an empty folder; give a new folder")
    local = Path(run)
    with writing(output):
        output.parent.mkdir(parents=True, exist_ok=True)
    with work_folder(output) as folder:
        unfinished = folder / output.name
        restored = restore_local(local, unfinished) if local.is_dir() else restore_online(run, unfinished)
        if not restored:
            raise ConfigError(f"run is {run}, which has no files yet; nothing was restored")
        with writing(output):
            if output.exists():
                output.rmdir()  # Windows cannot rename a folder to the name of an empty folder.
            unfinished.rename(output)
    return [output / path.relative_to(unfinished) for path in restored]


def restore_local(folder: Path, output: Path) -> list[Path]:
    """Copy the files of a W&B run on this machine into a folder.

    Args:
        folder: Folder of a W&B run, or of a training run. In a training run's folder, the last W&B run is copied.
        output: Folder for the copies.

    Returns:
        Paths of the copies.

    Raises:
        ConfigError: The folder holds no W&B run.
    """
    runs = sorted((folder / FOLDER).glob("*run-*-*"), key=lambda path: path.name.removeprefix("offline-"))
    files = [path / "files" for path in (folder, *reversed(runs)) if (path / "files").is_dir()]
    if not files:
        raise ConfigError(
            f"run is {folder}, which holds no W&B run ({FOLDER}/offline-run-*/files); wanted the folder of a run "
            "that was trained with --tracking.wandb=offline or online, or entity/project/id of a run on the server"
        )
    with writing(output):
        # Links are replaced by copies of their targets, so that the folder can be moved.
        shutil.copytree(files[0], output, dirs_exist_ok=True, ignore=_unfit_links(folder.resolve()))
    return sorted(path for path in output.rglob("*") if path.is_file())


def _unfit_links(root: Path) -> Callable[[str, list[str]], list[str]]:
    """Function that makes `shutil.copytree` skip broken links, links to folders and links to files outside the run."""

    def unfit(folder: str, names: list[str]) -> list[str]:
        links = [Path(folder) / name for name in names if (Path(folder) / name).is_symlink()]
        return [path.name for path in links if not path.is_file() or not path.resolve().is_relative_to(root)]

    return unfit


def restore_online(run: str, output: Path, api: "Api | None" = None) -> list[Path]:
    """Download the files and the model artifacts of a run on a W&B server into a folder.

    Args:
        run: `entity/project/id`.
        output: Folder for the files; models are stored in its subfolder `model/`.
        api: A `wandb.Api`; None to use the account of this machine.

    Returns:
        Paths of the files.

    Raises:
        ConfigError: W&B is not installed, or the run cannot be downloaded.
    """
    if api is None:
        if run.count("/") != 2 or importlib.util.find_spec("wandb") is None:
            raise ConfigError(
                f"run is {run}, which is not a folder; wanted a folder, or entity/project/id of a run on a W&B server, "
                "which needs wandb (pip install wandb)"
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
    except Exception as error:  # from W&B, its network library or the server
        reason = " ".join(str(error).split())
        raise ConfigError(f"run is {run}, which W&B could not download ({type(error).__name__}: {reason})") from error
    return sorted(path for path in output.rglob("*") if path.is_file())
