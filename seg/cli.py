"""The command line of training: fit, validate and test, every argument overridable."""

import logging
import sys
import warnings
from argparse import ArgumentError
from pathlib import Path

from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.trainer import Trainer

from seg.callbacks.epoch_line import EpochLine
from seg.callbacks.warmup_learning_rate import WarmupLearningRate
from seg.checkpoint import read_checkpoint
from seg.console import guarded, known_keys, with_nearest_key
from seg.data.datamodule import CroplandDataModule
from seg.tasks.cropland import CroplandTask

CHECKPOINTS = "checkpoints"


class CroplandCLI(LightningCLI):
    """Lightning's command line with this project's task, data, warm-up, checkpoint and loggers.

    The run's folder is `trainer.default_root_dir`: checkpoints, `metrics.csv`, TensorBoard events, `config.yaml`.
    """

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add warm-up and checkpoint, and what follows from the data and the seed."""
        parser.add_lightning_class_args(WarmupLearningRate, "warmup")
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

    def instantiate_trainer(self, **kwargs: object) -> Trainer:
        """The trainer, with loggers and folders that follow from the run's folder."""
        root = Path(self._get(self.config_init, "trainer.default_root_dir"))
        if self.subcommand == "fit" and not self._get(self.config_init, "ckpt_path"):
            keep_earlier_run(root)
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
        """Take the network from the checkpoint, read without executing anything that hides in it."""
        path = self.config[self.config.subcommand].get("ckpt_path")
        if path and Path(path).suffix == ".ckpt":
            hparams = dict(read_checkpoint(Path(path)).task)
            hparams.pop("bands", None)  # follows from the data, and is compared when the weights are loaded
            self.config = self.parser.parse_object({self.config.subcommand: {"model": hparams}}, self.config)

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


def keep_earlier_run(root: Path) -> None:
    """Move a run that lies where a new one will be written out of its way, so that nothing is lost."""
    if not (root / CHECKPOINTS).exists():
        return
    number = 1
    while (kept := root.with_name(f"{root.name}.{number}")).exists():
        number += 1
    root.rename(kept)
    print(f"{root}: held an earlier run, which is now {kept}")


def main(arguments: list[str] | None = None) -> int:
    """The exit status of a training command line."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*The number of training batches.*smaller than the logging interval.*")
    words = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in words
    return guarded(lambda: _run([word for word in words if word != "--debug"]), debug)


def _run(words: list[str]) -> None:
    parsers: list[LightningArgumentParser] = []

    class Cli(CroplandCLI):
        def init_parser(self, **kwargs: object) -> LightningArgumentParser:
            parser: LightningArgumentParser = super().init_parser(**kwargs)
            parsers.append(parser)
            return parser

    try:
        Cli(
            CroplandTask,
            CroplandDataModule,
            args=words,
            seed_everything_default=0,
            save_config_kwargs={"overwrite": True},
            trainer_defaults={"callbacks": [] if sys.stderr.isatty() else [EpochLine()]},
            parser_kwargs={name: {"exit_on_error": False} for name in Cli.subcommands()} | {"exit_on_error": False},
            load_from_checkpoint_support=False,
        )
    except ArgumentError as error:
        keys = [key for parser in parsers for key in known_keys(parser, words)]
        raise ArgumentError(None, with_nearest_key(str(error), keys)) from error
