"""Picture of a run's learning curves: losses, scores, learning rate."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import lightning as L
from lightning.pytorch.loggers import CSVLogger

from seg.raster.pictures.figures import new_figure
from seg.training.pictures.figures import TEXT_COLOUR, plain_axes, rendered, write_png
from seg.training.progress import is_trial
from seg.training.run.folder import LEARNING_CURVES
from seg.training.run.history import History, Point, read_history
from seg.training.schedule import LEARNING_RATE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 1000, 1120
LOSSES = {
    "train/loss": ("training", "#e66101"),
    "val/loss": ("validation", "#1b6ca8"),
    "train/unlabelled_loss": ("unlabelled", "#8c8c8c"),
}
SCORES = {
    "val/iou": ("IoU", "#1b6ca8"),
    "val/f1": ("F1", "#2e7d32"),
    "val/precision": ("precision", "#b39ddb"),
    "val/recall": ("recall", "#ffb74d"),
    "val/student/iou": ("IoU of the student", "#80b1d3"),
}
SHARES = {
    "train/kept_cropland": ("kept as cropland", "#2e7d32"),
    "train/kept_other": ("kept as other", "#a0522d"),
    "train/labelled_cropland": ("cropland among the labels", "#888888"),
}
"""Shares of pixels in a training with a teacher."""
HIGHEST_RATE = ("highest of the layers", "#5e3c99")
LOWEST_RATE = ("lowest of the layers", "#b2abd2")
FEW_POINTS = 30
"""Lines with at most this number of points are drawn with markers, since a line with one point would be invisible."""
STEEP = 30
"""The loss axis is logarithmic if the highest loss exceeds the lowest by more than this factor."""


def draw_learning_curves(history: History, title: str) -> "Figure | None":
    """Draw losses, scores and learning rate over epochs; None if the history has neither losses nor scores.

    Args:
        history: History of a run.
        title: Title of the figure.
    """
    if not history.series.keys() & (LOSSES.keys() | SCORES.keys()):
        return None
    figure = new_figure(WIDTH, HEIGHT)
    taught = any(name in history.series for name in SHARES)
    heights = (3, 3, 2, 2) if taught else (3, 3, 2)
    losses, scores, rates, *further = figure.subplots(
        len(heights), 1, sharex=True, gridspec_kw={"height_ratios": heights}
    )
    figure.subplots_adjust(left=0.1, right=0.96, top=0.93, bottom=0.06, hspace=0.12)
    _draw_lines(losses, history, LOSSES)
    values = [value for name in LOSSES for _, value in history.series.get(name, [])]
    if values and 0 < min(values) * STEEP < max(values):
        losses.set_yscale("log")
    elif values:
        losses.set_ylim(bottom=min(0.0, *values))
    _draw_lines(scores, history, SCORES)
    _mark_best(scores, history)
    scores.set_ylim(0, 1.02)
    _draw_rates(rates, history)
    for shares in further:
        _draw_lines(shares, history, SHARES)
        shares.set_ylim(0, 1.02)
        shares.set_ylabel("Share of pixels", color=TEXT_COLOUR, fontsize=11)
        shares.legend(frameon=False, fontsize=10, ncols=3, loc="best")
    for axes, label in ((losses, "Loss"), (scores, "Score of cropland, validation"), (rates, "Learning rate")):
        axes.set_ylabel(label, color=TEXT_COLOUR, fontsize=11)
        for number, epoch in enumerate(history.resumed):
            named = axes is losses and number == 0
            axes.axvline(epoch, color="#888888", linewidth=1, linestyle=":", label="resumed" if named else None)
        if len(axes.get_legend_handles_labels()[0]) > 1:
            axes.legend(frameon=False, fontsize=10, ncols=5, loc="best")
    lowest = (rates, *further)[-1]
    lowest.set_xlabel("Epochs", color=TEXT_COLOUR, fontsize=11)
    rates.set_xlim(left=0)
    rates.xaxis.get_major_locator().set_params(integer=True)
    figure.suptitle(title, x=0.1, y=0.975, ha="left", fontsize=14, color=TEXT_COLOUR)
    return figure


def _draw_lines(axes: "Axes", history: History, lines: Mapping[str, tuple[str, str]]) -> None:
    plain_axes(axes)
    for name, (label, colour) in lines.items():
        _draw_line(axes, history.series.get(name, []), label, colour)


def _draw_line(axes: "Axes", points: Sequence[Point], label: str, colour: str) -> None:
    if points:
        epochs, values = zip(*points, strict=True)
        marker = "o" if len(points) <= FEW_POINTS else ""
        axes.plot(epochs, values, color=colour, linewidth=1.8, marker=marker, markersize=4, label=label)


def _draw_rates(axes: "Axes", history: History) -> None:
    """Draw the highest learning rate of the parameter groups, and the lowest if it differs."""
    plain_axes(axes)
    at: dict[float, list[float]] = {}
    for name, points in history.series.items():
        if name.startswith(LEARNING_RATE):
            for epochs, rate in points:
                at.setdefault(epochs, []).append(rate)
    highest = [(epochs, max(rates)) for epochs, rates in sorted(at.items())]
    lowest = [(epochs, min(rates)) for epochs, rates in sorted(at.items())]
    _draw_line(axes, highest, *HIGHEST_RATE)
    if lowest != highest:
        _draw_line(axes, lowest, *LOWEST_RATE)
    axes.set_ylim(bottom=0)
    axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))


def _mark_best(axes: "Axes", history: History) -> None:
    points = history.series.get("val/iou", [])
    if points:
        epoch, value = max(points, key=lambda point: (point[1], -point[0]))
        label = f"best IoU {value:.3f} after epoch {epoch:g}"
        axes.plot(epoch, value, "*", color="#c2185b", markersize=14, zorder=5, label=label)


class LearningCurves(L.Callback):
    """Draw a run's metrics as `learning_curves.png` in its folder when the training ends, is interrupted or fails.

    If drawing fails, one line is printed on standard error, and no error is raised.

    Example:
        Trainer(callbacks=[LearningCurves()])
    """

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Draw the curves of the whole training."""
        _draw(trainer)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Draw the curves up to the interruption or the error."""
        _draw(trainer)


def _draw(trainer: L.Trainer) -> None:
    if trainer.state.fn != "fit" or not trainer.is_global_zero or is_trial(trainer):
        return
    root = Path(trainer.default_root_dir)
    try:
        for logger in trainer.loggers:
            if isinstance(logger, CSVLogger):
                logger.save()  # writes the last rows, which are still in memory
        figure = draw_learning_curves(read_history(root), title=f"Learning curves of {root.resolve().name}")
        if figure is not None:
            write_png(rendered(figure), root / LEARNING_CURVES)
    except Exception as error:
        print(f"note: {root / LEARNING_CURVES} was not drawn ({type(error).__name__}: {error})", file=sys.stderr)
