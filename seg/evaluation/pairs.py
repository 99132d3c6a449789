"""Pairs of map and reference to compare: one pair, or two folders matched by stem."""

from dataclasses import dataclass
from pathlib import Path

from seg.errors import ConfigError, listed
from seg.raster.folder import RASTER_SUFFIXES, by_stem, files_in
from seg.raster.remote import stem_of
from seg.raster.vectors.settings import require_encoding

VECTOR_SUFFIXES = (".gpkg", ".geojson", ".parquet", ".geoparquet", ".shp", ".fgb", ".gdb", ".gml", ".kml", ".geojsonl")
"""Suffixes of files in a folder that count as vector files; a file geodatabase is a folder."""

PROBABILITY = "_probability"
LAYERS = (PROBABILITY, "_uncertainty", "_screened")
"""Endings of the stems of the other maps that `scripts/predict.py` writes beside a class map."""

WITH_VECTORS = ("reference", "strata")
"""Names of the inputs that may be vector files."""


@dataclass(frozen=True)
class FoldSelection:
    """The part of a scene that was held out of training.

    Attributes:
        path: A raster on the grid of the reference with a fold number for each pixel.
        fold: Only pixels of this fold are compared.
    """

    path: Path
    fold: int


@dataclass(frozen=True)
class Strata:
    """Source of the strata of a scene.

    Attributes:
        path: A raster of codes on the scene's grid, or a vector file.
        attribute: Column of a vector file with the names of the strata.
        layer: Layer of a vector file; None for its only layer.
        encoding: Encoding of the text of a vector file; None for the encoding that the file states.
    """

    path: Path
    attribute: str | None = None
    layer: str | None = None
    encoding: str | None = None


@dataclass(frozen=True)
class Pair:
    """A map and the files that it is compared with.

    Attributes:
        name: Stem of the map.
        prediction: The class map.
        reference: The mask, a raster or a vector file.
        probability: Probability map in percent; None without one.
        image: The scene that was mapped, for pictures; None if it is not given.
        within: The fold that is compared; None for the whole scene.
        strata: Source of the strata; None if there are no strata.
    """

    name: str
    prediction: Path
    reference: Path
    probability: Path | None = None
    image: Path | None = None
    within: FoldSelection | None = None
    strata: Strata | None = None


@dataclass(frozen=True)
class Inputs:
    """Files or folders to compare. If the maps are in a folder, all inputs are folders, and files are matched by stem.

    Args:
        prediction: Class map to evaluate: 0 other, 1 cropland, 255 or nodata for no class; or a folder of maps, matched
            by stem with the files of the other folders.
        reference: Mask on the map's grid: 0 other, 1 cropland, 255 no label; or polygons in a vector file, which are
            burnt onto the map's grid; or a folder of masks or vector files. One vector file can serve all maps.
        probability: Probability map in percent, or a folder of probability maps; by default the file beside the map
            whose name ends in `_probability`.
        image: The scene that was mapped, or a folder of scenes, shown beside reference and map.
        folds: Raster on the same grid with a fold number for each pixel, or a folder of such rasters; needs --fold.
        fold: Compare only the pixels of this held-out fold; needs --folds.
        strata: Raster of codes on the same grid, a vector file of polygons, or a folder of such files; scores are
            reported by stratum.
        stratum_attribute: Column of the polygons with the names of the strata.
        stratum_layer: Layer of the polygons, if their file has several.
        stratum_encoding: Encoding of the text of the polygons and of their column names, such as GBK; null for the
            encoding that the file states.

    Raises:
        ConfigError: Options contradict each other.
    """

    prediction: Path
    reference: Path
    probability: Path | None = None
    image: Path | None = None
    folds: Path | None = None
    fold: int | None = None
    strata: Path | None = None
    stratum_attribute: str | None = None
    stratum_layer: str | None = None
    stratum_encoding: str | None = None

    def __post_init__(self) -> None:
        """Check the options against each other."""
        require_encoding(self.stratum_encoding)
        if self.folds is None and self.fold is not None:
            raise ConfigError(f"--fold {self.fold} needs --folds, a raster with the fold of each pixel")
        if self.folds is not None and self.fold is None:
            raise ConfigError(f"--folds {self.folds} needs --fold, the number of the held-out fold to compare")
        vector = self.strata is not None and is_vector(self.strata)
        if vector and self.stratum_attribute is None:
            raise ConfigError(f"--strata {self.strata} needs --stratum-attribute, the column of the strata's names")
        if self.stratum_attribute is not None and not vector:
            raise ConfigError(
                f"--stratum-attribute {self.stratum_attribute} needs --strata, a vector file with that column"
            )


