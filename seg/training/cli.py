"""The command line of training: fit, validate and test, every argument overridable."""

import logging
import sys
import warnings
from argparse import ArgumentError
from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.trainer import Trainer

from seg.data.datamodule import CroplandDataModule
from seg.errors import ConfigError
from seg.models.receptive_field import receptive_field_radius, unseen_context
from seg.package.checkpoint import read_checkpoint
from seg.terminal.command_line import (
    guarded,
    known_keys,
    plain_message,
    with_nearest_key,
)
from seg.training.callbacks import (
    CALLBACK_KEYS,
    TrackingConfig,
    add_wandb,
    run_loggers,
    safeguards,
    tracking_callbacks,
)
from seg.training.checkpoints.atomic_io import with_atomic_io
from seg.training.checkpoints.best import BestCheckpoint
from seg.training.checkpoints.exact_resume import ExactResume
from seg.training.checkpoints.find_last import read_last
from seg.training.checkpoints.last import LastCheckpoint
from seg.training.pictures.panels import PanelConfig
from seg.training.run.folder import (
    check_run_folder,
    keep_earlier,
    keep_earlier_of_resumed,
    last_checkpoint,
)
from seg.training.run.log_learning_rate import EpochLine
from seg.training.run.record import RunConfig
from seg.training.safeguards.stop_at_signal import interrupted_message
from seg.training.safeguards.trainer_arguments import check_length, check_precision
from seg.training.tasks.cropland import CroplandTask

LARGEST_SEED = 2**32 - 1
SUBCOMMANDS = {
    "fit": "Train a network; --ckpt_path goes on with an unfinished run, the word last with its last checkpoint.",
    "validate": "Score a checkpoint on the validation split.",
    "test": "Score a checkpoint on the test split.",
}
DESCRIPTION = "Train, validate or test a cropland network. Add --debug to see the traceback of an error."

NOISE = (
    ".*does not have many workers.*",  # whole scenes load faster than a CPU trains on them
    ".*The number of training batches.*is smaller than the logging interval.*",
    ".*Experiment logs directory .* exists and is not empty.*",  # its metrics were moved aside before
    ".*Checkpoint directory .* exists and is not empty.*",  # as it must be when a run is resumed
    ".*The dirpath has changed from .*",  # validate and test have a folder of their own
    ".*callbacks used to create the checkpoint need to be provided.*",  # scoring needs none of those of training
    ".*isinstance\\(treespec, LeafSpec\\).*",  # Lightning's own use of PyTorch
    ".*AMP with fp16 is not supported on CPU.*",  # said as an error below
)
"""Warnings of Lightning that tell a user of this project nothing."""


