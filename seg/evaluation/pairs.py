"""Which map is compared with which reference: one pair, or folders matched by stem."""

from dataclasses import dataclass
from pathlib import Path

from seg.errors import ConfigError
from seg.raster.folder import RASTER_SUFFIXES, by_stem, files_in

VECTOR_SUFFIXES = (".gpkg", ".geojson", ".parquet", ".geoparquet", ".shp", ".fgb")

PROBABILITY = "_probability"
LAYERS = (PROBABILITY, "_uncertainty")
"""What `scripts/predict.py` adds to the stem of a map for what goes with it."""

NAMED = 5


@dataclass(frozen=True)
class FoldSelection:
    """The part of a scene that a model did not see in training.

    Attributes:
        path: A raster on the reference's grid that holds a fold number a pixel.
        fold: Pixels of this fold are compared, others are not.
    """

    path: Path
    fold: int


@dataclass(frozen=True)
class Strata:
    """What tells the strata of a scene.

    Attributes:
        path: A raster of codes on the scene's grid, or a vector file.
        attribute: The column of a vector file that tells them.
        layer: Its layer; None for its only one.
    """

    path: Path
    attribute: str | None = None
    layer: str | None = None


@dataclass(frozen=True)
class Pair:
    """A map with what it is compared with.

    Attributes:
        name: Of the scene: the map's stem.
        prediction: The class map.
        reference: The mask, a raster or a vector file.
        probability: The map's probabilities, in percent; None without.
        image: The scene that was mapped, for pictures; None without.
        within: The fold that is compared; None for the whole scene.
        strata: What tells the strata; None without.
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
    """The files and folders that a command line names. Where maps are a folder, so are the others, matched by stem.

    Attributes:
        prediction: A class map, or a folder of them.
        reference: A mask, or a folder of masks; or one vector file for all maps.
        probability: Probability maps; None takes those beside the maps.
        image: The scenes that were mapped.
        folds: Rasters of fold numbers.
        fold: The fold that is compared.
        strata: Rasters of stratum codes; or one vector file for all maps.
        stratum_attribute: The column of a vector file that tells the strata.
        stratum_layer: Its layer; None for its only one.

    Raises:
        ConfigError: Options do not go together.
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

    def __post_init__(self) -> None:
        """Check that the options go together."""
        if self.folds is None and self.fold is not None:
            raise ConfigError(f"--fold {self.fold} needs --folds, the raster that says which pixel belongs to which")
        if self.folds is not None and self.fold is None:
            raise ConfigError(f"--folds {self.folds} needs --fold, the number of the held-out fold to compare")
        vector = self.strata is not None and is_vector(self.strata)
        if vector and self.stratum_attribute is None:
            raise ConfigError(f"--strata {self.strata} needs --stratum-attribute, the column that tells the strata")
        if self.stratum_attribute is not None and not vector:
            raise ConfigError(
                f"--stratum-attribute {self.stratum_attribute} needs --strata, a vector file with that column"
            )


@dataclass(frozen=True)
class Pairing:
    """The pairs found, and the names of maps and references that found no partner."""

    pairs: list[Pair]
    lone_predictions: list[str]
    lone_references: list[str]


def is_vector(path: Path) -> bool:
    """Whether a file is polygons, by its name."""
    return path.suffix.lower() in VECTOR_SUFFIXES


def find_pairs(inputs: Inputs) -> Pairing:
    """The pairs to compare, sorted by name.

    Raises:
        ConfigError: A folder holds no raster, no map has a reference, or a map lacks another file that was asked for.
        DatasetError: Two files of a folder have one stem.
    """
    if not inputs.prediction.is_dir():
        return Pairing([_pair(inputs, inputs.prediction.stem, inputs.prediction)], [], [])
    maps = {stem: path for stem, path in _by_stem(inputs.prediction).items() if not _is_layer_of_another(path)}
    if is_vector(inputs.reference) and not inputs.reference.is_dir():
        return Pairing([_pair(inputs, stem, path) for stem, path in maps.items()], [], [])
    if not inputs.reference.is_dir():
        raise ConfigError(
            f"{inputs.reference}: is no folder, but --prediction {inputs.prediction} is one; wanted a folder of masks "
            "with the stems of the maps, or one vector file"
        )
    references = _by_stem(inputs.reference, vectors=True)
    both = sorted(set(maps) & set(references))
    if not both:
        raise ConfigError(
            f"{inputs.prediction}: no map has the stem of a mask in {inputs.reference}; maps are {_named(maps)}, "
            f"masks {_named(references)}; rename one or the other"
        )
    pairs = [_pair(inputs, stem, maps[stem]) for stem in both]
    return Pairing(pairs, sorted(set(maps) - set(both)), sorted(set(references) - set(both)))


def _pair(inputs: Inputs, stem: str, prediction: Path) -> Pair:
    folds, strata = _companion(inputs, "folds", stem), _companion(inputs, "strata", stem)
    reference = _companion(inputs, "reference", stem)
    assert reference is not None  # not an optional input
    return Pair(
        name=stem,
        prediction=prediction,
        reference=reference,
        probability=_companion(inputs, "probability", stem) or _beside(prediction),
        image=_companion(inputs, "image", stem),
        within=FoldSelection(folds, inputs.fold) if folds is not None and inputs.fold is not None else None,
        strata=Strata(strata, inputs.stratum_attribute, inputs.stratum_layer) if strata is not None else None,
    )


def _companion(inputs: Inputs, option: str, stem: str) -> Path | None:
    """The file that an option names for a scene."""
    given: Path | None = getattr(inputs, option)
    if given is None:
        return None
    if not given.is_dir():
        if inputs.prediction.is_dir() and not (option in {"reference", "strata"} and is_vector(given)):
            raise ConfigError(f"{given}: is no folder, but --prediction {inputs.prediction} is one; give a folder")
        return given
    found = _by_stem(given, vectors=option in {"reference", "strata"})
    for name in (stem, stem + PROBABILITY) if option == "probability" else (stem,):
        if name in found:
            return found[name]
    raise ConfigError(f"{given}: holds no file {stem}.*, wanted one for each map; its files are {_named(found)}")


def _beside(prediction: Path) -> Path | None:
    path = prediction.with_name(f"{prediction.stem}{PROBABILITY}{prediction.suffix}")
    return path if path.is_file() else None


def _by_stem(folder: Path, vectors: bool = False) -> dict[str, Path]:
    suffixes = (*RASTER_SUFFIXES, *VECTOR_SUFFIXES) if vectors else RASTER_SUFFIXES
    found = by_stem(files_in(folder, suffixes))
    if not found:
        raise ConfigError(f"{folder}: holds no file ending in {', '.join(suffixes)}; give another folder")
    return found


def _is_layer_of_another(path: Path) -> bool:
    """Whether a file holds probabilities or the like of the map beside it."""
    return any(
        path.stem.endswith(layer) and path.with_name(path.stem.removesuffix(layer) + path.suffix).exists()
        for layer in LAYERS
    )


def _named(names: dict[str, Path]) -> str:
    shown = ", ".join(sorted(names)[:NAMED])
    return shown + (", ..." if len(names) > NAMED else "")