@dataclass(frozen=True)
class Pairing:
    """Pairs to compare, and the stems of maps and references without a partner."""

    pairs: list[Pair]
    lone_predictions: list[str]
    lone_references: list[str]

    @property
    def files(self) -> list[Path]:
        """All files of the pairs."""
        pairs = self.pairs
        files = [path for pair in pairs for path in (pair.prediction, pair.reference, pair.probability, pair.image)]
        files += [part.path for pair in pairs for part in (pair.within, pair.strata) if part is not None]
        return [path for path in dict.fromkeys(files) if path is not None]


def is_vector(path: Path) -> bool:
    """True if a file has the suffix of a vector file."""
    # VECTOR_SUFFIXES does not contain .json and .zip: in a folder, .json mostly describes a raster, and an archive may
    # hold anything.
    return path.suffix.lower() in (*VECTOR_SUFFIXES, ".json", ".zip")


def _is_folder(path: Path) -> bool:
    """True for a folder of files. A file geodatabase counts as a file, although it is a folder."""
    return path.is_dir() and not is_vector(path)


def probability_beside(prediction: Path) -> Path | None:
    """The probability map beside a class map; None if the file is missing."""
    path = prediction.with_name(f"{prediction.stem}{PROBABILITY}{prediction.suffix}")
    return path if path.is_file() else None


def find_pairs(inputs: Inputs) -> Pairing:
    """Pairs to compare, sorted by name.

    Args:
        inputs: The files or folders.

    Raises:
        ConfigError: A folder holds no raster, no map has a reference, or a map lacks another requested file.
        DatasetError: Two files of a folder share a stem.
    """
    if not inputs.prediction.is_dir():
        return Pairing([_pair(inputs, stem_of(inputs.prediction), inputs.prediction)], [], [])
    maps = {stem: path for stem, path in _by_stem(inputs.prediction).items() if not _is_layer_of_another(path)}
    if is_vector(inputs.reference):
        return Pairing([_pair(inputs, stem, path) for stem, path in maps.items()], [], [])
    if not _is_folder(inputs.reference):
        raise ConfigError(
            f"{inputs.reference}: not a folder, but --prediction {inputs.prediction} is one; wanted a folder of masks "
            "with the stems of the maps, or one vector file"
        )
    references = _by_stem(inputs.reference, vectors=True)
    both = sorted(set(maps) & set(references))
    if not both:
        raise ConfigError(
            f"{inputs.prediction}: no map has the stem of a mask in {inputs.reference}; maps are "
            f"{listed(sorted(maps))}, masks are {listed(sorted(references))}; rename maps or masks"
        )
    pairs = [_pair(inputs, stem, maps[stem]) for stem in both]
    return Pairing(pairs, sorted(set(maps) - set(both)), sorted(set(references) - set(both)))


def _pair(inputs: Inputs, stem: str, prediction: Path) -> Pair:
    folds, strata = _companion(inputs, "folds", stem), _companion(inputs, "strata", stem)
    reference = _companion(inputs, "reference", stem)
    assert reference is not None  # `Inputs` always has a reference.
    return Pair(
        name=stem,
        prediction=prediction,
        reference=reference,
        probability=_companion(inputs, "probability", stem) or probability_beside(prediction),
        image=_companion(inputs, "image", stem),
        within=FoldSelection(folds, inputs.fold) if folds is not None and inputs.fold is not None else None,
        strata=_strata(inputs, strata),
    )


def _strata(inputs: Inputs, path: Path | None) -> Strata | None:
    if path is None:
        return None
    return Strata(path, inputs.stratum_attribute, inputs.stratum_layer, inputs.stratum_encoding)


def _companion(inputs: Inputs, option: str, stem: str) -> Path | None:
    """File of a scene among the files of an option; None if the option is not given."""
    given: Path | None = getattr(inputs, option)
    if given is None:
        return None
    if not _is_folder(given):
        if inputs.prediction.is_dir() and not (option in WITH_VECTORS and is_vector(given)):
            raise ConfigError(f"{given}: not a folder, but --prediction {inputs.prediction} is one; give a folder")
        return given
    found = _by_stem(given, vectors=option in WITH_VECTORS)
    for name in (stem, stem + PROBABILITY) if option == "probability" else (stem,):
        if name in found:
            return found[name]
    raise ConfigError(f"{given}: has no file {stem}.*; wanted one for each map; its files are {listed(sorted(found))}")


def _by_stem(folder: Path, vectors: bool = False) -> dict[str, Path]:
    suffixes = (*RASTER_SUFFIXES, *VECTOR_SUFFIXES) if vectors else RASTER_SUFFIXES
    found = by_stem(files_in(folder, suffixes))
    if not found:
        raise ConfigError(f"{folder}: has no file that ends in {', '.join(suffixes)}; name another folder")
    return found


def _is_layer_of_another(path: Path) -> bool:
    """True if a file is the probability or uncertainty map of a class map in the same folder."""
    return any(
        path.stem.endswith(layer) and path.with_name(path.stem.removesuffix(layer) + path.suffix).exists()
        for layer in LAYERS
    )
