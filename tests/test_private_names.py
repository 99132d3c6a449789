"""Private names of lightning, jsonargparse, rasterio and distributed that `seg` relies on.

A new version may rename them without notice, so `pyproject.toml` has upper bounds for these libraries. If a test fails
after an upgrade, fix the file that it names; if all tests pass, raise the bound.
"""

import inspect
import re
import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import jsonargparse
import lightning as L
import numpy as np
import pytest
import rasterio
import rasterio.shutil
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningCLI
from lightning.pytorch.demos.boring_classes import BoringModel
from rasterio._err import CPLE_BaseError, CPLE_OutOfMemoryError
from rasterio.errors import RasterioError

from support.architecture import project_sources
from support.project import ROOT
from support.training import quiet_trainer

USED = {
    "seg/inference/cluster/local_workers.py": {"_forkserver_preload_set"},
    "seg/training/cli.py": {"_prepare_subcommand_kwargs", "_run_subcommand"},
    "seg/training/checkpoints/saving.py": {"_save_checkpoint", "_save_last_checkpoint", "_save_topk_checkpoint"},
    "seg/terminal/command_line.py": {"_actions", "_typehint"},
    "seg/raster/chips.py": {"_err"},
    "seg/raster/gdal_options.py": {"_env"},
    "seg/raster/grid.py": {"_err"},
    "seg/raster/vectors/burning.py": {"_err"},
    "seg/raster/writing/cog.py": {"_err"},
}
"""Private names by the file that uses them. cli.py overrides `_parse_ckpt_path` but does not call it."""

OTHERS = {"_replace", "_version", "_BatchNorm"}
"""Names that are public despite their underscore, and names of PyTorch."""


def private_names(text: str) -> set[str]:
    """Private names of other modules or of their objects that code uses, also as text."""
    attributes = re.findall(r"(?<!self)(?<!cls)\.(_[a-zA-Z]\w*)", text)
    by_text = re.findall(r'getattr\(\w+, "(_\w+)"', text)
    imported = re.findall(r"^from [\w.]+ import .*\b(_[a-zA-Z]\w*)", text, re.MULTILINE)
    return {*attributes, *by_text, *imported}


def test_no_other_private_name_is_used() -> None:
    found = {source.path: private_names(source.text) - OTHERS for source in project_sources() if source.folder == "seg"}
    assert {path: names for path, names in found.items() if names} == USED


@pytest.mark.parametrize("library", ["lightning", "jsonargparse", "rasterio", "distributed"])
def test_an_upper_bound_admits_only_tested_versions(library: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    dependencies = [*project["dependencies"], *project["optional-dependencies"]["cluster"]]
    [wanted] = [word for word in dependencies if re.match(rf"{library}\b", word)]
    bound = re.search(r"<([\d.]+)", wanted)
    assert bound is not None
    installed, below = (tuple(map(int, text.split("."))) for text in (version(library), bound[1]))
    assert installed < below


class Called(LightningCLI):
    """A command line that records which of its private methods Lightning calls, and does not train."""

    def _parse_ckpt_path(self) -> None:
        self.called = [f"parsed {self.config.subcommand}"]

    def _run_subcommand(self, subcommand: str) -> None:
        self.called.append("run")
        super()._run_subcommand(subcommand)

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, object]:
        self.called.append("prepared")
        return {**super()._prepare_subcommand_kwargs(subcommand), "weights_only": True}

    def validate(self, **arguments: object) -> None:
        """Replacement of the trainer's method."""
        self.given = arguments


def test_lightning_command_line_calls_the_methods_that_training_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning 2.5.5 added `_parse_ckpt_path`; older versions do not use the arguments of a checkpoint."""
    quiet = ["--trainer.logger=false", "--trainer.accelerator=cpu", "--trainer.enable_checkpointing=false"]
    monkeypatch.setattr(sys, "argv", ["train.py", "validate", *quiet])
    cli = Called(BoringModel, save_config_callback=None, seed_everything_default=False)
    assert cli.called == ["parsed validate", "run", "prepared"]
    assert cli.given["weights_only"] is True


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("_save_topk_checkpoint", ["self", "trainer", "monitor_candidates"]),
        ("_save_last_checkpoint", ["self", "trainer", "monitor_candidates"]),
        ("_save_checkpoint", ["self", "trainer", "filepath"]),
    ],
)
def test_model_checkpoint_has_the_methods_that_best_checkpoint_overrides(name: str, parameters: list[str]) -> None:
    """Lightning 2.6.6 has these methods; tests/training/checkpoints/test_saving.py tests the overriding methods."""
    assert list(inspect.signature(getattr(ModelCheckpoint, name)).parameters) == parameters


def test_the_trainer_has_the_undocumented_attributes_that_warm_ups_and_resuming_set() -> None:
    """Lightning 2.6.6 has these attributes: the length of an epoch, and the counters of epochs."""
    trainer = quiet_trainer([])
    assert hasattr(trainer.fit_loop, "max_batches")
    assert callable(trainer.fit_loop.on_iteration_done)
    assert trainer.fit_loop.restarting is False
    assert trainer.fit_loop.epoch_loop.restarting is False
    for counter in (trainer.fit_loop.epoch_progress.current, trainer.fit_loop.epoch_progress.total):
        assert (counter.ready, counter.processed, counter.completed) == (0, 0, 0)


def test_the_length_of_an_epoch_can_be_changed_when_it_begins() -> None:
    """Lightning 2.6.6 reads `max_batches` and `val_check_batch` after each batch."""

    class Shorten(L.Callback):
        def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
            trainer.fit_loop.max_batches = trainer.val_check_batch = 2

    trainer = quiet_trainer([Shorten()], max_epochs=1)
    trainer.fit(BoringModel())
    assert trainer.global_step == 2


def test_a_parser_lists_its_actions_with_their_types() -> None:
    """jsonargparse 4.53 has `_typehint`; argparse has had `_actions` since Python 2.7."""
    parser, inner = jsonargparse.ArgumentParser(), jsonargparse.ArgumentParser()
    inner.add_argument("--restart", type=bool | None)
    parser.add_subcommands().add_subcommand("predict", inner)
    [choices] = [action.choices for action in parser._actions if isinstance(action.choices, dict)]
    [action] = [action for action in choices["predict"]._actions if "--restart" in action.option_strings]
    assert action._typehint == bool | None


def test_rasterio_passes_gdal_errors_through(tmp_path: Path, write_raster: Callable[..., Path]) -> None:
    """These errors of `rasterio.shutil.copy` (rasterio 1.4) do not derive from its documented base class."""
    assert issubclass(CPLE_OutOfMemoryError, CPLE_BaseError)
    source = write_raster(tmp_path / "source.tif", np.zeros((4, 4), np.uint8))
    with pytest.raises(CPLE_BaseError) as raised:
        rasterio.shutil.copy(source, tmp_path / "missing" / "copy.tif", driver="COG")
    assert not isinstance(raised.value, RasterioError)


def test_dask_imports_nothing_for_a_server_of_workers_that_runs_already(monkeypatch: pytest.MonkeyPatch) -> None:
    """distributed 2026.8 imports pandas and other packages to list them for the server, unless this name is True."""
    utils, config = pytest.importorskip("distributed.utils"), pytest.importorskip("dask.config")
    imported: list[str] = []
    monkeypatch.setattr(utils.importlib, "import_module", imported.append)
    monkeypatch.setattr(utils, "_forkserver_preload_set", True)
    with config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        utils.get_mp_context()
    assert imported == []
