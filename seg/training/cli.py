"""Command line of training, with the subcommands fit, validate and test."""

import logging
import sys
import warnings
from argparse import ArgumentError
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import yaml
from jsonargparse import Namespace
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.trainer import Trainer

from seg.errors import ConfigError
from seg.models.receptive_field import receptive_field_radius, unseen_context
from seg.package.checkpoint import Checkpoint, read_checkpoint
from seg.raster.statistics import BandStatistics
from seg.terminal.command_line import (
    guarded,
    known_keys,
    plain_message,
    require_values,
    with_nearest_key,
)
from seg.terminal.plain_yaml import check_configurations, require_plain_values
from seg.training.callbacks import (
    CALLBACK_KEYS,
    EpochLine,
    TrackingConfig,
    add_wandb,
    run_loggers,
    safeguards,
    task_callbacks,
    tracking_callbacks,
)
from seg.training.checkpoint_options import band_statistics_of, data_options, match_scenes, with_overrides
from seg.training.checkpoints.atomic_io import with_atomic_io
from seg.training.checkpoints.exact_resume import ExactResume
from seg.training.checkpoints.saving import BestCheckpoint, LastCheckpoint, last_checkpoint, read_last
from seg.training.pictures.panels import PanelConfig
from seg.training.run.folder import (
    FirstStep,
    check_run_folder,
    remove_unfinished,
    taken_checkpoints,
    taken_folder,
)
from seg.training.run.record import RunConfig
from seg.training.stop_at_signal import interrupted_message
from seg.training.task_choice import DEFAULTS, TASKS, data_module, wanted_task
from seg.training.tasks.student import StudentTask
from seg.training.trainer_options import (
    check_intervals,
    check_length,
    check_precision,
    finished_message,
)

LARGEST_SEED = 2**32 - 1
SUBCOMMANDS = {
    "fit": "Train a network; --ckpt_path=FILE resumes from a checkpoint, --ckpt_path=last from the last checkpoint.",
    "validate": "Score a checkpoint on the validation split.",
    "test": "Score a checkpoint on the test split.",
}
DESCRIPTION = "Train, validate or test a cropland network. Add --debug to see the traceback of an error."

NOISE = (
    ".*does not have many workers.*",  # whole scenes load faster than a CPU trains on them
    ".*The number of training batches.*is smaller than the logging interval.*",
    ".*Experiment logs directory .* exists and is not empty.*",  # the earlier run's metrics have already been moved
    ".*Checkpoint directory .* exists and is not empty.*",  # expected when a run resumes
    ".*The dirpath has changed from .*",  # validate and test use other folders
    ".*callbacks used to create the checkpoint need to be provided.*",  # scoring needs no training callbacks
    ".*isinstance\\(treespec, LeafSpec\\).*",  # caused by Lightning's own code
    ".*AMP with fp16 is not supported on CPU.*",  # check_precision raises an error instead
)
"""Warnings of Lightning that do not concern users of this project."""

_PARSERS: dict[tuple[str, ...], dict[str, object]] = {}
"""Parsers of this process, by the task and the names of the subcommands."""


