"""The names of `import seg`: load a model, map a scene, compare with a reference, read a dataset.

Arrays have the layout of rasterio. Pixels without data are NaN in images and probabilities, and 255 in masks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, TypedDict, Unpack

import numpy as np
import numpy.typing as npt

from seg.data.dataset.catalogue import Scene, band_indexes, read_catalogue
from seg.errors import ConfigError
from seg.evaluation.accuracy import measure_accuracy
from seg.evaluation.counts.confusion import ConfusionCounts, count_pixels
from seg.evaluation.pairs import Inputs, find_pairs
from seg.evaluation.settings import EvaluationSettings
from seg.inference.augmentation import TestTimeAugmentation as TestTimeAugmentation
from seg.inference.compute.backends import Backend, Probability
from seg.inference.compute.choose_backend import open_backend
from seg.inference.compute.member import Member
from seg.inference.compute.predictor import Predictor
from seg.inference.feature_layers import layers_of, require_layers
from seg.inference.scene import SceneMaps, predict_scene
from seg.inference.screening.applying import chosen_screener
from seg.inference.settings import ComputeSettings, PredictionSettings
from seg.labels import CROPLAND, IGNORE, OTHER
from seg.package.features import read_features
from seg.package.read import read_package
from seg.raster.chips import BoolMask, ByteMask, FloatImage, Reading, read_chip, whole
from seg.raster.classes import read_classes
from seg.raster.gdal_options import gdal_options
from seg.raster.grid import band_texts, data_bands, open_raster
from seg.raster.statistics import scene_band_statistics
from seg.raster.voids import is_missing
from seg.terminal.command_line import with_nearest_key

PLAIN = TestTimeAugmentation()


class MapSettings(TypedDict, total=False):
    """Keyword arguments of `Model.map`, as in `seg.inference.settings.PredictionSettings`."""

    block_size: int | Literal["auto"]
    halo: int | Literal["auto", "receptive-field", "measure"]
    tolerance: float
    memory: float | None
    tta: TestTimeAugmentation
    uncertainty: bool
    features: bool
    distance: bool
    bands: list[int] | None
    nodata: float | None
    threshold: float | None
    pixel_size_ratio: float
    any_unit: bool
    area: str | None
    area_crs: str | None
    on_unreadable: Literal["stop", "nodata"]
    interior: bool
    screen: bool
    restart: bool


class Model:
    """A trained model; made by `seg.load_model`.

    Args:
        folder: Folder of a model package.
        compute: Library, device and threads.

    Raises:
        PackageError: A file is missing or damaged.
        ConfigError: The device is unknown or not available.
    """

    def __init__(self, folder: Path, compute: ComputeSettings) -> None:
        self.folder = folder
        self.package = read_package(folder)
        self._compute = compute
        self._backends: dict[bool, Backend] = {}
        self._backend(interior=False)

    def __repr__(self) -> str:
        names = ", ".join(name or str(band) for name, band in zip(self.band_names, self.bands, strict=True))
        return f"Model({self.folder}: bands {names}; {self.pixel_size} m; {self.package.decision})"

    @property
    def bands(self) -> tuple[int, ...]:
        """Bands of a scene that the model reads, counted from 1, in the order of an array's channels."""
        return self.package.bands

    @property
    def band_names(self) -> tuple[str, ...]:
        """Name of each band; empty strings for bands without a name in the training images."""
        return self.package.band_names

    @property
    def pixel_size(self) -> float | None:
        """Pixel side of the training images in metres; None if the training images had no CRS."""
        return self.package.pixel_size_m

    @property
    def threshold(self) -> float:
        """Probability above which a pixel is cropland, 0 to 1."""
        return self.package.threshold

    def probability(self, image: npt.ArrayLike, *, tta: TestTimeAugmentation = PLAIN) -> Probability:
        """Compute the cropland probability of each pixel of an array.

        The array is computed as a whole. To compute a whole scene, use `map`, which needs less memory. If the model
        normalises each scene by its own statistics, the array counts as the scene, so it should not be a small part.

        Args:
            image: (C, H, W) numbers in the units of the scene's file; the bands are in the order of `bands`. A pixel
                has no data if it is NaN, masked (as read by `rasterio` with `masked=True`) or the model's nodata value.
            tta: Test-time augmentation; off by default.

        Returns:
            (H, W) float32, 0 to 1; NaN for pixels where a band has no data.

        Raises:
            ConfigError: The array has another number of bands or dimensions, or holds no real numbers.
        """
        pixels, valid = self._filled(image)
        predictor = self._predictor(PredictionSettings(tta=tta))
        if self.package.normalises_scenes:
            predictor = predictor.of_scene(scene_band_statistics([pixels[:, valid]], len(pixels)))
            pixels[:, ~valid] = np.nan
        estimate = predictor.probability(pixels)
        return np.where(valid, estimate, np.float32(np.nan))

    def map(self, scene: Path | str, output: Path | str, **settings: Unpack[MapSettings]) -> SceneMaps:
        """Map a raster of any size, block by block, on the same grid.

        `output` is the class map: 0 other, 1 cropland, 255 nodata. The probability map in percent has the same name
        with `_probability` added. Existing maps are replaced. To resume an interrupted call, repeat it.

        Args:
            scene: The raster, or an address such as https://host/scene.tif.
            output: The class map to write, a .tif file.
            settings: Fields of `seg.inference.settings.PredictionSettings`, for example `halo=64`, `uncertainty=True`
                or `tta=seg.TestTimeAugmentation(dihedral=True)`.

        Returns:
            Paths of the maps: `classes`, `probability` and, if requested, `uncertainty`.

        Raises:
            RasterError: The scene cannot be read, or the output cannot be written.
            PackageError: The scene does not fit the model.
            ConfigError: A setting is unknown or out of range.
        """
        known = [field.name for field in fields(PredictionSettings) if field.name in MapSettings.__annotations__]
        for name in settings:
            if name not in known:
                raise ConfigError(with_nearest_key(f"map: key '{name}' is not expected", known))
        chosen = PredictionSettings(**settings)
        return predict_scene(Path(scene), Path(output), self._predictor(chosen), chosen, lambda plan, done: None)

    def _predictor(self, settings: PredictionSettings) -> Predictor:
        member = Member(
            self._backend(settings.interior), self.package, features=read_features(self.folder, self.package)
        )
        screener = chosen_screener([self.folder], [self.package]) if settings.screen else None
        predictor = Predictor([member], settings.tta, settings.uncertainty, screener)
        require_layers(predictor, layers_of(settings))
        return predictor

    def _backend(self, interior: bool) -> Backend:
        if interior not in self._backends:
            self._backends[interior] = open_backend(self.folder, self.package, self._compute, interior)
        return self._backends[interior]

    def _filled(self, image: npt.ArrayLike) -> tuple[FloatImage, BoolMask]:
        """(C, H, W) image with invalid pixels set to the training mean, and (H, W) validity."""
        stored = np.asanyarray(image)
        bands = len(self.bands)
        if stored.ndim != 3 or stored.shape[0] != bands or not stored.size or stored.dtype.kind not in "biuf":
            raise ConfigError(
                f"image is {stored.dtype} of shape {stored.shape}; wanted real numbers of shape ({bands}, height, "
                f"width), with the bands {list(self.bands)} of the scene"
            )
        values = np.ma.getdata(stored)
        with np.errstate(over="ignore"):  # values too large for float32 become infinite and thus invalid
            pixels = values.astype(np.float32)
        missing = np.ma.getmaskarray(stored) | ~np.isfinite(pixels)
        if self.package.nodata is not None:
            missing |= is_missing(values, self.package.nodata)
        valid: BoolMask = ~np.logical_or.reduce(missing)
        pixels[:, ~valid] = np.asarray(self.package.mean, dtype=np.float32)[:, None]
        return pixels, valid


