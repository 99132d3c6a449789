"""Settings of a scene that is made from a product."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seg.errors import ConfigError, require_option

Units = Literal["scaled", "reflectance", "stored"]
"""Units of a scene's pixels."""

NO_MASK = "none"
"""Value of --mask for scenes without a mask."""

BY_NETWORK = "omnicloudmask"
"""Value of --mask for the mask by the network of this name."""

BY_PRODUCT = "auto"
"""Value of --mask for the mask by the quality band of the product."""

MOST_DILATION = 1000
"""Largest dilation of a mask, in pixels."""


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
        """Check the resolution."""
        positive = self.resolution is None or 0 < self.resolution < float("inf")
        require_option(positive, "resolution", self.resolution, "a number above 0")


@dataclass(frozen=True)
class MaskSettings:
    """Pixels of a product that become invalid, such as clouds.

    Attributes:
        mask: none: no pixel. auto: clouds and cloud shadows by the product's own quality band (SCL of Sentinel-2,
            QA_PIXEL of Landsat). omnicloudmask: clouds and cloud shadows by the network of this name, for any sensor
            with red, green and near infrared, with --mask-weights. Or a raster on the grid of the product, with
            --mask-values.
        mask_values: Values of the raster that are masked, for example [3,8,9,10]; for auto, other values of SCL, or
            other bits of QA_PIXEL, counted from 0; for omnicloudmask, 1 thick cloud, 2 thin cloud, 3 shadow.
        mask_dilate: Distance by which masked areas grow, in pixels of the scene.
        mask_weights: Folder with the weights of omnicloudmask; nothing is downloaded.
    """

    mask: str = NO_MASK
    mask_values: list[int] | None = None
    mask_dilate: int = 0
    mask_weights: Path | None = None

    def __post_init__(self) -> None:
        """Check that the options fit each other."""
        within = 0 <= self.mask_dilate <= MOST_DILATION
        require_option(within, "mask_dilate", self.mask_dilate, f"0 to {MOST_DILATION:,}")
        if self.mask_values is not None and (self.mask == NO_MASK or not self.mask_values):
            raise ConfigError(f"--mask-values is {self.mask_values}; wanted at least one value, and the option --mask")
        if self.is_file and self.mask_values is None:
            raise ConfigError(
                f"--mask is {self.mask}; wanted --mask-values too: the values of masked pixels, such as [3,8,9,10]"
            )

    @property
    def is_file(self) -> bool:
        """True if the mask is a raster that the user names."""
        return self.mask not in (NO_MASK, BY_PRODUCT, BY_NETWORK)