class CroplandCLI(LightningCLI):
    """Lightning's command line with this project's task, data, warm-up, norms, checkpoint and loggers.

    The run's folder is `trainer.default_root_dir`: checkpoints, `metrics.csv`, TensorBoard events, `config.yaml`.
    """

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add warm-up, norms and checkpoint, and what follows from the data and the seed."""
        for key, callback in CALLBACK_KEYS.items():
            parser.add_lightning_class_args(callback, key)
        parser.add_lightning_class_args(BestCheckpoint, "checkpoint")
        parser.add_lightning_class_args(LastCheckpoint, "last_checkpoint")
        parser.add_class_arguments(PanelConfig, "panels")
        parser.add_class_arguments(TrackingConfig, "tracking")
        parser.set_defaults(
            {
                "trainer.default_root_dir": "runs/default",
                "trainer.log_every_n_steps": 10,
                "trainer.max_epochs": 30,
                "trainer.enable_progress_bar": None,  # a bar where there is a terminal
                "trainer.enable_model_summary": False,
                "trainer.num_sanity_val_steps": 0,
                "trainer.use_distributed_sampler": False,  # the datamodule deals its samples to processes itself
                "checkpoint.monitor": "val/iou",
                "checkpoint.mode": "max",
                "checkpoint.filename": "best",
                "checkpoint.enable_version_counter": False,
            }
        )
        parser.link_arguments("data.band_count", "model.bands", apply_on="instantiate")
        parser.link_arguments("seed_everything", "data.seed", compute_fn=int)
        parser.link_arguments("checkpoint.dirpath", "last_checkpoint.dirpath", apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse the command line; an unknown key is an error that names the nearest one."""
        try:
            super().parse_arguments(parser, args)
        except ArgumentError as error:
            message = plain_message(with_nearest_key(str(error), known_keys(parser, sys.argv)))
            raise ArgumentError(None, message) from error

    def instantiate_trainer(self, **kwargs: object) -> Trainer:
        """The trainer, with loggers, progress and folders that follow from the run's folder and the terminal.

        Raises:
            ConfigError: An argument of the trainer cannot work, or the folder holds something else.
        """
        config = self._get(self.config_init, "trainer")
        if self.subcommand == "fit":
            check_length(config.max_epochs, config.max_steps)
        if config.logger in (None, True):
            tensorboard = self._get(self.config_init, "tracking").tensorboard
            kwargs["logger"] = run_loggers(self._root(), tensorboard) if self.subcommand == "fit" else False
        if config.enable_progress_bar is None:
            kwargs["enable_progress_bar"] = sys.stdout.isatty() and sys.stderr.isatty()
        kwargs["plugins"] = with_atomic_io(config.plugins)
        shows_bar = kwargs.get("enable_progress_bar", config.enable_progress_bar)
        self.trainer_defaults["callbacks"] = [ExactResume()] if shows_bar else [ExactResume(), EpochLine()]
        if self.subcommand == "fit":
            panels, has_logger = self._get(self.config_init, "panels"), config.logger is not False
            resumed = self._get(self.config_init, "ckpt_path")
            self.trainer_defaults["callbacks"] += safeguards(self.datamodule.seed)
            self.trainer_defaults["callbacks"] += tracking_callbacks(panels, self.datamodule, has_logger, resumed)
        try:
            trainer: Trainer = super().instantiate_trainer(**kwargs)
        except (ValueError, TypeError, ImportError) as error:
            raise ConfigError(f"trainer: {error}") from error
        check_precision(config.precision, trainer.strategy.root_device.type)
        if self.subcommand == "fit" and trainer.is_global_zero:
            check_run_folder(self._root())
        return trainer

    def before_fit(self) -> None:
        """Check the data and give the network its band statistics; a checkpoint that is resumed brings its own.

        An earlier run is moved away last, when nothing of the user's can stop the new one any more.
        """
        self.datamodule.setup("fit")
        statistics = self.datamodule.statistics
        self.model.fill_normalization(statistics.mean, statistics.std)
        if self.trainer.is_global_zero:
            network = self.model.model
            reach = receptive_field_radius(network, self.datamodule.band_count)
            print(self.datamodule.note + unseen_context(reach, self.datamodule.median_side), end="", file=sys.stderr)
            (keep_earlier_of_resumed if self._get(self.config_init, "ckpt_path") else keep_earlier)(self._root())
            config = self._parser("fit").dump(self.config.fit, skip_none=False)
            add_wandb(self.trainer, self._get(self.config_init, "tracking"), config)

    def _parse_ckpt_path(self) -> None:
        """Take the network from the checkpoint, and bands, nodata and labels where the command line names none.

        The file is read without executing anything that hides in it. Lightning would start from scratch where the word
        "last" finds none; here that is an error.
        """
        config = self.config[self.config.subcommand]
        if not config.get("ckpt_path"):
            if self.config.subcommand == "fit":
                return
            raise ConfigError(
                f"{self.config.subcommand} has no --ckpt_path; wanted the checkpoint to score, "
                "for example --ckpt_path=runs/x/checkpoints/best.ckpt"
            )
        path = Path(config["ckpt_path"])
        if path == Path("last"):
            checkpoint = read_last(last_checkpoint(config.checkpoint.dirpath, config.trainer.default_root_dir))
        else:
            checkpoint = read_checkpoint(path)
        task = dict(checkpoint.task)
        task.pop("bands", None)  # follows from the data, and is compared when the weights are loaded
        data = {key: checkpoint.data.get(key) for key in ("bands", "nodata") if config.data[key] is None}
        if "labels" in checkpoint.data and not self._given("data.labels"):  # older checkpoints have none
            data["labels"] = checkpoint.data["labels"]
        self.config = self.parser.parse_object({self.config.subcommand: {"model": task, "data": data}}, self.config)
        self.config[self.config.subcommand].ckpt_path = str(checkpoint.path)

    def _given(self, key: str) -> bool:
        """Whether the command line or a configuration names a key, be it with the default; for those never null."""
        words = [*sys.argv[1:], "--seed_everything=0"]  # which another is linked to
        return key in self.parser.parse_args(words, defaults=False)[self.config.subcommand]

    def _set_seed(self) -> None:
        seed = self._get(self.config, "seed_everything")
        if not 0 <= seed <= LARGEST_SEED:
            raise ConfigError(f"seed_everything is {seed}; wanted 0 to {LARGEST_SEED}")
        super()._set_seed()

    def _run_subcommand(self, subcommand: str) -> None:
        """Run it; Lightning would end an interrupted one without a word and with status 1."""
        try:
            super()._run_subcommand(subcommand)
        except SystemExit as stopped:
            if not self.trainer.interrupted:
                raise
            raise KeyboardInterrupt(interrupted_message(self.trainer)) from stopped

    def _root(self) -> Path:
        """The run's folder, spelled out: the name of `.` is not empty."""
        return Path(self._get(self.config_init, "trainer.default_root_dir")).resolve()

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, object]:
        return {**super()._prepare_subcommand_kwargs(subcommand), "weights_only": True}

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Methods of the trainer on the command line, with the arguments that do not belong there.

        Only those that the command line names, where it names any: a parser takes a third of a second to build.
        """
        loaders = {"model", "dataloaders", "train_dataloaders", "val_dataloaders", "datamodule", "weights_only"}
        return dict.fromkeys([name for name in SUBCOMMANDS if name in sys.argv[1:]] or SUBCOMMANDS, loaders)


def main(arguments: list[str] | None = None) -> int:
    """The exit status of a training command line."""
    words = sys.argv[1:] if arguments is None else arguments
    return guarded(lambda: run(words), debug="--debug" in words)


def run(words: list[str]) -> None:
    """Do what the words of a training command line say.

    Raises:
        SegError: An argument or an input is bad.
        ArgumentError: So is a word.
        KeyboardInterrupt: The training was interrupted; says how to go on.
    """
    for library in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(library).setLevel(logging.WARNING)
    for message in NOISE:
        warnings.filterwarnings("ignore", message=message)
    # Lightning warns where it is given words that differ from these.
    sys.argv = [sys.argv[0], *[word for word in words if word != "--debug"]]
    strict = {"exit_on_error": False, "allow_abbrev": False}
    subcommands = {name: strict | {"description": SUBCOMMANDS[name]} for name in CroplandCLI.subcommands()}
    try:
        CroplandCLI(
            CroplandTask,
            CroplandDataModule,
            save_config_callback=RunConfig,
            save_config_kwargs={"overwrite": True},
            seed_everything_default=0,
            parser_kwargs=strict | {"description": DESCRIPTION} | subcommands,
            load_from_checkpoint_support=False,
        )
    except MisconfigurationException as error:
        raise ConfigError(str(error)) from error
