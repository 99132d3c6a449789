"""Options for the package of another program's network. This module does not import onnx, so that --help is quick."""

from dataclasses import dataclass
from pathlib import Path

from seg.errors import ConfigError, require_option
from seg.models.foreign.statements import Scores, Wanted
from seg.package.description import LARGEST_PIXEL_M


@dataclass(frozen=True, kw_only=True)
class ForeignSettings:
    """Options that describe an ONNX network of another program.

    Args:
        onnx_from: ONNX file of a segmentation network that another program wrote, instead of a checkpoint. Needs
            --bands, --mean and --std.
        bands: Bands in the order in which the network takes them: names such as [red,green,blue], or numbers of the
            bands in its training images, from 1.
        mean: Mean of each band in stored units; the network gets (image - mean) / std. For a network that takes stored
            units, give mean 0 and std 1.
        std: Standard deviation of each band in stored units. For a network that takes values divided by 10000, give
            mean 0 and std 10000.
        class_: Number of the class that is cropland, from 0, or a list of such numbers; needed if the network has
            several classes.
        scores: Scores that the network gives. logits; softmax for probabilities that sum to 1 over the classes; sigmoid
            for probabilities of classes that do not exclude each other; auto to detect the kind.
        scores_output: Name of the output with the scores; needed if the network has several outputs.
        stride: Stride of the network in pixels, for example 32. If the image is shifted by the stride, the result is
            shifted by the same distance. By default, the stride is measured.
        pixel_size_m: Pixel size in metres of the network's training images.
    """

    onnx_from: Path | None = None
    bands: list[int | str] | None = None
    mean: list[float] | None = None
    std: list[float] | None = None
    class_: list[int] | int | None = None
    scores: Scores = "auto"
    scores_output: str | None = None
    stride: int | None = None
    pixel_size_m: float | None = None

    def __post_init__(self) -> None:
        """Check values that can be checked without the file."""
        if self.onnx_from is None:
            given = [name for name, value in vars(self).items() if value not in (None, "auto")]
            if given:
                raise ConfigError(f"--{_option(given[0])} describes a network of another program; add --onnx-from")
            return
        missing = [name for name in ("bands", "mean", "std") if not getattr(self, name)]
        if missing or not self.bands or not self.mean or not self.std:
            raise ConfigError(f"--onnx-from needs --{missing[0]}, a value for each band; add --{missing[0]}=[...]")
        counts = [len(values) for values in (self.bands, self.mean, self.std)]
        if len(set(counts)) > 1:
            raise ConfigError("--bands has {}, --mean {} and --std {} values; wanted one for each band".format(*counts))
        numbers = all(isinstance(band, int) and band >= 1 for band in self.bands)
        names = all(isinstance(band, str) and band.strip() for band in self.bands)
        distinct = len(set(self.bands)) == len(self.bands)
        wanted = "different names, or different numbers from 1"
        require_option((numbers or names) and distinct, "bands", self.bands, wanted)
        require_option(min(self.std) > 0, "std", self.std, "numbers above 0")
        require_option(self.stride is None or 1 <= self.stride <= 512, "stride", self.stride, "1 to 512 pixels")
        side = self.pixel_size_m
        fits = side is None or 0 < side <= LARGEST_PIXEL_M
        require_option(fits, "pixel-size-m", side, f"metres above 0, at most {LARGEST_PIXEL_M:,.0f}")

    @property
    def wanted(self) -> Wanted:
        """Statements that the conversion of the network needs."""
        cropland = self.class_ if isinstance(self.class_, list) else [] if self.class_ is None else [self.class_]
        return Wanted(
            mean=self.mean or (),
            std=self.std or (),
            cropland=cropland,
            kind=self.scores,
            output=self.scores_output,
            stride=self.stride,
        )


def _option(name: str) -> str:
    return name.rstrip("_").replace("_", "-")
