import pytest

from seg.training.pictures.figures import rendered
from seg.training.pictures.learning_curves import draw_learning_curves
from seg.training.run.history import History


def test_nothing_to_draw_gives_no_figure() -> None:
    assert draw_learning_curves(History({"learning_rate/pg1": [(0.5, 1e-3)]}), "run") is None


def test_losses_scores_rate_and_best_epoch_are_labelled() -> None:
    series = {
        "train/loss": [(1.0, 9.0), (2.0, 0.1)],
        "val/iou": [(1.0, 0.8), (2.0, 0.7)],
        "learning_rate/pg1": [(0.5, 1e-3), (1.0, 1e-3)],
        "learning_rate/pg2": [(0.5, 1e-3), (1.0, 1e-4)],
    }
    figure = draw_learning_curves(History(series, resumed=[1.0]), "run")
    assert figure is not None
    losses, scores, rates = figure.axes
    assert [axes.get_ylabel() for axes in figure.axes] == ["Loss", "Score of cropland, validation", "Learning rate"]
    assert (losses.get_yscale(), rates.get_xlabel()) == ("log", "Epochs")
    legend = [text.get_text() for text in scores.get_legend().get_texts()]
    assert legend == ["IoU", "best IoU 0.800 after epoch 1"]
    assert [text.get_text() for text in losses.get_legend().get_texts()] == ["training", "resumed"]
    highest, lowest = (line.get_ydata().tolist() for line in rates.get_lines()[:2])
    assert (highest, lowest) == ([1e-3, 1e-3], [1e-3, 1e-4])
    assert rendered(figure).std() > 0


@pytest.mark.parametrize("columns", [["learning_rate/pg1", "learning_rate/pg2"], ["learning_rate"]])
def test_equal_rates_are_drawn_as_one_line(columns: list[str]) -> None:
    series = {"train/loss": [(1.0, 9.0)]} | {name: [(0.5, 1e-3), (0.7, 1e-4)] for name in columns}
    figure = draw_learning_curves(History(series), "run")
    assert figure is not None
    assert [line.get_ydata().tolist() for line in figure.axes[2].get_lines()] == [[1e-3, 1e-4]]


def test_a_negative_loss_is_inside_the_picture() -> None:
    figure = draw_learning_curves(History({"train/loss": [(1.0, 0.5), (2.0, -0.5)]}), "run")
    assert figure is not None
    assert figure.axes[0].get_ylim()[0] <= -0.5
