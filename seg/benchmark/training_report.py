"""What training through Lightning costs, as text and as JSON."""

from dataclasses import asdict
from pathlib import Path
from statistics import median

from seg.benchmark.figures import number
from seg.benchmark.settings import TrainingSettings
from seg.benchmark.terminal import check_output, write_json
from seg.benchmark.training import SIDES, TrainingTimes, measure_training
from seg.terminal.text import text_table


def benchmark_training(settings: TrainingSettings, output: Path | None) -> None:
    """Measure an epoch in both ways and print what was found.

    Args:
        settings: How much is trained.
        output: JSON file for the figures; None for no file.

    Raises:
        ConfigError: The file cannot be written.
    """
    check_output(output)
    times = measure_training(settings)
    print(text_of(settings, times))
    write_json({"settings": asdict(settings), **asdict(times), "ratio": times.ratio}, output)


def text_of(settings: TrainingSettings, times: TrainingTimes) -> str:
    """The whole report as the terminal gets it."""
    title = (
        f"an epoch of the default configuration, {settings.scenes} scenes of {min(SIDES)} to {max(SIDES)} pixels, "
        "one a batch, a fifth held out; median and range of seconds without validation"
    )
    rows = [_cells(name, seconds) for name, seconds in (("train.py fit", times.lightning), ("loop", times.loop))]
    table = text_table(["", "median s", "least", "most"], rows)
    return f"{title}\n\n{table}\n\nratio of medians: {number(times.ratio)}"


def _cells(name: str, seconds: tuple[float, ...]) -> list[str]:
    return [name, *map(number, (median(seconds), min(seconds), max(seconds)))]
