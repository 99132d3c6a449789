"""Settings of scenes that are made from products, and of composites."""

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

Method = Literal["median", "best", "first"]
"""Rule that combines the dates of a composite."""

GIB = 2**30

LEAST_GIB = 0.75
"""Least limit of memory of a composite in GiB: the libraries, GDAL's cache and a few small blocks."""

MOST_GIB = 1024 * 1024.0


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
        mask: none: no pixel. auto: clouds and cloud shadows by the product's own quality band (SCL of Sentinel-2 L2A,
            QA_PIXEL of Landsat), or clouds without shadows by the cloud mask of Sentinel-2 L1C. omnicloudmask: clouds
            and cloud shadows by the network of this name, for any sensor with red, green and near infrared, with
            --mask-weights. Or a raster on the grid of the product, with --mask-values.
        mask_values: Values of the raster that are masked, for example [3,8,9,10]. For auto, other values of SCL, other
            bits of QA_PIXEL, counted from 0, or 1 opaque cloud, 2 cirrus and 3 snow of L1C. For omnicloudmask, 1 thick
            cloud, 2 thin cloud, 3 shadow.
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


@dataclass(frozen=True, kw_only=True)
class CompositeSettings:
    """Settings of a composite.

    Args:
        method: Rule for each pixel. median: the median of each band. best: the bands of the medoid, the date that
            resembles all other dates most. first: the first date that holds data, in the order of the input.
        grid: A raster whose CRS, pixels and extent the composite gets. By default, the CRS and pixels of the first
            input, and the ground that the inputs cover together.
        bands: Bands to use, counted from 1, or their names in the inputs; all bands except alpha by default.
        nodata: Additional value that means "no data", for files that do not declare it.
        memory: Limit of the memory in GiB.
        restart: Discard the finished blocks of an interrupted run.

    Raises:
        ConfigError: The memory is out of range.
    """

    method: Method = "median"
    grid: Path | None = None
    bands: list[int | str] | None = None
    nodata: float | None = None
    memory: float = 1.5
    restart: bool = False

    def __post_init__(self) -> None:
        """Check the memory."""
        require_option(LEAST_GIB <= self.memory <= MOST_GIB, "memory", self.memory, f"{LEAST_GIB} GiB or more")
