"""A picture of how the training went, in its folder."""

import sys
from pathlib import Path

import lightning as L
from lightning.pytorch.loggers import CSVLogger

from seg.run_folder import LEARNING_CURVES
from seg.tracking.figures import rendered, write_png
from seg.tracking.history import read_history
from seg.tracking.learning_curves import draw_learning_curves
from seg.tracking.pictures import is_trial


class LearningCurves(L.Callback):
    """Draw `learning_curves.png` when a training ends, is interrupted or fails, from all metrics in the run's folder.

    Whatever goes wrong with it is a line on standard error: a training does not fail for a picture.

    Example:
        Trainer(callbacks=[LearningCurves()])
    """

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Draw them."""
        _draw(trainer)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Draw them as far as the training got."""
        _draw(trainer)


def _draw(trainer: L.Trainer) -> None:
    if trainer.state.fn != "fit" or not trainer.is_global_zero or is_trial(trainer):
        return
    root = Path(trainer.default_root_dir)
    try:
        for logger in trainer.loggers:
            if isinstance(logger, CSVLogger):
                logger.save()  # the last rows, which it keeps back for a while
        figure = draw_learning_curves(read_history(root), title=f"Learning curves of {root.resolve().name}")
        if figure is not None:
            write_png(rendered(figure), root / LEARNING_CURVES)
    except Exception as error:
        print(f"note: {root / LEARNING_CURVES} was not drawn ({type(error).__name__}: {error})", file=sys.stderr)
