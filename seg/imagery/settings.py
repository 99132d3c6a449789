"""Settings of a scene that is made from a product."""

from dataclasses import dataclass
from typing import Literal

from seg.errors import require_option

Units = Literal["scaled", "reflectance", "stored"]
"""Units of a scene's pixels."""


@dataclass(frozen=True)
class SceneSettings:
    """Bands, grid and units of a scene.

    Attributes:
        bands: Names of the bands, in order, for example [B02,B03,B04,B08] or [red,nir]; by default all bands of the
            product.
        resolution: Pixel size in units of the CRS; by default the smallest pixel size of the bands. Bands with larger
            pixels are interpolated (bilinear), bands with smaller pixels are averaged.
        units: scaled: whole numbers, 10,000 times the reflectance (temperatures: tenths of a kelvin). reflectance:
            decimal numbers (temperatures: kelvin). stored: the numbers that the files hold. Files without a known scale
            keep the numbers that they hold.
    """

    bands: list[str] | None = None
    resolution: float | None = None
    units: Units = "scaled"

    def __post_init__(self) -> None:
        positive = self.resolution is None or 0 < self.resolution < float("inf")
        require_option(positive, "resolution", self.resolution, "a number above 0")
