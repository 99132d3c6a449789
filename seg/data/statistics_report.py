"""Statistics of a dataset as text or JSON."""

import json
from dataclasses import asdict
from pathlib import Path

from seg.data.statistics import DatasetStatistics


def print_statistics(root: Path, statistics: DatasetStatistics, as_json: bool = False) -> None:
    """Print a line a band on standard output.

    Args:
        root: The dataset.
        statistics: What was found.
        as_json: Print JSON instead.
    """
    if as_json:
        print(json.dumps({"dataset": str(root), **asdict(statistics)}, indent=1))
        return
    fold, percentiles = statistics.sampling.fold, statistics.percentiles
    held = "all folds" if fold is None else f"fold {fold} held out"
    print(f"{root}: {statistics.bands.count} valid pixels of {statistics.scenes} scenes, {held}")
    print("band            mean             std      2nd percentile     98th percentile")
    columns = zip(statistics.bands.mean, statistics.bands.std, percentiles.low, percentiles.high, strict=True)
    for band, (mean, std, low, high) in zip(statistics.sampling.bands, columns, strict=True):
        print(f"{band:4d}  {mean:14.6g}  {std:14.6g}  {low:18.6g}  {high:18.6g}")
    if any(percentiles.error):
        errors = ", ".join(f"{error:.2g}" for error in percentiles.error)
        print(f"percentiles are off by at most {errors}")