def load_model(folder: Path | str, *, device: str = "auto", threads: int = 0) -> Model:
    """Load a trained model.

    On the CPU, OpenVINO is used if it is installed, otherwise ONNX Runtime. The first call writes `model.onnx` to the
    folder.

    Args:
        folder: Folder of a model package, which `scripts/export.py` writes.
        device: auto, cpu, cuda (cuda:1 for the second GPU) or mps.
        threads: Number of computing threads; 0 for all cores.

    Raises:
        PackageError: A file is missing or damaged.
        ConfigError: The device is unknown or not available.
    """
    return Model(Path(folder), ComputeSettings(device=device, threads=threads))


@dataclass(frozen=True)
class Scores:
    """Agreement of a map with a reference over pixels that have a value in both; a score of 0 / 0 is None.

    Attributes:
        iou: Intersection over union of cropland, 0 to 1.
        f1: Harmonic mean of precision and recall, 0 to 1.
        precision: Share of mapped cropland that is cropland in the reference (user's accuracy).
        recall: Share of the reference's cropland that is mapped (producer's accuracy).
        overall_accuracy: Share of correctly mapped pixels.
        kappa: Cohen's kappa, -1 to 1.
        mcc: Matthews correlation coefficient, -1 to 1.
        compared: Number of compared pixels.
    """

    iou: float | None
    f1: float | None
    precision: float | None
    recall: float | None
    overall_accuracy: float | None
    kappa: float | None
    mcc: float | None
    compared: int

    @classmethod
    def from_counts(cls, counts: ConfusionCounts) -> "Scores":
        """Scores of confusion counts."""
        return cls(
            counts.iou,
            counts.f1,
            counts.precision,
            counts.recall,
            counts.overall_accuracy,
            counts.kappa,
            counts.mcc,
            counts.compared,
        )


