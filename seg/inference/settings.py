"""How scenes are predicted: the options of the command line. No torch, so that asking for help is quick."""

from dataclasses import dataclass, field
from typing import Literal

from seg.errors import ConfigError, require_option
from seg.inference.augmentation import TestTimeAugmentation

MEASURED = ("auto", "measure")
"""Halos that depend on the scene's pixels."""


@dataclass(frozen=True, kw_only=True)
class PredictionSettings:
    """How scenes are predicted.

    Args:
        block_size: Side of a block's core in pixels, rounded up to the model's alignment; auto computes the fewest
            pixels within --memory.
        halo: Context around a core in pixels, rounded up likewise. receptive-field is all that the model sees, with
            which no cut can show. measure takes less: as much as keeps the probabilities of sampled places of the
            scene, those where the model is least sure, within half of the tolerance, and a step more. auto measures
            where that costs at most a twentieth of the scene's computing, and takes the receptive field elsewhere. A
            model that sees whole windows has none, and is always measured.
        tolerance: Largest change of a probability by cutting that a measured halo is to keep to, above 0 and up to 1;
            by default 1/255.
        memory: GiB that prediction may take in all, for an automatic block size; null for 1.5, or half of what is free
            if that is less. Blocks are never so small that they are mostly halo.
        tta: Test-time augmentation.
        uncertainty: Also map how far views and models disagree, as `_uncertainty` added to the output's name: their
            standard deviation in percent of 0.5, the largest there is. Wants at least two views or models.
        bands: 1-based bands of the scene in the order the model wants; null for those of training.
        nodata: A further stored value that means "no data", for files that do not say so themselves; null for that
            of training.
        threshold: Probability above which a pixel is cropland; null for the model's own, or the mean of the models'.
        pixel_size_ratio: How many times larger or smaller than in training a pixel may be, at least 1.
        area: What is mapped, all else is nodata: a vector file of polygons in any CRS (`aoi.gpkg|layername=x` for one
            of several layers), or minx,miny,maxx,maxy. A pixel belongs to it if its centre does.
        area_crs: CRS of minx,miny,maxx,maxy, for example EPSG:4326 (longitude first); null for the scene's.
        on_unreadable: What becomes of tiles of the scene that cannot be read: stop ends its run, nodata maps the rest.
        interior: Map cropland that is not the edge of a parcel, so that parcels with a path between them fall apart;
            for models with a boundary head.
        existing: What becomes of maps that are there already: skip keeps those that the same run made (scene, models
            and settings are the same) and replaces others, overwrite replaces all.
        restart: Discard the finished blocks of an unfinished run instead of going on with them.

    Raises:
        ConfigError: A value is out of range.
    """

    block_size: int | Literal["auto"] = "auto"
    halo: int | Literal["auto", "receptive-field", "measure"] = "auto"
    tolerance: float = 1 / 255
    memory: float | None = None
    tta: TestTimeAugmentation = field(default_factory=TestTimeAugmentation)
    uncertainty: bool = False
    bands: list[int] | None = None
    nodata: float | None = None
    threshold: float | None = None
    pixel_size_ratio: float = 1.5
    area: str | None = None
    area_crs: str | None = None
    on_unreadable: Literal["stop", "nodata"] = "stop"
    interior: bool = False
    existing: Literal["skip", "overwrite"] = "skip"
    restart: bool = False

    def __post_init__(self) -> None:
        """Check the ranges."""
        require_option(
            self.block_size == "auto" or self.block_size >= 1, "block-size", self.block_size, "auto or at least 1"
        )
        halos = "auto, receptive-field, measure or at least 0"
        require_option(isinstance(self.halo, str) or self.halo >= 0, "halo", self.halo, halos)
        require_option(0 < self.tolerance <= 1, "tolerance", self.tolerance, "above 0, at most 1")
        require_option(self.memory is None or self.memory > 0, "memory", self.memory, "more than 0 GiB")
        require_option(self.threshold is None or 0 <= self.threshold <= 1, "threshold", self.threshold, "0 to 1")
        crs_alone = self.area is None and self.area_crs is not None
        require_option(
            not crs_alone, "area-crs", self.area_crs, "an --area=minx,miny,maxx,maxy too, which it is the CRS of"
        )
        require_option(self.pixel_size_ratio >= 1, "pixel-size-ratio", self.pixel_size_ratio, "at least 1")


Library = Literal["auto", "onnx", "torch"]
Precision = Literal["auto", "32", "bf16", "16"]


@dataclass(frozen=True, kw_only=True)
class ComputeSettings:
    """Library, device and precision of the computation.

    Args:
        backend: Library that computes: onnx (ONNX Runtime, on the CPU) or torch; auto is torch where there is a GPU,
            and onnx elsewhere. For onnx the network is written beside the model once, as model.onnx.
        device: Device that computes: auto, cpu, cuda (cuda:1 for the second GPU) or mps.
        threads: Threads that compute; 0 for all cores, or the number in OMP_NUM_THREADS.
        precision: Bits of the numbers in the network: 32, or on CUDA bf16 or 16; auto is 16 on CUDA, 32 elsewhere.
        compile: Let PyTorch compile the network first, which pays off for many or large scenes.

    Raises:
        ConfigError: Values contradict each other, or the number of threads is negative.
    """

    backend: Library = "auto"
    device: str = "auto"
    threads: int = 0
    precision: Precision = "auto"
    compile: bool = False

    def __post_init__(self) -> None:
        """Check what can be checked without a device."""
        if self.threads < 0:
            raise ConfigError(f"threads is {self.threads}; wanted 0 for all cores, or a number of threads")
        if self.backend == "onnx" and self.device not in {"auto", "cpu"}:
            raise ConfigError(
                f"device is {self.device}, but ONNX Runtime computes on the CPU here; wanted cpu, or --backend=torch"
            )
        if self.backend == "onnx" and self.compile:
            raise ConfigError("compile is for PyTorch; leave it out, or add --backend=torch")
        if self.precision in {"bf16", "16"} and (self.backend == "onnx" or self.device in {"cpu", "mps"}):
            raise ConfigError(
                f"precision is {self.precision}, which is for CUDA devices; wanted auto or 32 on the CPU and on mps"
            )

    @property
    def wants_torch(self) -> bool:
        """Whether only PyTorch can do what is asked for."""
        accelerator = self.device not in {"auto", "cpu"}
        return self.backend == "torch" or accelerator or self.compile or self.precision in {"bf16", "16"}