class CroplandCLI(LightningCLI):
    """Lightning's command line with this project's task, data, callbacks and loggers.

    The run's folder is `trainer.default_root_dir`. It gets checkpoints, `metrics.csv`, TensorBoard events and
    `config.yaml`.
    """

    @property
    def task(self) -> str:
        """Name of the task."""
        return next(name for name, kind in TASKS.items() if kind is self.model_class)

    def setup_parser(self, *arguments: Any) -> None:  # noqa: ANN401  # passed on
        """Build the parser, or take it from an earlier training of this process; building takes a third of a second."""
        key = self.task, *self.subcommands()
        if key not in _PARSERS:
            super().setup_parser(*arguments)
            names = ("parser", "_subcommand_parsers", "_subcommand_method_arguments")
            _PARSERS[key] = {name: getattr(self, name) for name in names}
        vars(self).update(_PARSERS[key])

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the callbacks' options and the project's defaults, and link options that share a value."""
        for key, callback in CALLBACK_KEYS.items():
            parser.add_lightning_class_args(callback, key)
        parser.add_lightning_class_args(BestCheckpoint, "checkpoint")
        parser.add_lightning_class_args(LastCheckpoint, "last_checkpoint")
        parser.add_class_arguments(PanelConfig, "panels")
        parser.add_class_arguments(TrackingConfig, "tracking")
        parser.add_argument(
            "--task",
            type=Literal[tuple(TASKS)],
            default=self.task,
            help="Learn from labels only (cropland), or also from a teacher and unlabelled scenes (student); or fill "
            "in hidden parts of unlabelled scenes (pretext); or find cells without cropland (screen).",
        )
        parser.set_defaults(
            {
                "trainer.default_root_dir": "runs/default",
                "trainer.log_every_n_steps": 10,
                "trainer.max_epochs": 30,
                "trainer.enable_progress_bar": None,  # set below: a bar is shown only in a terminal
                "trainer.enable_model_summary": False,
                "trainer.num_sanity_val_steps": 0,
                "trainer.use_distributed_sampler": False,  # the datamodule distributes samples to processes
                "checkpoint.monitor": "val/iou",
                "checkpoint.mode": "max",
                "checkpoint.filename": "best",
                "checkpoint.enable_version_counter": False,
            }
            | DEFAULTS.get(self.task, {})
        )
        parser.link_arguments("data.band_count", "model.bands", apply_on="instantiate")
        parser.link_arguments("seed_everything", "data.seed", compute_fn=int)
        parser.link_arguments("checkpoint.dirpath", "last_checkpoint.dirpath", apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse the command line; with --ckpt_path, take the network and default data settings from the checkpoint.

        Reading a checkpoint never executes code.

        Raises:
            ArgumentError: A key or a value is wrong; the message names the nearest known key.
            ConfigError: The seed is out of range, or no checkpoint is given for scoring.
            PackageError: The checkpoint cannot be read.
        """
        try:
            super().parse_arguments(parser, args)
        except ArgumentError as error:
            message = plain_message(with_nearest_key(str(error), known_keys(parser, sys.argv)))
            raise ArgumentError(None, message) from error
        except UnicodeDecodeError as error:
            raise ConfigError(
                f"a file that an option names is not UTF-8 text (at byte {error.start}); wanted YAML"
            ) from error
        subcommand = self.config.subcommand
        options = self.config[subcommand]
        self.trained: tuple[int, int] | None = None  # epochs and steps of the checkpoint
        self.matched_to: BandStatistics | None = None
        require_plain_values(options.as_dict())
        if not 0 <= options.seed_everything <= LARGEST_SEED:
            raise ConfigError(f"seed_everything is {options.seed_everything}; wanted 0 to {LARGEST_SEED}")
        if options.get("ckpt_path"):
            checkpoint = _selected_checkpoint(options)
            self.trained = checkpoint.epochs, checkpoint.steps
            self.matched_to = band_statistics_of(checkpoint)
            self.config = parser.parse_object(
                {subcommand: self._options_from_checkpoint(checkpoint, options)}, self.config
            )
            self.config[subcommand].ckpt_path = str(checkpoint.path)
        elif subcommand != "fit":
            raise ConfigError(
                f"{subcommand} has no --ckpt_path; wanted the checkpoint to score, "
                "for example --ckpt_path=runs/x/checkpoints/best.ckpt"
            )

    def _options_from_checkpoint(self, checkpoint: Checkpoint, options: Namespace) -> dict[str, dict[str, object]]:
        """The checkpoint's network with the user's overrides, and its data settings unless the user has set them."""
        given = self._explicit_options()
        trains = self.config.subcommand == "fit"
        task = with_overrides(checkpoint, given.get("model", {}), self.task, trains)
        data = data_options(checkpoint)
        if "labels" in given.get("data", {}):
            data.pop("labels", None)
        return {"model": task, "data": {key: data[key] for key in data if key == "labels" or options.data[key] is None}}

    def _explicit_options(self) -> dict[str, Any]:
        """Options that the command line or a configuration sets, even if they are set to their default values."""
        words = [*sys.argv[1:], "--seed_everything=0"]  # data.seed is linked to the seed, so parsing needs one
        given: Namespace = self.parser.parse_args(words, defaults=False)[self.config.subcommand]
        return dict(given.as_dict())

    def _parse_ckpt_path(self) -> None:
        """Skip Lightning's checkpoint handling, which silently starts from scratch if "last" finds no checkpoint."""

    def instantiate_trainer(self, **kwargs: object) -> Trainer:
        """Build the trainer with loggers, progress bar and callbacks for the run's folder and the terminal.

        Raises:
            ConfigError: An argument of the trainer is wrong, or the run's folder holds files that no run wrote.
        """
        options = self.config_init[self.subcommand]
        config, fits = options.trainer, self.subcommand == "fit"
        if fits:
            check_length(config.max_epochs, config.max_steps)
            check_intervals(config)
        if config.logger in (None, True):
            kwargs["logger"] = run_loggers(self._root(), options.tracking.tensorboard) if fits else False
        if config.enable_progress_bar is None:
            kwargs["enable_progress_bar"] = sys.stdout.isatty() and sys.stderr.isatty()
        kwargs["plugins"] = with_atomic_io(config.plugins)
        shows_bar = kwargs.get("enable_progress_bar", config.enable_progress_bar)
        self.first_step, self.claim = FirstStep(), ExitStack()
        callbacks: list[Callback] = [ExactResume(), self.first_step] + ([] if shows_bar else [EpochLine()])
        if fits:
            has_logger = config.logger not in (False, [])
            callbacks += safeguards(self.datamodule.seed)
            callbacks += task_callbacks(self.task, options.panels)
            # A pretext trains no head, so maps of its network would show nothing; a screener maps no pixels.
            panels = replace(options.panels, scenes=0) if self.task in ("pretext", "screen") else options.panels
            callbacks += tracking_callbacks(panels, self.datamodule, has_logger, options.ckpt_path)
        self.trainer_defaults["callbacks"] = callbacks
        try:
            trainer: Trainer = super().instantiate_trainer(**kwargs)
        except (ValueError, TypeError, ImportError) as error:
            raise ConfigError(f"trainer: {error}") from error
        check_precision(config.precision, trainer.strategy.root_device.type)
        if fits and trainer.is_global_zero:
            check_run_folder(self._root())
        return trainer

    def before_fit(self) -> None:
        """Check the data, set the network's band statistics, and move an earlier run out of the folder.

        If a run resumes, the statistics in its checkpoint replace these statistics later. If a check fails, the earlier
        run stays in its folder.
        """
        if isinstance(self.model, StudentTask):
            self.datamodule.maps = self.model.teacher_config.maps
        self.match_scenes()
        self.datamodule.setup("fit")
        self.model.check_data(self.datamodule)
        statistics = self.datamodule.statistics
        self.model.fill_normalization(statistics.mean, statistics.std)
        if not self.trainer.is_global_zero:
            return
        if self.model.initial is not None:
            print(self.model.initial, file=sys.stderr)
        reach = receptive_field_radius(self.model.model, self.datamodule.band_count)
        print(self.datamodule.note + unseen_context(reach, self.datamodule.median_side), end="", file=sys.stderr)
        options = self.config_init.fit
        self.claim.enter_context(taken_checkpoints(self._root(), self.trainer))
        self.claim.enter_context(taken_folder(self._root(), bool(options.ckpt_path), self.first_step))
        config = yaml.safe_load(self.parser.dump(self.config, skip_none=False))
        add_wandb(self.trainer, options.tracking, config[self.subcommand])

    def match_scenes(self) -> None:
        """Tell the data how the network normalises bands, before the data are read."""
        match_scenes(self.model, self.datamodule, self.matched_to)

    before_validate = before_test = match_scenes

    def _run_subcommand(self, subcommand: str) -> None:
        """Run a subcommand; after an interruption, raise an error that says how to resume.

        Lightning would print nothing and exit with status 1.
        """
        options = self.config_init[subcommand]
        if subcommand == "fit" and (finished := finished_message(options.trainer, options.ckpt_path, self.trained)):
            print(finished)
            if self._root().is_dir():
                remove_unfinished(self._root())
            return
        try:
            with self.claim:
                super()._run_subcommand(subcommand)
        except SystemExit as stopped:
            if not self.trainer.interrupted:
                raise
            raise KeyboardInterrupt(interrupted_message(self.trainer)) from stopped

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, object]:
        return {**super()._prepare_subcommand_kwargs(subcommand), "weights_only": True}

    def _root(self) -> Path:
        """The run's folder as an absolute path, so that `.` has a name."""
        return Path(self.config_init[self.subcommand].trainer.default_root_dir).resolve()

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Subcommands by name, each with the arguments of its Trainer method that are not options.

        If the command line names a subcommand, only the parser of this subcommand is built, since building a parser
        takes a third of a second.
        """
        loaders = {"model", "dataloaders", "train_dataloaders", "val_dataloaders", "datamodule", "weights_only"}
        return dict.fromkeys([name for name in SUBCOMMANDS if name in sys.argv[1:]] or SUBCOMMANDS, loaders)


def _selected_checkpoint(options: Namespace) -> Checkpoint:
    """Read the checkpoint that --ckpt_path names."""
    path = Path(options.ckpt_path)
    if path == Path("last"):
        return read_last(last_checkpoint(options.checkpoint.dirpath, options.trainer.default_root_dir))
    return read_checkpoint(path)


def run(words: list[str]) -> None:
    """Run a training command line.

    Args:
        words: Command-line arguments, without the program name.

    Raises:
        SegError: An argument or an input is wrong.
        ArgumentError: A command-line argument is invalid.
        KeyboardInterrupt: The training was interrupted; the error's message says how to resume.
    """
    require_values(words)
    check_configurations(words)
    for library in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(library).setLevel(logging.WARNING)
    for message in NOISE:
        warnings.filterwarnings("ignore", message=message)
    # Lightning warns if the arguments differ from sys.argv.
    sys.argv = [sys.argv[0], *[word for word in words if word != "--debug"]]
    strict = {"exit_on_error": False, "allow_abbrev": False}
    subcommands = {name: strict | {"description": SUBCOMMANDS[name]} for name in CroplandCLI.subcommands()}
    task = wanted_task(words)
    try:
        CroplandCLI(
            TASKS[task],
            data_module(task),
            save_config_callback=RunConfig,
            save_config_kwargs={"save_to_log_dir": False},  # RunConfig writes the file to the run's folder
            seed_everything_default=0,
            parser_kwargs=strict | {"description": DESCRIPTION} | subcommands,
            load_from_checkpoint_support=False,
        )
    except MisconfigurationException as error:
        raise ConfigError(str(error)) from error


def main(arguments: list[str] | None = None) -> int:
    """Run a training command line, `sys.argv` by default, and return its exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    return guarded(lambda: run(words), debug="--debug" in words)
