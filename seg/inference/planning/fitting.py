"""Match a scene with the models: bands, pixel size, unit, area of interest and the identity of the run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seg import __version__
from seg.errors import ConfigError, PackageError
from seg.inference.area_of_interest import Area, area_on
from seg.inference.compute.member import MODEL, Member, common_nodata, decision_threshold
from seg.inference.compute.predictor import Predictor
from seg.inference.identity import RunIdentity
from seg.inference.planning.units import require_unit
from seg.inference.settings import MEASURED, PredictionSettings
from seg.inference.unlikeness import Unlikeness
from seg.package.description import ModelPackage
from seg.raster.grid import Grid, read_grid
from seg.raster.remote import address_of, is_remote, shown_name
from seg.raster.scene_statistics import scene_statistics
from seg.raster.sources import reads_server, scene_version
from seg.terminal.text import counted


@dataclass(frozen=True)
class FittedScene:
    """A scene that matches the models.

    Attributes:
        grid: The scene's grid.
        area: The part to map; None for the whole scene.
        identity: All that the maps depend on.
        unlikeness: Distance from the training images; None if it was not measured or cannot be measured.
    """

    grid: Grid
    area: Area | None
    identity: RunIdentity
    unlikeness: Unlikeness | None = None


def fit_scene(scene: Path, predictor: Predictor, settings: PredictionSettings) -> FittedScene:
    """Check that a scene matches the models, and determine everything that its maps depend on.

    Args:
        scene: The raster.
        predictor: Models and augmentation.
        settings: The user's settings; unset values come from the models.

    Raises:
        PackageError: The scene does not match the models.
        NoOverlapError: No pixel of the scene lies in the area.
        RasterError: The scene cannot be opened, or the area cannot be transformed to its CRS.
        ConfigError: Settings contradict each other, the models, or a scene on a server.
    """
    if settings.on_unreadable == "nodata" and reads_server(scene):
        raise ConfigError(
            f"{shown_name(scene)}: is read from a server, and --on-unreadable=nodata would map pixels as nodata if the "
            "connection breaks; leave the option out, or copy the scene first"
        )
    grid = read_grid(scene)
    bands = common_bands(predictor.members, grid, settings)
    area = area_on(grid, settings.area, settings.area_crs)
    packages = predictor.packages
    nodata = common_nodata(predictor.members) if settings.nodata is None else settings.nodata
    if not settings.any_unit:
        # A model that normalises each scene maps scenes in any unit.
        fixed = [(member.name, member.package) for member in predictor.members if not member.package.normalises_scenes]
        require_unit(grid, bands, nodata, fixed)
    found = scene_statistics(scene, bands, nodata) if predictor.normalises_scenes else None
    identity = RunIdentity(
        version=__version__,
        scene=address_of(scene) if is_remote(scene) else str(scene.resolve()),
        scene_version=scene_version(scene),
        model=tuple(package.weights_sha256 for package in packages),
        temperature=tuple(package.temperature for package in packages),
        bias=tuple(package.bias for package in packages),
        backend=tuple(member.backend.name for member in predictor.members),
        bands=tuple(bands),
        tolerance=settings.tolerance if settings.halo in MEASURED else None,
        tta=predictor.augmentation,
        uncertainty=predictor.uncertainty,
        nodata=nodata,
        threshold=decision_threshold(packages) if settings.threshold is None else settings.threshold,
        interior=settings.interior,
        on_unreadable=settings.on_unreadable,
        area=None if area is None else area.checksum,
        scene_mean=None if found is None else found.mean,
        scene_std=None if found is None else found.std,
        asked_block_size=settings.block_size,
        asked_halo=settings.halo,
        screening=None if predictor.screener is None else predictor.screener.sha256,
        screening_risk=None if predictor.screener is None else predictor.screener.alpha,
    )
    return FittedScene(grid, area, identity)


def common_bands(members: Sequence[Member], grid: Grid, settings: PredictionSettings) -> list[int]:
    """The 1-based bands of a scene that all models read.

    Raises:
        PackageError: The scene does not match a model, or two models would read different bands.
    """
    first, *others = members
    bands = fitting_bands(first.package, grid, settings, first.name)
    for member in others:
        found = fitting_bands(member.package, grid, settings, member.name)
        if found != bands:
            raise PackageError(
                f"{grid.path}: {first.name} would read the bands {bands}, but {member.name} the bands {found}; "
                "models that are averaged must take the same bands: choose them with --bands"
            )
    return bands


def fitting_bands(package: ModelPackage, grid: Grid, settings: PredictionSettings, model: str = MODEL) -> list[int]:
    """The 1-based bands of a scene that a model reads.

    Args:
        package: Description of the model.
        grid: Grid of the scene.
        settings: The user's bands and pixel size ratio.
        model: Name of the model in messages.

    Raises:
        PackageError: The scene's bands or pixel size do not match the model.
    """
    bands = settings.bands or _bands_by_name(package, grid) or _default_bands(package, grid, model)
    if len(bands) != len(package.bands):
        raise PackageError(
            f"{grid.path}: --bands names {counted(len(bands), 'band')}, but {model} wants {_wanted(package)}"
        )
    if not all(1 <= band <= grid.bands for band in bands):
        raise PackageError(
            f"{grid.path}: has {counted(grid.bands, 'band')}, but --bands names {bands}; bands count from 1"
        )
    _check_pixel_size(package, grid, settings.pixel_size_ratio, model)
    return bands


def _bands_by_name(package: ModelPackage, grid: Grid) -> list[int]:
    """Bands with the names of the training bands; empty unless each name is unique in the scene and in training."""
    wanted, found = [_plain(name) for name in package.band_names], [_plain(name) for name in grid.band_names]
    if not all(name and wanted.count(name) == found.count(name) == 1 for name in wanted):
        return []
    return [found.index(name) + 1 for name in wanted]


def _require_names_agree(package: ModelPackage, grid: Grid, bands: Sequence[int], model: str) -> None:
    """Reject bands chosen by their order if a band has the name of a training band at another place."""
    wanted = [_plain(name) for name in package.band_names]
    found = [_plain(grid.band_names[band - 1]) for band in bands] if grid.band_names else []
    for place, name in enumerate(found):
        if name and name in wanted and wanted[place] != name:
            shown = ", ".join(grid.band_names[band - 1] or "unnamed" for band in bands)
            raise PackageError(
                f"{grid.path}: has the bands {shown}, but {model} wants {_wanted(package)} in this order; "
                f"choose the {len(wanted)} bands with --bands, such as --bands=[{','.join(map(str, bands))}]"
            )


def _plain(name: str) -> str:
    return name.strip().casefold()


def _default_bands(package: ModelPackage, grid: Grid, model: str) -> list[int]:
    """Choose bands by number: as in training if the number of bands is the same, otherwise the only possible choice.

    An alpha band that the training images did not have is a mask, so it does not count as data.

    Raises:
        PackageError: Several choices are possible, or the names of the bands contradict the choice.
    """
    in_order = list(range(1, len(package.bands) + 1))
    carrying, bands = grid.data_bands, None
    if grid.bands == package.image_bands:
        bands = list(package.bands)
    elif len(carrying) == package.image_bands:
        bands = [carrying[band - 1] for band in package.bands]
    elif len(carrying) == len(in_order) and list(package.bands) == in_order:
        bands = carrying
    if bands is not None:
        _require_names_agree(package, grid, bands, model)
        return bands
    example = ",".join(str(band) for band in in_order)
    way = f"choose bands, such as --bands=[{example}], or " if grid.bands >= len(in_order) else ""
    raise PackageError(
        f"{grid.path}: has {counted(grid.bands, 'band')}, but {model} wants {_wanted(package)}; "
        f"{way}use a model trained on these bands"
    )


def _wanted(package: ModelPackage) -> str:
    return f"{len(package.bands)} ({', '.join(name or 'unnamed' for name in package.band_names)})"


def _check_pixel_size(package: ModelPackage, grid: Grid, largest_ratio: float, model: str) -> None:
    trained, found = package.pixel_size_m, grid.pixel_size_m
    if trained is None or found is None:
        return
    ratio = max(trained / found, found / trained)
    if ratio > largest_ratio:
        raise PackageError(
            f"{grid.path}: has pixels of {found:g} m, but {model} was trained on {trained:g} m; "
            f"resample the scene, or allow the difference with --pixel-size-ratio={math.ceil(ratio * 100) / 100:g}"
        )
