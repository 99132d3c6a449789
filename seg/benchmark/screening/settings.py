"""Options of the screening benchmark. This module does not import torch, so that `--help` is quick."""

from dataclasses import dataclass
from pathlib import Path

from seg.errors import ConfigError, require_option
from seg.inference.settings import ComputeSettings, Library


@dataclass(frozen=True, kw_only=True)
class ScreeningSettings:
    """Options of `benchmark.py screening`.

    Args:
        root: The dataset of labelled tiles.
        fold: Fold whose tiles make the mosaics; the screener is not trained with them.
        folds: Number of folds.
        calibration: Folds whose tiles determine the screener's cut. The screener is trained with all folds but
            these and `fold`.
        side: Number of blocks along each side of a mosaic; a block has 1024 x 1024 pixels.
        empty: Share of a mosaic's blocks that hold no cropland; one mosaic is made for each value.
        scattered: Put the blocks without cropland at random places instead of into the upper rows.
        splits: Number of random splits, into calibration and test, of the tiles that the screener was not trained with.
        model: Model that maps the mosaics, by a name that `benchmark.py models` lists.
        config: Configuration of the screener's training.
        options: Further options of this training, as [--a=1,--b=2].
        memory: Memory limit in GiB for an automatic block size, or null, as in `PredictionSettings`.
        repeats: Number of runs; the median is reported.
        threads: Computing threads; 0 for all cores.
        backend: Library, as in `ComputeSettings`.

    Raises:
        ConfigError: A value is out of range.
    """

    root: Path
    fold: int = 0
    folds: int = 5
    calibration: tuple[int, ...] = (1, 2)
    side: int = 5
    empty: tuple[float, ...] = (0.6, 0.5)
    scattered: bool = False
    splits: int = 200
    model: str = "dilated_small_8"
    config: Path = Path("configs/screen.yaml")
    options: tuple[str, ...] = ()
    memory: float | None = None
    repeats: int = 3
    threads: int = 0
    backend: Library = "auto"

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not self.empty or not all(0 <= share <= 1 for share in self.empty):
            raise ConfigError(f"--empty is {list(self.empty)}; wanted shares from 0 to 1")
        if self.fold in self.calibration or not self.calibration:
            raise ConfigError(f"--calibration is {list(self.calibration)}; wanted folds other than --fold {self.fold}")
        for name in ("side", "splits", "repeats"):
            require_option(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        self.compute()

    def compute(self) -> ComputeSettings:
        """Library and threads of the engine."""
        return ComputeSettings(backend=self.backend, device="cpu", threads=self.threads)

    def plain(self) -> dict[str, object]:
        """The options as plain values."""
        values = vars(self).items()
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values} | {
            name: str(value) for name, value in values if isinstance(value, Path)
        }