def evaluate(
    prediction: Path | str | npt.NDArray[np.generic],
    reference: Path | str | npt.NDArray[np.generic],
    *,
    folds: Path | str | None = None,
    fold: int | None = None,
) -> Scores:
    """Compare a class map with a reference; both are files, or both are arrays.

    `scripts/evaluate.py` also gives intervals, boundary and parcel scores, and a report.

    Args:
        prediction: Class map, a file or an (H, W) array: 0 other, 1 cropland, 255 or nodata for no value.
        reference: Mask with 0 other, 1 cropland, 255 no label, as a raster on the map's grid or an array of the map's
            shape; or a vector file of cropland polygons.
        folds: Raster on the same grid with a fold number per pixel. It needs `fold` and is possible only for files.
        fold: Compare only the pixels of this held-out fold.

    Raises:
        ConfigError: Arrays differ in shape or hold other values, or the arguments are inconsistent.
        RasterError: A file cannot be read or has another grid, or no pixel can be compared.
    """
    arrays = [isinstance(given, np.ndarray) for given in (prediction, reference)]
    if not any(arrays):
        where = None if folds is None else Path(folds)
        inputs = Inputs(Path(str(prediction)), Path(str(reference)), folds=where, fold=fold)
        with gdal_options():
            return Scores.from_counts(
                measure_accuracy(find_pairs(inputs).pairs, EvaluationSettings(bootstrap=0)).counts
            )
    if not all(arrays):
        raise ConfigError("evaluate has an array and a file; wanted two files or two arrays")
    if folds is not None or fold is not None:
        raise ConfigError(
            "evaluate has arrays and a fold, but a fold needs files; set the labels outside the fold to 255 instead"
        )
    mapped, labels = _classes("prediction", np.asarray(prediction)), _classes("reference", np.asarray(reference))
    if mapped.shape != labels.shape:
        raise ConfigError(f"prediction has the shape {mapped.shape}, but reference {labels.shape}; wanted equal shapes")
    return Scores.from_counts(count_pixels(mapped, labels))


def _classes(name: str, values: npt.NDArray[np.generic]) -> ByteMask:
    unknown = np.setdiff1d(values, (OTHER, CROPLAND, IGNORE))
    if values.dtype.kind not in "biu" or unknown.size:
        found = f"the values {unknown[:5].tolist()}" if unknown.size else f"type {values.dtype}"
        raise ConfigError(f"{name} has {found}; wanted whole numbers: 0 other, 1 cropland, 255 no value")
    return values.astype(np.uint8)


@dataclass(frozen=True)
class LabelledScene:
    """Pixels and labels of a scene.

    Attributes:
        name: Stem of the image's file.
        fold: Fold in which the scene is held out, from 0.
        image: (C, H, W) float32 in the units of the file. If one band of a pixel has no data, all bands of the pixel
            are NaN.
        mask: (H, W) uint8: 0 other, 1 cropland, 255 no label or no data.
    """

    name: str
    fold: int
    image: FloatImage
    mask: ByteMask


@dataclass(frozen=True)
class Dataset:
    """Labelled scenes, whose files are read on access: `len(dataset)`, `dataset[0]`, `for scene in dataset`.

    Attributes:
        scenes: Files and fold of each scene, sorted by image path.
        bands: Bands to read, counted from 1.
        band_names: Name of each band in the first image; empty strings for bands without a name.
        nodata: Additional value that means "no data", for files that do not declare this value.
    """

    scenes: Sequence[Scene]
    bands: tuple[int, ...]
    band_names: tuple[str, ...]
    nodata: float | None = None

    def __len__(self) -> int:
        return len(self.scenes)

    def __iter__(self) -> Iterator[LabelledScene]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> LabelledScene:
        """Read a whole scene.

        Raises:
            RasterError: A file cannot be read, or the mask has unknown values.
        """
        scene = self.scenes[index]
        reading = Reading(self.bands, [np.nan] * len(self.bands), self.nodata)
        with open_raster(scene.image) as image, open_raster(scene.mask) as mask:
            chip, labels = read_chip(image, whole(image), reading), read_classes(mask, labels=scene.labels)
        labels = np.where(chip.valid, labels, np.uint8(IGNORE))
        return LabelledScene(scene.image.stem, scene.fold, chip.image, labels)


def read_dataset(
    root: Path | str, *, bands: Sequence[int | str] | None = None, nodata: float | None = None, folds: int = 5
) -> Dataset:
    """List the labelled scenes of a dataset; pixels are read on access.

    Args:
        root: A folder with images/ and masks/, or with a manifest.csv or manifest.parquet.
        bands: Bands to read, counted from 1, or their names in the images; all bands except alpha by default.
        nodata: Additional value that means "no data", for files that do not declare this value.
        folds: Number of folds.

    Raises:
        DatasetError: The folder holds no dataset, an image has no mask, or a band is missing.
        RasterError: The first image cannot be opened.
    """
    scenes = read_catalogue(Path(root), folds)
    with open_raster(scenes[0].image) as image:
        usual, names = data_bands(image), band_texts(image)
    indexes = usual if bands is None else band_indexes(scenes, bands)
    return Dataset(scenes, tuple(indexes), tuple(names[band - 1] for band in indexes), nodata)
