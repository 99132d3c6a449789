"""Options of prediction on the command line. This module does not import torch, so that --help is quick."""

from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Literal

from seg.errors import ConfigError, require_option, require_threads
from seg.inference.augmentation import TestTimeAugmentation

MEASURED = ("auto", "measure")
"""Values of `halo` with which the halo may be measured on the scene's pixels."""


@dataclass(frozen=True, kw_only=True)
class PredictionSettings:
    """Settings of the prediction of a scene.

    Args:
        block_size: Side of a block's core in pixels, rounded up to the model's alignment; auto finishes the scene
            soonest within --memory.
        halo: Context around a core: a number of pixels, rounded up to the alignment, or a method. receptive-field:
            the receptive field of the model, so that blocks leave no seams. measure: the smallest halo with which
            probabilities of samples change by at most half the tolerance, plus a margin; samples are taken where
            the model is least certain. auto: measure if a measurement costs at most a twentieth of computing the scene;
            otherwise receptive-field. For a model with an unbounded receptive field, the halo is always measured.
        tolerance: Largest change of a probability that a measured halo may cause, above 0 and at most 1; by default
            1/255.
        memory: Limit of the total memory in GiB, for an automatic block size; null for a quarter of the free memory. If
            a quarter is less than 1.5 GiB, the limit is 1.5 GiB, but at most half of the free memory. The limit may be
            exceeded, since a core is never smaller than its halo.
        tta: Test-time augmentation.
        uncertainty: Also map the standard deviation over views and models, in percent of its maximum, 0.5. The file's
            name ends in `_uncertainty`. Needs at least two views or models.
        features: Also write the deepest features of the network at its stride, as int8 in a file whose name ends in
            `_features`.
        distance: Also write the distance of each patch of 64 x 64 pixels from the training images, in a file whose name
            ends in `_distance`. A JSON file beside this file holds the distance of the scene.
        bands: 1-based bands of the scene in the order of the model. If null, bands are chosen by the names of the
            training bands. If names are missing, the band numbers of training are read.
        nodata: An additional stored value that means "no data", for files that do not declare one; null for the
            value of training.
        threshold: Probability above which a pixel is cropland; null for the model's threshold, or for the mean
            threshold of several models.
        pixel_size_ratio: Largest accepted ratio between the pixel sizes of the scene and of training, at least 1.
        any_unit: Also map scenes in another unit, whose values are far outside the training range in every band.
        area: The part to map; the rest becomes nodata. Give a vector file of polygons in any CRS
            (`aoi.gpkg|layername=x` for one of several layers), or minx,miny,maxx,maxy. A pixel is mapped if its centre
            lies inside.
        area_crs: CRS of minx,miny,maxx,maxy, for example EPSG:4326 (longitude first); null for the CRS of the scene.
        on_unreadable: Treatment of unreadable tiles. stop: end the run of the scene. nodata: map them as nodata.
        interior: Map cropland without the edges of parcels, so that neighbouring parcels separate; for models with
            a boundary head.
        screen: Do not compute parts of the scene that hold no cropland at the risk of the package's screener; they are
            mapped as other. A file whose name ends in `_screened` shows them.
        existing: Treatment of existing maps: skip keeps maps of the same run (same scene, models and settings) and
            replaces all other maps; overwrite replaces all maps.
        restart: Discard the finished blocks of an unfinished run instead of continuing it.

    Raises:
        ConfigError: A value is out of range.
    """

    block_size: int | Literal["auto"] = "auto"
    halo: int | Literal["auto", "receptive-field", "measure"] = "auto"
    tolerance: float = 1 / 255
    memory: float | None = None
    tta: TestTimeAugmentation = field(default_factory=TestTimeAugmentation)
    uncertainty: bool = False
    features: bool = False
    distance: bool = False
    bands: list[int] | None = None
    nodata: float | None = None
    threshold: float | None = None
    pixel_size_ratio: float = 1.5
    any_unit: bool = False
    area: str | None = None
    area_crs: str | None = None
    on_unreadable: Literal["stop", "nodata"] = "stop"
    interior: bool = False
    screen: bool = False
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
        require_option(not crs_alone, "area-crs", self.area_crs, "an --area=minx,miny,maxx,maxy beside it")
        require_option(self.pixel_size_ratio >= 1, "pixel-size-ratio", self.pixel_size_ratio, "at least 1")


Library = Literal["auto", "openvino", "onnx", "torch"]
Precision = Literal["auto", "32", "bf16", "16"]

ON_CPU = {"openvino": "OpenVINO", "onnx": "ONNX Runtime"}
"""Names of the libraries that compute on the CPU from a model's ONNX file; the faster library comes first."""


@dataclass(frozen=True, kw_only=True)
class ComputeSettings:
    """Library, device and precision of the computation.

    Args:
        backend: Library for computing: openvino or onnx (ONNX Runtime), both on the CPU, or torch; auto is torch if
            there is a GPU, otherwise openvino if it is installed, or else onnx. For openvino and onnx, the network is
            exported once to model.onnx in the folder of the model.
        device: Device for computing: auto, cpu, cuda (cuda:1 for the second GPU) or mps.
        threads: Number of computing threads; 0 for the number in OMP_NUM_THREADS, or all cores without this variable.
        precision: Precision of the network: 32, or on CUDA bf16 or 16; auto is 16 on CUDA and 32 elsewhere.

    Raises:
        ConfigError: Values contradict each other, or the number of threads is out of range.
    """

    backend: Library = "auto"
    device: str = "auto"
    threads: int = 0
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        """Check values that can be checked without a device."""
        require_threads(self.threads)
        if self.backend in ON_CPU and self.device not in {"auto", "cpu"}:
            raise ConfigError(
                f"device is {self.device}, but {ON_CPU[self.backend]} computes on the CPU here; wanted cpu, or "
                "--backend=torch"
            )
        if self.precision in {"bf16", "16"} and (self.backend in ON_CPU or self.device in {"cpu", "mps"}):
            raise ConfigError(
                f"precision is {self.precision}, which is for CUDA devices; wanted auto or 32 on the CPU and on mps"
            )

    @property
    def wants_torch(self) -> bool:
        """True if only PyTorch can compute with these settings."""
        accelerator = self.device not in {"auto", "cpu"}
        return self.backend == "torch" or accelerator or self.precision in {"bf16", "16"}

    @property
    def library(self) -> str:
        """Module of the library that probably computes; with `auto`, a GPU or a failed export may change the choice."""
        if self.wants_torch:
            return "torch"
        return "onnxruntime" if self.backend == "onnx" or find_spec("openvino") is None else "openvino"
