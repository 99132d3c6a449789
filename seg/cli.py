"""The command line of training: fit, validate and test, every argument overridable."""

import logging
import sys
import warnings
from argparse import ArgumentError
from pathlib import Path

from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.trainer import Trainer

from seg.callbacks.epoch_line import EpochLine
from seg.callbacks.freeze_batch_norm import FreezeBatchNorm
from seg.callbacks.warmup_learning_rate import WarmupLearningRate
from seg.checkpoint import read_checkpoint
from seg.console import guarded, known_keys, with_nearest_key
from seg.data.datamodule import CroplandDataModule
from seg.tasks.cropland import CroplandTask

METRICS = "metrics.csv"
SUBCOMMANDS = ("fit", "validate", "test")

NOISE = (
    ".*does not have many workers.*",  # whole scenes load faster than a CPU trains on them
    ".*The number of training batches.*is smaller than the logging interval.*",
    ".*Experiment logs directory .* exists and is not empty.*",  # its metrics were moved aside before
    ".*Checkpoint directory .* exists and is not empty.*",  # as it must be when a run is resumed
    ".*The dirpath has changed from .*",  # validate and test have a folder of their own
    ".*isinstance\\(treespec, LeafSpec\\).*",  # Lightning's own use of PyTorch
)
"""Warnings of Lightning that tell a user of this project nothing."""


class CroplandCLI(LightningCLI):
    """Lightning's command line with this project's task, data, warm-up, norms, checkpoint and loggers.

    The run's folder is `trainer.default_root_dir`: checkpoints, `metrics.csv`, TensorBoard events, `config.yaml`.
    """

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add warm-up, norms and checkpoint, and what follows from the data and the seed."""
        parser.add_lightning_class_args(WarmupLearningRate, "warmup")
        parser.add_lightning_class_args(FreezeBatchNorm, "batch_norm")
        parser.add_lightning_class_args(ModelCheckpoint, "checkpoint")
        parser.set_defaults(
            {
                "trainer.default_root_dir": "runs/default",
                "trainer.log_every_n_steps": 10,
                "trainer.enable_progress_bar": sys.stderr.isatty(),
                "trainer.enable_model_summary": False,
                "trainer.num_sanity_val_steps": 0,
                "checkpoint.monitor": "val/iou",
                "checkpoint.mode": "max",
                "checkpoint.filename": "best",
                "checkpoint.save_last": True,
                "checkpoint.enable_version_counter": False,
            }
        )
        parser.link_arguments("data.band_count", "model.bands", apply_on="instantiate")
        parser.link_arguments("seed_everything", "data.seed", compute_fn=int)

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse the command line; an unknown key is an error that names the nearest one."""
        try:
            super().parse_arguments(parser, args)
        except ArgumentError as error:
            raise ArgumentError(None, with_nearest_key(str(error), known_keys(parser, sys.argv))) from error

    def instantiate_trainer(self, **kwargs: object) -> Trainer:
        """The trainer, with loggers and folders that follow from the run's folder."""
        root = Path(self._get(self.config_init, "trainer.default_root_dir"))
        if self.subcommand == "fit":
            keep_earlier(root / METRICS if self._get(self.config_init, "ckpt_path") else root)
        if self._get(self.config_init, "trainer.logger") in (None, True):
            kwargs["logger"] = run_loggers(root) if self.subcommand == "fit" else False
        trainer: Trainer = super().instantiate_trainer(**kwargs)
        return trainer

    def before_fit(self) -> None:
        """Check the data and give the network its band statistics; a checkpoint that is resumed brings its own."""
        self.datamodule.setup("fit")
        statistics = self.datamodule.statistics
        self.model.fill_normalization(statistics.mean, statistics.std)

    def _parse_ckpt_path(self) -> None:
        """Take the network from the checkpoint, read without executing anything that hides in it.

        Lightning would start from scratch where the word "last" finds none; here that is an error.
        """
        config = self.config[self.config.subcommand]
        if not config.get("ckpt_path"):
            return
        path = Path(config["ckpt_path"])
        if path == Path("last"):
            folder = config.checkpoint.dirpath or Path(config.trainer.default_root_dir) / "checkpoints"
            path = Path(folder) / "last.ckpt"
        task = dict(read_checkpoint(path).task)
        task.pop("bands", None)  # follows from the data, and is compared when the weights are loaded
        self.config = self.parser.parse_object({self.config.subcommand: {"model": task}}, self.config)
        self.config[self.config.subcommand].ckpt_path = str(path)

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, object]:
        return {**super()._prepare_subcommand_kwargs(subcommand), "weights_only": True}

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """The trainer's methods on the command line, with their arguments that do not belong there."""
        loaders = {"model", "dataloaders", "train_dataloaders", "val_dataloaders", "datamodule", "weights_only"}
        return dict.fromkeys(("fit", "validate", "test"), loaders)


def run_loggers(root: Path) -> list[Logger]:
    """CSV and TensorBoard logs that lie directly in the run's folder."""
    return [CSVLogger(str(root), name="", version=""), TensorBoardLogger(str(root), name="", version="")]


def keep_earlier(path: Path) -> None:
    """Move what an earlier run wrote out of the way of a new one, so that nothing is lost.

    Args:
        path: The folder of a run, or the metrics file of one that is resumed; Lightning would delete its lines.
    """
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    number = 1
    while (kept := path.with_name(f"{path.stem}.{number}{path.suffix}")).exists():
        number += 1
    path.rename(kept)
    print(f"{path}: was there already; what an earlier run wrote is now {kept}")


def main(arguments: list[str] | None = None) -> int:
    """The exit status of a training command line."""
    for library in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(library).setLevel(logging.WARNING)
    for message in NOISE:
        warnings.filterwarnings("ignore", message=message)
    words = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in words
    return guarded(lambda: _run([word for word in words if word != "--debug"]), debug)


def _run(words: list[str]) -> None:
    sys.argv = [sys.argv[0], *words]  # Lightning warns where it is given words that differ from these
    CroplandCLI(
        CroplandTask,
        CroplandDataModule,
        seed_everything_default=0,
        save_config_kwargs={"overwrite": True},
        trainer_defaults={"callbacks": [] if sys.stderr.isatty() else [EpochLine()]},
        parser_kwargs={name: {"exit_on_error": False} for name in SUBCOMMANDS} | {"exit_on_error": False},
        load_from_checkpoint_support=False,
    )
